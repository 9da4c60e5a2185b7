"""Tests of all pairs of models of one table: corrected p values, letters and rank intervals.

Holm's correction controls the family-wise error rate over all pairs, so letters and rank intervals
hold for all models simultaneously.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from quintain.stats.intervals import mean_interval
from quintain.stats.paired import PairedTest, Scores, paired_test

MAX_MODELS = 100  # 4,950 pairs; with more models, each is only compared with the best one
MAX_LETTERS = 100  # sets of models that share a letter; their number may be exponential


@dataclass(frozen=True, kw_only=True)
class PairwiseTest:
    """The test of one pair, and its p value corrected for all pairs (None if untested)."""

    test: PairedTest
    p: float | None

    def is_significant(self, level: float) -> bool:
        """Return whether the two models differ significantly; False if untested."""
        return self.p is not None and self.p <= level


@dataclass(frozen=True, kw_only=True)
class RankSummary:
    """The test results of one model; None if it has no mean or could not be tested.

    Two models share one of their `letters` exactly if they are not shown to differ (a compact
    letter display). `tie_group` is 1 for the best model and all that do not differ significantly
    from it, 2 for the best of the others and all of those that do not differ from that one, and so
    on. `rank_low` and `rank_high` are the bounds of the simultaneous confidence interval of the
    rank. `p_best` is the corrected p value against the best model; None for the best model, and for
    a model that is better than it on their common seeds.
    """

    letters: str = ""
    tie_group: int | None = None
    rank_low: int | None = None
    rank_high: int | None = None
    p_best: float | None = None


class PairwiseComparisons:
    """The tests of all pairs of models of one table. Models are identified by their index.

    `order` lists the models with a mean, best first. `tests` maps (model with the better mean,
    other model) to their test; `num_tests` of these pairs could be tested. `is_complete` is False
    if there are only the pairs with the best model.

    Args:
        scores: model → seed → score.
        direction: whether more or less is better.
        level: family-wise error rate.
    """

    def __init__(
        self, scores: Sequence[Scores], *, direction: Literal["max", "min"], level: float = 0.05
    ) -> None:
        self.level = level
        self.scores = scores
        self._sign = 1 if direction == "max" else -1
        means = [mean_interval(by_seed.values()).mean for by_seed in scores]
        known = {i: mean for i, mean in enumerate(means) if mean is not None}
        self.order = sorted(known, key=lambda i: -self._sign * known[i])
        self.is_complete = len(self.order) <= MAX_MODELS
        pairs = list(itertools.combinations(self.order, 2))
        if not self.is_complete:
            pairs = [(self.order[0], i) for i in self.order[1:]]
        tests = [paired_test(scores[i], scores[j], level=1 - level) for i, j in pairs]
        corrected = holm_correction([test.p for test in tests])
        self.num_tests = sum(p is not None for p in corrected)
        self.tests = {
            pair: PairwiseTest(test=test, p=p)
            for pair, test, p in zip(pairs, tests, corrected, strict=True)
        }

    def rank_summaries(self) -> list[RankSummary]:
        """Return one summary per model, in the order of `scores`."""
        tested = {i for pair, t in self.tests.items() if t.p is not None for i in pair}
        groups = self._tie_groups() if self.is_complete else self._tied_with_best()
        sets = self._sets_of_equals(tested) if self.is_complete else [set(groups)]
        summaries = [RankSummary() for _ in self.scores]
        for position, i in enumerate(self.order):
            if i not in tested:
                continue
            low, high = self._rank_interval(position) if self.is_complete else (None, None)
            best = self.tests.get((self.order[0], i))
            summaries[i] = RankSummary(
                letters="".join(_letter(number) for number, s in enumerate(sets) if i in s),
                tie_group=groups.get(i),
                rank_low=low,
                rank_high=high,
                p_best=best.p if best and not self._contradicts(best) else None,
            )
        return summaries

    def _sets_of_equals(self, tested: set[int]) -> list[set[int]]:
        """Return the largest sets without two models that differ, that of the best model first.

        The algorithm is insert and absorb (Piepho 2004). If there are too many sets, each leader of
        a tie group has one with the members of its group.
        """
        sets = [{i for i in self.order if i in tested}]
        for i, j in (pair for pair in self.tests if self._differ(*pair)):
            parts = [part for s in sets for part in ((s - {i}, s - {j}) if {i, j} <= s else (s,))]
            unique = [s for number, s in enumerate(parts) if s and s not in parts[:number]]
            sets = [s for s in unique if not any(s < other for other in unique)]
            if len(sets) > MAX_LETTERS:
                groups = self._tie_groups()
                sets = [{i for i in groups if groups[i] == g} for g in set(groups.values())]
                break
        positions = {i: position for position, i in enumerate(self.order)}
        return sorted(sets, key=lambda s: sorted(positions[i] for i in s))

    def _tie_groups(self) -> dict[int, int]:
        """Return model → group: the best model without a group, and all that tie with it, form one.

        Ties are not transitive: two members of a group may differ, as their rank intervals show.
        """
        groups: dict[int, int] = {}
        remaining, group = list(self.order), 0
        while remaining:
            leader, group = remaining[0], group + 1
            tied = [i for i in remaining if i == leader or not self._differ(leader, i)]
            groups |= dict.fromkeys(tied, group)
            remaining = [i for i in remaining if i not in tied]
        return groups

    def _tied_with_best(self) -> dict[int, int]:
        best = self.order[0]
        return {i: 1 for i in self.order if i == best or not self._differ(best, i)}

    def _rank_interval(self, position: int) -> tuple[int, int]:
        """Return the bounds of a rank: count significant differences (Mogstad et al. 2024)."""
        i = self.order[position]
        better = sum(self._differ(j, i) for j in self.order[:position])
        worse = sum(self._differ(i, j) for j in self.order[position + 1 :])
        return 1 + better, len(self.order) - worse

    def _differ(self, better: int, worse: int) -> bool:
        pair = self.tests.get((better, worse))
        return pair is not None and pair.is_significant(self.level) and not self._contradicts(pair)

    def _contradicts(self, pair: PairwiseTest) -> bool:
        """Return whether the difference over common seeds and that of the means disagree in sign.

        The means are over all seeds of each model. Such pairs do not count as different.
        """
        return self._sign * (pair.test.difference or 0.0) < 0

    @property
    def contradictions(self) -> list[tuple[int, int]]:
        """Pairs whose significant difference contradicts their means."""
        tests = self.tests.items()
        return [p for p, t in tests if t.is_significant(self.level) and self._contradicts(t)]


def _letter(number: int) -> str:
    """Return a, b, … z, then z2, z3, …"""
    return chr(97 + number) if number < 26 else f"z{number - 24}"


def holm_correction(values: Sequence[float | None]) -> list[float | None]:
    """Return p values corrected for multiple testing (Holm 1979); None stays None, uncounted.

    Not statsmodels' `multipletests`, because importing that takes longer than a leaderboard.
    """
    known = sorted((p, i) for i, p in enumerate(values) if p is not None)
    corrected: list[float | None] = [None] * len(values)
    largest = 0.0
    for rank, (p, i) in enumerate(known):
        largest = max(largest, min(1.0, p * (len(known) - rank)))
        corrected[i] = largest
    return corrected
