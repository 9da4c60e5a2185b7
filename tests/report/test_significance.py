"""Ties, rank intervals, sentences and aggregates of a leaderboard, against SciPy and by hand."""

from __future__ import annotations

import io
import random
from typing import Any

import pytest
import scipy.stats
from helpers.record_factory import cost_values, make_record, quality_values

from quintain.records.schema import Record
from quintain.report.formatting import format_difference, format_p_value
from quintain.report.leaderboard import build_leaderboard
from quintain.report.terminal.console import make_console
from quintain.report.terminal.table import print_leaderboard


def runs(model: str, scores: list[float | None], **changes: Any) -> list[Record]:
    return [make_record(model=model, seed=i, score=s, **changes) for i, s in enumerate(scores, 1)]


def noisy(center: float, model: str, n: int = 5, spread: float = 0.004) -> list[float | None]:
    draw = random.Random(model)
    return [center + draw.gauss(0, spread) for _ in range(n)]


def three_models(**changes: Any) -> list[Record]:
    centers = {"lstm": 0.901, "transformer": 0.9, "cnn": 0.86}
    return [r for m, c in centers.items() for r in runs(m, noisy(c, m), **changes)]


def print_text(records: list[Record]) -> str:
    out = io.StringIO()
    print_leaderboard(records, make_console(out))
    return out.getvalue()


def test_rows_have_the_results_of_the_paired_tests() -> None:
    first, second, third = build_leaderboard(three_models()).rows
    assert [row.tie_group for row in (first, second, third)] == [1, 1, 2]
    assert [(row.rank_low, row.rank_high) for row in (first, second, third)] == [
        (1, 2),
        (1, 2),
        (3, 3),
    ]
    raw = [
        scipy.stats.ttest_rel(a.scores, b.scores).pvalue
        for a, b in ((first, second), (first, third), (second, third))
    ]
    assert first.p_best is None
    assert second.p_best == pytest.approx(max(raw))  # the largest p is multiplied by one
    assert third.p_best == pytest.approx(
        max(p * k for p, k in zip(sorted(raw), (3, 2), strict=False) if p <= raw[1])
    )


def test_sentences_on_ties_costs_and_distances() -> None:
    slow = cost_values() | {"seconds": cost_values()["seconds"] | {"training": 38.75}}
    records = [r for r in three_models() if r.names.model != "transformer"]
    records += runs("transformer", noisy(0.9, "transformer"), cost=slow)
    (sentence,) = build_leaderboard(records).sentences
    rows = {row.model: row for row in build_leaderboard(records).rows}
    p = rows["transformer"].p_best or rows["lstm"].p_best
    assert p is not None and p > 0.05
    assert sentence.startswith("On `digits`, ")
    expected = "lstm has the best mean of the models; transformer is not shown to differ from it"
    expected += f" at 5 seeds (p = {format_p_value(p)}); lstm trains 3.1× faster. "
    assert expected in sentence
    best = next(row for row in build_leaderboard(records).rows if row.rank == 1)
    interval = scipy.stats.ttest_rel(best.scores, rows["cnn"].scores).confidence_interval()
    trails = (interval.low + interval.high) / 2 * 100, (interval.high - interval.low) / 2 * 100
    assert f"cnn trails by {trails[0]:.1f} ± {trails[1]:.1f} points." in sentence


def test_the_number_of_additional_seeds_is_suggested_and_printed() -> None:
    records = runs("a", [0.91, 0.92, 0.90]) + runs("b", [0.89, 0.915, 0.88])
    board = build_leaderboard(records)
    assert board.rows[0].tie_group == board.rows[1].tie_group == 1
    (sentence,) = board.sentences
    assert "more seeds would probably separate a from b." in sentence
    shown = print_text(records)
    assert sentence in shown and "tie" in shown and "1–2" in shown


def test_single_seeds_have_no_ties_and_sentences() -> None:
    board = build_leaderboard(runs("a", [0.9]) + runs("b", [0.5]))
    assert board.sentences == [] and {row.tie_group for row in board.rows} == {None}
    assert "tie" not in print_text(runs("a", [0.9]) + runs("b", [0.5]))


def test_sentences_distinguish_models_of_the_same_name() -> None:
    cuda = {"hardware": {"_target_": "hardware.cuda"}}
    records = runs("a", noisy(0.9, "x")) + runs(
        "a", noisy(0.5, "y"), names={"hardware": "cuda"}, cell=cuda
    )
    (sentence,) = build_leaderboard(records).sentences
    assert "a on cpu is significantly better than all other models. a on cuda trails" in sentence


def test_sentences_mention_seeds_that_only_one_model_has() -> None:
    (sentence,) = build_leaderboard(
        runs("a", noisy(0.9, "a")) + runs("b", noisy(0.5, "b", n=3))
    ).sentences
    assert sentence.endswith("The tests use only the seeds that both models of a pair have.")


def two_datasets() -> list[Record]:
    records = three_models()
    for m, center in (("lstm", 1.0), ("transformer", 2.0), ("cnn", 1.5)):
        records += runs(m, noisy(center, m), dataset="load", task="forecast")
    records += runs("majority", [0.5], baseline=True)
    return records + runs("naive", [3.0], dataset="load", task="forecast", baseline=True)


def test_aggregates_over_all_datasets() -> None:
    aggregates = {
        aggregate.model: aggregate for aggregate in build_leaderboard(two_datasets()).overall
    }
    assert set(aggregates) == {"lstm", "transformer", "cnn"}
    rows = {(r.dataset, r.model): r for r in build_leaderboard(two_datasets()).rows}
    best = {
        "digits": max(r.mean or 0 for (d, _), r in rows.items() if d == "digits"),
        "load": min(r.mean or 9 for (d, _), r in rows.items() if d == "load"),
    }
    zero = {"digits": 0.5, "load": 3.0}
    for model, aggregate in aggregates.items():
        scores = [
            (s - zero[d]) / (best[d] - zero[d])
            for d in zero
            for s in rows[d, model].scores
            if s is not None
        ]
        assert aggregate.iqm == pytest.approx(scipy.stats.trim_mean(scores * 4, 0.25))
        assert aggregate.iqm_low is not None and aggregate.iqm_high is not None
        assert aggregate.iqm_low <= aggregate.iqm <= aggregate.iqm_high
        assert (aggregate.tables, aggregate.missing) == (2, "")
    ranks = {m: (rows["digits", m].rank, rows["load", m].rank) for m in aggregates}
    assert {m: aggregate.mean_rank for m, aggregate in aggregates.items()} == {
        m: sum(r) / 2 for m, r in ranks.items()
    }


def test_a_missing_cell_makes_the_aggregate_none() -> None:
    records = [r for r in two_datasets() if (r.names.dataset, r.names.model) != ("load", "cnn")]
    aggregates = {aggregate.model: aggregate for aggregate in build_leaderboard(records).overall}
    assert (aggregates["cnn"].iqm, aggregates["cnn"].mean_rank, aggregates["cnn"].profile) == (
        None,
        None,
        None,
    )
    assert aggregates["cnn"].missing == "load"
    assert aggregates["lstm"].mean_rank is not None
    assert "cnn: no result on load" in print_text(records)


def test_profiles_are_of_the_seconds_to_a_common_validation_score() -> None:
    """Targets: digits 0.5 + 0.9 × (0.9 - 0.5) = 0.86; curves reach 0.9 at 1 s, b never."""
    records = []
    for dataset in ("digits", "other"):
        records += runs("a", [0.9, 0.9], dataset=dataset)
        records += runs("b", [0.8, 0.8], dataset=dataset)
        fast = quality_values(score=0.88)
        fast["curve"][1]["seconds"] = 0.5
        records += runs("c", [0.88, 0.88], dataset=dataset, quality=fast)
        records += runs("majority", [0.5], dataset=dataset, baseline=True)
    profiles = {
        aggregate.model: aggregate.profile for aggregate in build_leaderboard(records).overall
    }
    assert profiles["a"] is not None and (profiles["a"].ratio, profiles["a"].share) == (
        [2.0],
        [1.0],
    )
    assert profiles["b"] is not None and (profiles["b"].ratio, profiles["b"].never) == ([], 1.0)
    assert profiles["c"] is not None and profiles["c"].share_within(1) == 1.0


def test_aggregates_are_per_budget_and_need_several_datasets() -> None:
    assert build_leaderboard(three_models()).overall == []
    large = {"budget": {"_target_": "budget.large"}}
    more = [
        r
        for d in ("digits", "other")
        for r in three_models(dataset=d, names={"budget": "large"}, cell=large)
    ]
    assert {
        aggregate.budget.split(",")[0]
        for aggregate in build_leaderboard(two_datasets() + more).overall
    } == {
        "small",
        "large",
    }


def test_differences_are_formatted_for_people() -> None:
    assert format_difference(0.0234, 0.008, "fraction") == "2.3 ± 0.8"
    assert format_difference(0.1731, 0.00362, "nats") == "0.173 ± 0.004"
    assert format_difference(12.5, None, "1") == "12.5"
    assert format_difference(0.0, 0.0, "1") == "0.0 ± 0.0"
    assert [format_p_value(p) for p in (0.41, 0.0031, 0.0001)] == ["0.41", "0.003", "< 0.001"]


def test_scores_of_a_diverged_model_are_ranked() -> None:
    """The squares of a large perplexity overflow."""
    scores = {"a": [1e200, 2e200, 3e200], "b": [1.1e200, 2.3e200, 2.9e200]}
    board = build_leaderboard(
        make_record(model=m, seed=i, score=s, task="forecast")
        for m in scores
        for i, s in enumerate(scores[m])
    )
    assert [row.tie_group for row in board.rows] == [1, 1]
    assert format_difference(1e307, None, "fraction") == "inf"
