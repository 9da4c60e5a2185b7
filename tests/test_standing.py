"""What the leaderboard says of ties, ranks and aggregates, against SciPy and by hand."""

from __future__ import annotations

import io
import random
from typing import Any

import pytest
import scipy.stats
from records_factory import cost, make, quality

from quintain.records.schema import Record
from quintain.report.leaderboard import leaderboard
from quintain.report.sentences import amount
from quintain.report.table import print_leaderboard
from quintain.report.text import console, p_value


def runs(model: str, scores: list[float | None], **changes: Any) -> list[Record]:
    return [make(model=model, seed=i, score=s, **changes) for i, s in enumerate(scores, 1)]


def around(center: float, model: str, n: int = 5, spread: float = 0.004) -> list[float | None]:
    draw = random.Random(model)
    return [center + draw.gauss(0, spread) for _ in range(n)]


def three(**changes: Any) -> list[Record]:
    centers = {"lstm": 0.901, "transformer": 0.9, "cnn": 0.86}
    return [r for m, c in centers.items() for r in runs(m, around(c, m), **changes)]


def text(records: list[Record]) -> str:
    out = io.StringIO()
    print_leaderboard(records, console(out))
    return out.getvalue()


def test_rows_have_what_the_paired_tests_say() -> None:
    first, second, third = leaderboard(three()).rows
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


def test_the_sentence_of_a_table() -> None:
    slow = cost() | {"seconds": cost()["seconds"] | {"training": 38.75}}
    records = [r for r in three() if r.names.model != "transformer"]
    records += runs("transformer", around(0.9, "transformer"), cost=slow)
    (said,) = leaderboard(records).sentences
    rows = {row.model: row for row in leaderboard(records).rows}
    p = rows["transformer"].p_best or rows["lstm"].p_best
    assert p is not None and p > 0.05
    assert said.startswith("On `digits`, ")
    assert f" are tied (p = {p_value(p)}); lstm is 3.1× cheaper (seconds of training). " in said
    best = next(row for row in leaderboard(records).rows if row.rank == 1)
    interval = scipy.stats.ttest_rel(best.scores, rows["cnn"].scores).confidence_interval()
    trails = (interval.low + interval.high) / 2 * 100, (interval.high - interval.low) / 2 * 100
    assert f"cnn trails by {trails[0]:.1f} ± {trails[1]:.1f} points." in said


def test_so_many_more_seeds_are_said_and_seen_everywhere() -> None:
    records = runs("a", [0.91, 0.92, 0.90]) + runs("b", [0.89, 0.915, 0.88])
    board = leaderboard(records)
    assert board.rows[0].tie_group == board.rows[1].tie_group == 1
    (said,) = board.sentences
    assert "more seeds would probably separate a from b." in said
    shown = text(records)
    assert said in shown and "tie" in shown and "1–2" in shown


def test_one_seed_says_nothing() -> None:
    board = leaderboard(runs("a", [0.9]) + runs("b", [0.5]))
    assert board.sentences == [] and {row.tie_group for row in board.rows} == {None}
    assert "tie" not in text(runs("a", [0.9]) + runs("b", [0.5]))


def test_models_of_one_name_are_told_apart_in_words() -> None:
    other = {"hardware": {"_target_": "hardware.cuda"}}
    records = runs("a", around(0.9, "x")) + runs(
        "a", around(0.5, "y"), names={"hardware": "cuda"}, cell=other
    )
    (said,) = leaderboard(records).sentences
    assert "a on cpu is ahead of all others. a on cuda trails" in said


def test_seeds_without_a_partner_are_told() -> None:
    (said,) = leaderboard(runs("a", around(0.9, "a")) + runs("b", around(0.5, "b", n=3))).sentences
    assert said.endswith("The tests are over the seeds that both models of a pair have.")


def two_datasets() -> list[Record]:
    found = three()
    for m, center in (("lstm", 1.0), ("transformer", 2.0), ("cnn", 1.5)):
        found += runs(m, around(center, m), dataset="load", task="forecast")
    found += runs("majority", [0.5], reference=True)
    return found + runs("naive", [3.0], dataset="load", task="forecast", reference=True)


def test_over_all_datasets() -> None:
    found = {one.model: one for one in leaderboard(two_datasets()).overall}
    assert set(found) == {"lstm", "transformer", "cnn"}
    rows = {(r.dataset, r.model): r for r in leaderboard(two_datasets()).rows}
    best = {
        "digits": max(r.mean or 0 for (d, _), r in rows.items() if d == "digits"),
        "load": min(r.mean or 9 for (d, _), r in rows.items() if d == "load"),
    }
    zero = {"digits": 0.5, "load": 3.0}
    for model, one in found.items():
        scores = [
            (s - zero[d]) / (best[d] - zero[d])
            for d in zero
            for s in rows[d, model].scores
            if s is not None
        ]
        assert one.iqm == pytest.approx(scipy.stats.trim_mean(scores, 0.25))
        assert one.iqm_low is not None and one.iqm_high is not None
        assert one.iqm_low <= one.iqm <= one.iqm_high
        assert (one.tables, one.missing) == (2, "")
    ranks = {m: (rows["digits", m].rank, rows["load", m].rank) for m in found}
    assert {m: one.mean_rank for m, one in found.items()} == {
        m: sum(r) / 2 for m, r in ranks.items()
    }


def test_a_missing_cell_makes_the_aggregate_missing() -> None:
    records = [r for r in two_datasets() if (r.names.dataset, r.names.model) != ("load", "cnn")]
    found = {one.model: one for one in leaderboard(records).overall}
    assert (found["cnn"].iqm, found["cnn"].mean_rank, found["cnn"].profile) == (None, None, None)
    assert found["cnn"].missing == "load"
    assert found["lstm"].mean_rank is not None
    assert "cnn: nothing on load" in text(records)


def test_profiles_are_over_the_seconds_to_a_common_validation_score() -> None:
    """Targets: digits 0.5 + 0.9 × (0.9 - 0.5) = 0.86; curves reach 0.9 at 1 s, b never."""
    records = []
    for dataset in ("digits", "other"):
        records += runs("a", [0.9, 0.9], dataset=dataset)
        records += runs("b", [0.8, 0.8], dataset=dataset)
        fast = quality(score=0.88)
        fast["curve"][1]["seconds"] = 0.5
        records += runs("c", [0.88, 0.88], dataset=dataset, quality=fast)
        records += runs("majority", [0.5], dataset=dataset, reference=True)
    found = {one.model: one.profile for one in leaderboard(records).overall}
    assert found["a"] is not None and (found["a"].ratio, found["a"].share) == ([2.0], [1.0])
    assert found["b"] is not None and (found["b"].ratio, found["b"].never) == ([], 1.0)
    assert found["c"] is not None and found["c"].within(1) == 1.0


def test_budgets_are_apart_and_one_dataset_has_no_aggregate() -> None:
    assert leaderboard(three()).overall == []
    large = {"budget": {"_target_": "budget.large"}}
    more = [
        r
        for d in ("digits", "other")
        for r in three(dataset=d, names={"budget": "large"}, cell=large)
    ]
    assert {one.budget.split(",")[0] for one in leaderboard(two_datasets() + more).overall} == {
        "small",
        "large",
    }


def test_differences_read_well() -> None:
    assert amount(0.0234, 0.008, "fraction") == "2.3 ± 0.8"
    assert amount(0.1731, 0.00362, "nats") == "0.173 ± 0.004"
    assert amount(12.5, None, "1") == "12.5"
    assert amount(0.0, 0.0, "1") == "0.0 ± 0.0"
    assert [p_value(p) for p in (0.41, 0.0031, 0.0001)] == ["0.41", "0.003", "< 0.001"]


def test_scores_of_a_model_that_diverged_are_ranked() -> None:
    """A perplexity has squares that no float holds."""
    scores = {"a": [1e200, 2e200, 3e200], "b": [1.1e200, 2.3e200, 2.9e200]}
    board = leaderboard(
        make(model=m, seed=i, score=s, task="forecast")
        for m in scores
        for i, s in enumerate(scores[m])
    )
    assert [row.tie_group for row in board.rows] == [1, 1]
    assert amount(1e307, None, "fraction") == "inf"
