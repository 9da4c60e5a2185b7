"""Holm against statsmodels; tie groups and rank intervals by hand, and their invariants."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from statsmodels.stats.multitest import multipletests

from quintain.stats.multiple_comparisons import (
    MAX_MODELS,
    PairwiseComparisons,
    RankSummary,
    holm_correction,
)
from quintain.stats.paired import paired_test

probability = st.floats(0, 1)


@pytest.mark.parametrize("n", [1, 2, 3, 15, 40])
def test_holm_correction_is_that_of_statsmodels(n: int) -> None:
    draw = random.Random(n)
    values = [draw.choice([0.0, 1.0, draw.random(), draw.random() ** 4]) for _ in range(n)]
    expected = multipletests(values, method="holm")[1]
    assert holm_correction(values) == pytest.approx(expected.tolist())


@settings(max_examples=40, deadline=None)
@given(st.lists(st.none() | probability, max_size=10))
def test_untested_pairs_do_not_count(values: list[float | None]) -> None:
    known = [value for value in values if value is not None]
    corrected = holm_correction(values)
    assert [c for c in corrected if c is not None] == holm_correction(known)
    assert [c is None for c in corrected] == [v is None for v in values]


def noisy(center: float, spread: float = 0.002, n: int = 8) -> dict[int, float | None]:
    draw = random.Random(f"{center} {spread}")
    return {seed: center + draw.gauss(0, spread) for seed in range(n)}


def test_three_models_of_which_two_are_tied() -> None:
    models = [noisy(0.5), noisy(0.8, 0.003), noisy(0.8005)]
    for direction, groups in (("max", [2, 1, 1]), ("min", [1, 2, 2])):
        comparisons = PairwiseComparisons(models, direction=direction)
        summaries = comparisons.rank_summaries()
        assert [summary.tie_group for summary in summaries] == groups
        assert sorted((p.rank_low, p.rank_high) for p in summaries) == (
            [(1, 2), (1, 2), (3, 3)] if direction == "max" else [(1, 1), (2, 3), (2, 3)]
        )
        best = comparisons.order[0]
        assert summaries[best].p_best is None
        assert sum(summary.p_best is None for summary in summaries) == 1


def test_models_are_tied_if_common_seeds_contradict_the_means() -> None:
    """The second is better on all seeds that both have, the first has more and easier ones."""
    first = {s: 0.90 + 0.001 * s for s in range(5)} | {s: 0.99 for s in range(5, 15)}
    second = {s: 0.95 + 0.0011 * s for s in range(5)}
    comparisons = PairwiseComparisons([first, second], direction="max")
    assert comparisons.order == [0, 1] and comparisons.contradictions == [(0, 1)]
    tied = RankSummary(letters="a", tie_group=1, rank_low=1, rank_high=2, p_best=None)
    assert comparisons.rank_summaries() == [tied, tied]
    least = PairwiseComparisons(
        [{s: -v for s, v in m.items()} for m in (first, second)], direction="min"
    )
    assert least.contradictions == [(0, 1)]


def test_ties_are_not_transitive() -> None:
    """A noisy model ties with two others that differ; it joins the group of the better one."""
    good, bad = noisy(0.80), noisy(0.78)
    between = noisy(0.79, 0.1)
    summaries = PairwiseComparisons([good, between, bad], direction="max").rank_summaries()
    assert [summary.tie_group for summary in summaries] == [1, 1, 2]
    assert [summary.letters for summary in summaries] == ["a", "ab", "b"]
    assert [(summary.rank_low, summary.rank_high) for summary in summaries] == [
        (1, 2),
        (1, 3),
        (2, 3),
    ]


def test_models_without_a_mean_or_a_test_have_an_empty_summary() -> None:
    models = [noisy(0.8), noisy(0.5), {0: 0.9, 1: None}, {}]
    summaries = PairwiseComparisons(models, direction="max").rank_summaries()
    assert summaries[2:] == [RankSummary(), RankSummary()]
    assert [summary.tie_group for summary in summaries[:2]] == [1, 2]
    assert PairwiseComparisons([{1: 0.4}, {1: 0.5}], direction="max").rank_summaries() == [
        RankSummary(),
        RankSummary(),
    ]
    assert PairwiseComparisons([], direction="max").rank_summaries() == []
    assert PairwiseComparisons([noisy(0.5)], direction="min").rank_summaries() == [RankSummary()]


def test_equal_models_are_tied() -> None:
    summaries = PairwiseComparisons([{1: 0.5, 2: 0.6}] * 3, direction="max").rank_summaries()
    assert {(p.tie_group, p.rank_low, p.rank_high) for p in summaries} == {(1, 1, 3)}
    assert [p.p_best for p in summaries] == [None, 1.0, 1.0]


def test_models_beyond_the_maximum_are_only_compared_with_the_best() -> None:
    models = [noisy(i / 100, n=4) for i in range(MAX_MODELS + 1)]
    comparisons = PairwiseComparisons(models, direction="max")
    summaries = comparisons.rank_summaries()
    assert len(comparisons.tests) == MAX_MODELS
    assert summaries[-1] == RankSummary(letters="a", tie_group=1)
    assert summaries[0].tie_group is None and summaries[0].p_best is not None
    assert {summary.rank_low for summary in summaries} == {None}


def test_two_models_share_a_letter_exactly_if_they_are_not_shown_to_differ() -> None:
    draw = random.Random(3)
    spreads = [0.001, 0.002, 0.02, 0.05]
    for _ in range(30):
        models = [
            {s: 0.8 + 0.01 * i + draw.gauss(0, draw.choice(spreads)) for s in range(5)}
            for i in range(7)
        ]
        comparisons = PairwiseComparisons(models, direction="max")
        letters = [summary.letters for summary in comparisons.rank_summaries()]
        for (i, j), pair in comparisons.tests.items():
            assert bool(set(letters[i]) & set(letters[j])) != pair.is_significant(0.05)
        first = [letters[i] for i in comparisons.order]
        seen = list(dict.fromkeys("".join(first)))
        assert seen == sorted(seen), "letters appear in alphabetical order"


scores_by_seed = st.dictionaries(st.integers(1, 5), st.none() | st.floats(0, 1), max_size=5)


@settings(max_examples=60, deadline=None)
@given(st.lists(scores_by_seed, max_size=5), st.sampled_from(["max", "min"]))
def test_summaries_are_consistent(models: list[dict[int, float | None]], direction: str) -> None:
    comparisons = PairwiseComparisons(models, direction=direction)  # type: ignore[arg-type]
    summaries = comparisons.rank_summaries()
    assert len(summaries) == len(models)
    for rank, i in enumerate(comparisons.order, start=1):
        summary = summaries[i]
        if summary.tie_group is None:
            assert summary == RankSummary()
            continue
        assert summary.rank_low is not None and summary.rank_high is not None
        assert 1 <= summary.rank_low <= rank <= summary.rank_high <= len(comparisons.order)
    leaders = [
        summaries[i].tie_group for i in comparisons.order if summaries[i].tie_group is not None
    ]
    assert leaders == [] or min(g for g in leaders if g is not None) >= 1
    for (i, j), pair in comparisons.tests.items():
        assert pair.test == paired_test(models[i], models[j])
        assert pair.p is None or pair.test.p is None or pair.p >= pair.test.p


def test_false_differences_are_rarer_than_the_level() -> None:
    """Six equal models, 200 times: at most 5 % of the tables may have any false difference."""
    draw, num_false = random.Random(5), 0
    for _ in range(200):
        models = [{s: draw.gauss(0.8, 0.01) for s in range(4)} for _ in range(6)]
        num_false += any(
            pair.is_significant(0.05)
            for pair in PairwiseComparisons(models, direction="max").tests.values()
        )
    assert num_false <= 17  # 5 % of 200 and two standard deviations
