"""Performance profiles (Dolan and Moré 2002) over the time that a model takes to a target."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

Time = float | None
"""Seconds to the target; infinity where it was never reached, None where there was no run."""


@dataclass(frozen=True)
class Profile:
    """Steps of one model's curve: `share[i]` of the problems within `ratio[i]` × the fastest.

    `never` is the share of problems whose target it did not reach.
    """

    ratio: list[float]
    share: list[float]
    never: float

    def within(self, times: float) -> float:
        """The share of problems solved in at most so many times the fastest model's time."""
        return max((s for r, s in zip(self.ratio, self.share, strict=True) if r <= times),
                   default=0.0)  # fmt: skip


def performance_profiles(times: Sequence[Sequence[Time]]) -> list[Profile | None]:
    """The profile of each model; a problem is one dataset and seed, the same for all models.

    A problem that no model solved stays in the count. A model without a run on some problem has no
    profile; nor has anyone where there is no problem. Its times still count as the fastest: what it
    solved was solvable. Zero seconds are a ratio of 1 where they are the fastest, else infinite.

    Args:
        times: for each model its time on each problem, in the same order.

    Raises:
        ValueError: a time is negative or NaN, or models differ in the number of problems.
    """
    problems = list(zip(*times, strict=True))
    if any(t is not None and not t >= 0 for column in problems for t in column):
        raise ValueError("expected times of 0 seconds or more, infinity where never reached")
    fastest = [min((t for t in column if t is not None), default=math.inf) for column in problems]
    return [_profile(row, fastest) for row in times]


def _profile(row: Sequence[Time], fastest: Sequence[float]) -> Profile | None:
    known = [t for t in row if t is not None]
    if not row or len(known) < len(row):
        return None
    ratios = sorted(_ratio(t, best) for t, best in zip(known, fastest, strict=True))
    solved = [r for r in ratios if r < math.inf]
    steps = {r: (i + 1) / len(ratios) for i, r in enumerate(solved)}  # the last of equal ones
    return Profile([*steps], [*steps.values()], 1 - len(solved) / len(ratios))


def _ratio(time: float, best: float) -> float:
    if math.isinf(time):
        return math.inf
    return 1.0 if time == best else time / best if best > 0 else math.inf
