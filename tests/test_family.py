"""Holm against statsmodels; groups and ranks by hand, and what they must always fulfil."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from statsmodels.stats.multitest import multipletests

from quintain.stats.family import MOST_MODELS, Family, Place, holm
from quintain.stats.paired import paired

probability = st.floats(0, 1)


@pytest.mark.parametrize("n", [1, 2, 3, 15, 40])
def test_holm_is_statsmodels(n: int) -> None:
    draw = random.Random(n)
    values = [draw.choice([0.0, 1.0, draw.random(), draw.random() ** 4]) for _ in range(n)]
    expected = multipletests(values, method="holm")[1]
    assert holm(values) == pytest.approx(expected.tolist())


@settings(max_examples=40, deadline=None)
@given(st.lists(st.none() | probability, max_size=10))
def test_what_was_not_tested_is_not_counted(values: list[float | None]) -> None:
    known = [value for value in values if value is not None]
    corrected = holm(values)
    assert [c for c in corrected if c is not None] == holm(known)
    assert [c is None for c in corrected] == [v is None for v in values]


def noisy(center: float, spread: float = 0.002, n: int = 8) -> dict[int, float | None]:
    draw = random.Random(f"{center} {spread}")
    return {seed: center + draw.gauss(0, spread) for seed in range(n)}


def test_three_models_two_of_them_tied() -> None:
    """The tie has two groups, whichever way is better."""
    models = [noisy(0.5), noisy(0.8, 0.003), noisy(0.8005)]
    for direction, groups in (("max", [2, 1, 1]), ("min", [1, 2, 2])):
        family = Family(models, direction=direction)
        places = family.places()
        assert [place.tie_group for place in places] == groups
        assert sorted((p.rank_low, p.rank_high) for p in places) == (
            [(1, 2), (1, 2), (3, 3)] if direction == "max" else [(1, 1), (2, 3), (2, 3)]
        )
        best = family.order[0]
        assert places[best].p_best is None
        assert sum(place.p_best is None for place in places) == 1


def test_common_seeds_that_contradict_the_means_claim_nothing() -> None:
    """The second is better on all seeds that both have, the first has more and easier ones."""
    first = {s: 0.90 + 0.001 * s for s in range(5)} | {s: 0.99 for s in range(5, 15)}
    second = {s: 0.95 + 0.0011 * s for s in range(5)}
    family = Family([first, second], direction="max")
    assert family.order == [0, 1] and family.reversed == [(0, 1)]
    assert [(p.tie_group, p.rank_low, p.rank_high, p.p_best) for p in family.places()] == [
        (1, 1, 2, None), (1, 1, 2, None),
    ]  # fmt: skip
    least = Family([{s: -v for s, v in m.items()} for m in (first, second)], direction="min")
    assert least.reversed == [(0, 1)]


def test_being_tied_is_not_transitive() -> None:
    """The second, noisy model ties with both others, which differ: it goes with the better one."""
    good, bad = noisy(0.80), noisy(0.78)
    between = noisy(0.79, 0.1)
    places = Family([good, between, bad], direction="max").places()
    assert [place.tie_group for place in places] == [1, 1, 2]
    assert [(place.rank_low, place.rank_high) for place in places] == [(1, 2), (1, 3), (2, 3)]


def test_models_without_a_mean_or_a_test_have_no_place() -> None:
    models = [noisy(0.8), noisy(0.5), {0: 0.9, 1: None}, {}]
    places = Family(models, direction="max").places()
    assert places[2:] == [Place(), Place()]
    assert [place.tie_group for place in places[:2]] == [1, 2]
    assert Family([{1: 0.4}, {1: 0.5}], direction="max").places() == [Place(), Place()]
    assert Family([], direction="max").places() == []
    assert Family([noisy(0.5)], direction="min").places() == [Place()]


def test_equal_models_are_tied() -> None:
    places = Family([{1: 0.5, 2: 0.6}] * 3, direction="max").places()
    assert {(p.tie_group, p.rank_low, p.rank_high) for p in places} == {(1, 1, 3)}
    assert [p.p_best for p in places] == [None, 1.0, 1.0]


def test_many_models_are_compared_with_the_best_alone() -> None:
    models = [noisy(i / 100, n=4) for i in range(MOST_MODELS + 1)]
    family = Family(models, direction="max")
    places = family.places()
    assert len(family.verdicts) == MOST_MODELS
    assert places[-1] == Place(tie_group=1)
    assert places[0].tie_group is None and places[0].p_best is not None
    assert {place.rank_low for place in places} == {None}


scores = st.dictionaries(st.integers(1, 5), st.none() | st.floats(0, 1), max_size=5)


@settings(max_examples=60, deadline=None)
@given(st.lists(scores, max_size=5), st.sampled_from(["max", "min"]))
def test_places_hold_together(models: list[dict[int, float | None]], direction: str) -> None:
    family = Family(models, direction=direction)  # type: ignore[arg-type]
    places = family.places()
    assert len(places) == len(models)
    for rank, i in enumerate(family.order, start=1):
        place = places[i]
        if place.tie_group is None:
            assert place == Place()
            continue
        assert place.rank_low is not None and place.rank_high is not None
        assert 1 <= place.rank_low <= rank <= place.rank_high <= len(family.order)
    leaders = [places[i].tie_group for i in family.order if places[i].tie_group is not None]
    assert leaders == [] or min(g for g in leaders if g is not None) >= 1
    for pair, verdict in family.verdicts.items():
        assert verdict.test == paired(models[pair[0]], models[pair[1]])
        assert verdict.p is None or verdict.test.p is None or verdict.p >= verdict.test.p


def test_false_differences_are_as_rare_as_promised() -> None:
    """Six equal models, 200 times: at most 5 % of the families may claim any difference."""
    draw, claimed = random.Random(5), 0
    for _ in range(200):
        models = [{s: draw.gauss(0.8, 0.01) for s in range(4)} for _ in range(6)]
        claimed += any(v.differs(0.05) for v in Family(models, direction="max").verdicts.values())
    assert claimed <= 17  # 5 % of 200 and two standard deviations
