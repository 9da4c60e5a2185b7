"""All pairs of models of one comparison: corrected p values, tie groups, rank intervals.

The pairs are one family: Holm's correction keeps the chance of a single false difference among all
of them at the level, so what is read off from them (groups, ranks) holds together.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from quintain.stats.intervals import mean_interval
from quintain.stats.paired import Paired, Scores, paired

MOST_MODELS = 100  # 4,950 pairs; beyond, each is compared with the best alone


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """One pair's test, and its p corrected for all pairs of the family; None where untested."""

    test: Paired
    p: float | None

    def differs(self, level: float) -> bool:
        """Whether the two differ; what was not tested was not shown to."""
        return self.p is not None and self.p <= level


@dataclass(frozen=True, kw_only=True)
class Place:
    """Where a model stands. All None where it has no mean, or where nothing could be tested.

    `tie_group` is 1 for the best model and all that are not shown to differ from it, 2 for the
    best of the others and all of those not shown to differ from that one, and so on. The true rank
    lies between `rank_low` and `rank_high`, for all models at once, with the family's confidence.
    `p_best` is the corrected p against the best model; None for the best itself, and where the
    test, which is over common seeds, finds the other one better.
    """

    tie_group: int | None = None
    rank_low: int | None = None
    rank_high: int | None = None
    p_best: float | None = None


class Family:
    """The models of one comparison, by index, with the tests of all pairs.

    Args:
        models: scores of each model by seed.
        direction: whether more or less is better.
        level: chance of a single false difference in the whole family.
    """

    def __init__(
        self, models: Sequence[Scores], *, direction: Literal["max", "min"], level: float = 0.05
    ) -> None:
        self.level = level
        self.models = models
        self.sign = 1 if direction == "max" else -1
        self.goodness = [_goodness(scores, self.sign) for scores in models]
        known = [i for i, value in enumerate(self.goodness) if value is not None]
        self.order = sorted(known, key=lambda i: -(self.goodness[i] or 0.0))
        whole = len(self.order) <= MOST_MODELS
        ordered = itertools.combinations(self.order, 2)
        pairs = list(ordered) if whole else [(self.order[0], other) for other in self.order[1:]]
        tests = [paired(models[i], models[j], level=1 - level) for i, j in pairs]
        corrected = holm([test.p for test in tests])
        self.verdicts = {
            pair: Verdict(test=test, p=p)
            for pair, test, p in zip(pairs, tests, corrected, strict=True)
        }
        self.num_tests = sum(test.p is not None for test in tests)
        self.whole = whole

    def verdict(self, better: int, worse: int) -> Verdict | None:
        """The test of two models, the one with the better mean first; None where there is none."""
        return self.verdicts.get((better, worse))

    def places(self) -> list[Place]:
        """One for each model, in the order they were given."""
        tested = {i for pair, v in self.verdicts.items() if v.p is not None for i in pair}
        groups = self._tie_groups() if self.whole else self._tied_with_best()
        found = [Place() for _ in self.models]
        for position, i in enumerate(self.order):
            if i not in tested:
                continue
            low, high = self._ranks(position) if self.whole else (None, None)
            best = self.verdict(self.order[0], i)
            best = None if best and self._reversed(best) else best
            found[i] = Place(
                tie_group=groups.get(i),
                rank_low=low,
                rank_high=high,
                p_best=best.p if best else None,
            )
        return found

    def _tie_groups(self) -> dict[int, int]:
        """The best model not yet in a group leads the next one; its members tie with the leader.

        Being tied is not transitive, so two members of a group may differ; their rank intervals
        show it.
        """
        found: dict[int, int] = {}
        left, group = list(self.order), 0
        while left:
            leader, group = left[0], group + 1
            tied = [i for i in left if i == leader or not self._differ(leader, i)]
            found |= dict.fromkeys(tied, group)
            left = [i for i in left if i not in tied]
        return found

    def _tied_with_best(self) -> dict[int, int]:
        best, *others = self.order
        return {i: 1 for i in (best, *others) if i == best or not self._differ(best, i)}

    def _ranks(self, position: int) -> tuple[int, int]:
        """1 + those shown to be better; as many as there are but those shown to be worse."""
        i = self.order[position]
        better = sum(self._differ(other, i) for other in self.order[:position])
        worse = sum(self._differ(i, other) for other in self.order[position + 1 :])
        return 1 + better, len(self.order) - worse

    def _differ(self, better: int, worse: int) -> bool:
        """Shown to, in this order: the test is over common seeds, and where those say the contrary
        of the means over each one's own, nothing is claimed.
        """
        found = self.verdict(better, worse)
        return found is not None and found.differs(self.level) and not self._reversed(found)

    def _reversed(self, verdict: Verdict) -> bool:
        return self.sign * (verdict.test.difference or 0.0) < 0

    @property
    def reversed(self) -> list[tuple[int, int]]:
        """Pairs that differ over their common seeds, but the other way round than their means."""
        every = self.verdicts.items()
        return [pair for pair, v in every if v.differs(self.level) and self._reversed(v)]


def holm(values: Sequence[float | None]) -> list[float | None]:
    """p values corrected for testing all of them (Holm 1979); None stays and is not counted."""
    known = sorted((p, i) for i, p in enumerate(values) if p is not None)
    corrected: list[float | None] = [None] * len(values)
    largest = 0.0
    for done, (p, i) in enumerate(known):
        largest = max(largest, min(1.0, p * (len(known) - done)))
        corrected[i] = largest
    return corrected


def _goodness(scores: Scores, sign: int) -> float | None:
    mean = mean_interval(scores.values()).mean
    return None if mean is None or not math.isfinite(mean) else sign * mean
