"""Performance profiles (Dolan and Moré 2002) of the training time until a target score."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

Time = float | None
"""Seconds to the target; infinity if it was not reached, None if there was no run."""


@dataclass(frozen=True)
class Profile:
    """The profile of one model: it solved `share[i]` of the problems in `ratio[i]` × the best time.

    `never` is the share of problems that it did not solve.
    """

    ratio: list[float]
    share: list[float]
    never: float

    def share_within(self, factor: float) -> float:
        """Return the share of problems solved within `factor` × the best time."""
        return max((s for r, s in zip(self.ratio, self.share, strict=True) if r <= factor),
                   default=0.0)  # fmt: skip


def performance_profiles(times: Sequence[Sequence[Time]]) -> list[Profile | None]:
    """Return the profile of each model; a problem is one (dataset, seed).

    Problems that no model solved count too. A model without a run on some problem has no profile,
    but its times count in the best times. If the best time is zero, all longer times have an
    infinite ratio.

    Args:
        times: (model, problem) → time.

    Raises:
        ValueError: a time is negative or NaN, or models differ in the number of problems.
    """
    problems = list(zip(*times, strict=True))
    if any(t is not None and not t >= 0 for column in problems for t in column):
        raise ValueError("expected times of 0 seconds or more, infinity where never reached")
    fastest = [min((t for t in column if t is not None), default=math.inf) for column in problems]
    return [_profile(row, fastest) for row in times]


def _profile(times: Sequence[Time], fastest: Sequence[float]) -> Profile | None:
    known = [t for t in times if t is not None]
    if not times or len(known) < len(times):
        return None
    ratios = sorted(_ratio(t, best) for t, best in zip(known, fastest, strict=True))
    solved = [r for r in ratios if r < math.inf]
    shares = {r: (i + 1) / len(ratios) for i, r in enumerate(solved)}  # of equal ratios the last
    return Profile([*shares], [*shares.values()], 1 - len(solved) / len(ratios))


def _ratio(time: float, fastest: float) -> float:
    if math.isinf(time):
        return math.inf
    return 1.0 if time == fastest else time / fastest if fastest > 0 else math.inf
