"""The paired gains of one cell on one scale: quality by seeds, speed by seeds or by rounds."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

from quintain.stats.strata import Stratum

Kind = Literal["quality", "speed"]


@dataclass(frozen=True, kw_only=True)
class Series:
    """Gains of the candidate over the baseline, more is better, and the loss that matters.

    Quality: in the score's unit, by seed. Speed: logarithms of the ratio of speeds, by seed or by
    round. `before` and `after` are the means that people read. `lost` says why the candidate gave
    nothing where the baseline gave a result, `unjudged` why nothing can be said. Of several cells
    together gains are in units of each one's margin; `scale` is that margin where it is one.
    """

    kind: Kind
    label: str
    words: tuple[str, ...] = ()
    measure: str = ""
    seeds: tuple[int, ...] = ()
    gains: tuple[float, ...] = ()
    margin: float = 0.0
    exact: bool = False  # equal bit for bit
    floor: float = 0.0
    before: float | None = None
    after: float | None = None
    scale: float | None = None
    together: bool = False
    lost: str = ""
    unjudged: str = ""
    never: bool = False  # neither side has a result

    def stratum(self) -> Stratum:
        """For a test of this cell alone."""
        return Stratum(gains=self.gains, exact=self.exact, floor=self.floor)

    def scaled(self) -> Stratum:
        """For a test of several cells: in units of the margin."""
        gains = [gain / self.margin for gain in self.gains]
        return Stratum(gains=gains, exact=self.exact, floor=self.floor / self.margin)

    def without(self, reason: str) -> Series:
        """The same cell, of which nothing can be said."""
        return replace(self, gains=(), unjudged=reason)
