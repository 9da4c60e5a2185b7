"""The paired differences of one cell: quality by seed, speed by seed or by round."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

from quintain.stats.mean_estimates import Stratum

Kind = Literal["quality", "speed"]


@dataclass(frozen=True, kw_only=True)
class PairedDifferences:
    """Gains of the candidate over the baseline in one cell, or in several cells together.

    Gains of quality are in the unit of the score; gains of speed are logarithms of the ratio of
    speeds, candidate / baseline. For several cells together, gains are multiples of the margins.
    """

    kind: Kind
    label: str  # of the cell, for messages
    overrides: tuple[str, ...] = ()  # with which `quintain sweep` runs the cell again; no seeds
    measure: str = ""  # the score or the time that is compared
    seeds: tuple[int, ...] = ()  # of the gains; empty if rounds were measured
    gains: tuple[float, ...] = ()  # above zero: the candidate is better
    margin: float = 0.0  # the largest acceptable loss, in the unit of the gains
    exact: bool = False  # all results are equal bit for bit
    floor: float = 0.0  # the smallest standard deviation to assume; see `Stratum`
    baseline_mean: float | None = None  # mean score, or milliseconds of a step
    candidate_mean: float | None = None
    is_aggregate: bool = False  # several cells together
    shared_margin: float | None = None  # of an aggregate whose cells all have this margin
    failure: str = ""  # why the candidate has no result although the baseline has one
    reason: str = ""  # why the two cannot be compared
    never_scored: bool = False  # neither the baseline nor the candidate has a result

    def to_stratum(self, unit: float = 1.0) -> Stratum:
        """Return the gains as multiples of `unit`, for a test."""
        gains = [gain / unit for gain in self.gains]
        return Stratum(gains=gains, exact=self.exact, floor=self.floor / unit)

    def without_gains(self, reason: str) -> PairedDifferences:
        """Return the same cell without gains, and the reason why there are none."""
        return replace(self, gains=(), reason=reason)
