"""Seeds that a row lacks, seeds that collapsed, and baselines that no model beats."""

from __future__ import annotations

import random
from typing import Any

import pytest
from helpers.record_factory import make_record, quality_values

from quintain.records.schema import Record
from quintain.report.formats.markdown import to_markdown
from quintain.report.leaderboard import build_leaderboard
from quintain.report.rows import Row


def seeds(model: str, *scores: float | None, **changes: Any) -> list[Record]:
    return [make_record(model=model, seed=i, score=s, **changes) for i, s in enumerate(scores, 1)]


def baseline(model: str, score: float, **changes: Any) -> Record:
    return make_record(model=model, score=score, baseline=True, seed=0, **changes)


def rows(*records: Record) -> dict[str, Row]:
    return {row.model: row for row in build_leaderboard(records).rows}


@pytest.mark.parametrize(
    ("scores", "collapsed"),
    [
        ((0.95, 0.93, 0.10), [3]),
        ((0.11, 0.94, 0.10, 0.95, 0.93), [1, 3]),
        ((0.95, 0.10), [2]),
        ((0.95, 0.90, 0.85), []),  # noisy
        ((0.95, 0.80, 0.60, 0.40, 0.25), []),  # very noisy, but evenly spread
        ((0.95, 0.95, 0.95), []),
        ((0.95,), []),
        ((0.95, None, 0.10), [3]),
    ],
)
def test_seeds_that_collapsed_are_named(scores: Any, collapsed: list[int]) -> None:
    """The naive baseline has 0.1, so a quarter of the scale is about 0.2."""
    row = rows(*seeds("lstm", *scores), *seeds("cnn", 0.95, 0.94, 0.93), baseline("naive", 0.1))[
        "lstm"
    ]
    assert row.collapsed_seeds == collapsed
    assert any("two groups" in note for note in row.notes) == bool(collapsed)


def test_collapsed_seeds_where_less_is_better_and_without_a_baseline() -> None:
    load: dict[str, Any] = {"task": "forecast", "dataset": "load"}
    records = seeds("lstm", 2.1, 2.2, 60.0, **load)
    (row,) = rows(*records).values()
    assert row.collapsed_seeds == [3]
    (note,) = row.notes
    assert note.startswith("the seeds fall into two groups, 60.00 (seed 3) and 2.10 to 2.20 (seeds")
    board = to_markdown(build_leaderboard(records))
    assert "| lstm \\! |" in board.replace("*", "") and "two groups" in board


def test_ordinary_noise_is_rarely_called_a_collapse() -> None:
    """Normal scores that vary by a tenth of the distance to the baseline, which is much."""
    draw, flagged = random.Random(1), 0
    for _ in range(200):
        scores = [draw.gauss(0.9, 0.08) for _ in range(draw.choice((2, 3, 5)))]
        flagged += bool(rows(*seeds("a", *scores), baseline("naive", 0.1))["a"].collapsed_seeds)
    assert flagged <= 10


def test_a_row_names_the_seeds_that_it_lacks() -> None:
    failed = make_record(model="gru", seed=2, status="failed")
    board = build_leaderboard([*seeds("cnn", 0.9, 0.8, 0.7), *seeds("lstm", 0.5, None, 0.6),
                               *seeds("mlp", 0.3), *seeds("gru", 0.2), failed])  # fmt: skip
    notes = {row.model: row.notes for row in board.rows}
    assert notes["cnn"] == []
    assert notes["lstm"] == ["no accuracy on test for seed 2, so there is no mean"]
    assert notes["mlp"] == ["no score for seeds 2, 3, which another row of this table has"]
    many = rows(*seeds("cnn", *[0.5 + i / 100 for i in range(12)]), *seeds("mlp", 0.3, 0.31))
    assert many["mlp"].notes == ["no score for seeds 3–12, which another row of this table has"]
    assert "digits/gru: 1 of 2 seeds failed (oom): 2; the mean is over 1" in board.notes


def test_no_model_beats_a_baseline_that_is_as_good() -> None:
    records = [*seeds("lstm", 0.80, 0.82, 0.81), *seeds("cnn", 0.70, 0.71, 0.72)]
    board = build_leaderboard([*records, baseline("linear", 0.95), baseline("naive", 0.1)])
    by_model = {row.model: row for row in board.rows}
    assert {m: row.beaten_by for m, row in by_model.items()} == {
        "linear": "", "lstm": "linear", "cnn": "linear", "naive": ""}  # fmt: skip
    assert by_model["lstm"].rank == 1 and not by_model["lstm"].is_winner
    (sentence,) = board.sentences
    start = "On `digits`, no model beats linear: 0.9500 against 0.8100 ± 0.0248 for lstm."
    assert sentence.startswith(start)
    text = to_markdown(board)
    assert "**" not in text and "- no model beats linear" in text
    won = build_leaderboard([*records, baseline("linear", 0.75)])
    assert {row.model: row.beaten_by for row in won.rows if not row.baseline} == {
        "lstm": "", "cnn": "linear"}  # fmt: skip
    assert "| **1** | **lstm** |" in to_markdown(won) and "beat" not in won.sentences[0]


def test_one_model_with_one_seed_is_held_against_the_baseline_too() -> None:
    load: dict[str, Any] = {"task": "forecast", "dataset": "load"}
    board = build_leaderboard([*seeds("lstm", 0.5, **load), baseline("persistence", 0.4, **load)])
    assert board.sentences == [
        "On `load`, no model beats persistence: 0.4000 against 0.5000 ± – for lstm."
    ]


def test_a_baseline_inside_the_interval_is_not_shown_to_be_beaten() -> None:
    board = build_leaderboard([*seeds("lstm", 0.80, 0.84, 0.76), baseline("linear", 0.79)])
    (sentence,) = board.sentences
    assert sentence.startswith("On `digits`, lstm is not shown to beat linear: 0.7900 against")
    assert board.rows[0].is_winner


def test_rough_times_are_marked_in_sentences() -> None:
    rough = {"noise_floor": {"ok": False, "note": ""}}
    slow = make_record().cost
    assert slow is not None
    cost = slow.model_dump() | {"seconds": slow.seconds.model_dump() | {"training": 50.0}}
    records = [*seeds("a", 0.80, 0.82, 0.81, trust=rough), *seeds("b", 0.80, 0.83, 0.80, cost=cost)]
    (sentence,) = build_leaderboard(records).sentences
    assert "a trains ~4.0× faster" in sentence


def test_sentences_and_overall_tables_name_the_users_files() -> None:
    records = []
    for name in ("sales.csv", "visits.csv"):
        changed = {"dataset.path": name, "dataset.target": ["a", "b"]}
        cell = {"dataset": {"path": f"sha256:{len(name):064d}", "target": ["a", "b"]}}
        own: dict[str, Any] = {"dataset": "csv_series", "cell": cell, "changed": changed}
        for model, score in (("a", 0.9), ("b", 0.5)):
            if (model, name) != ("b", "visits.csv"):
                records += seeds(model, score, score + 0.01, score - 0.02, **own)
        records.append(baseline("naive", 0.1, **own))
    board = build_leaderboard(records)
    first = 'On `csv_series` (path=sales.csv, target=["a", "b"]), a has the best mean'
    assert board.sentences[0].startswith(first)
    missing = {model.model: model.missing for model in board.overall}
    assert missing["b"] == 'csv_series (path=visits.csv, target=["a", "b"])'


def test_titles_do_not_change_when_other_tables_arrive() -> None:
    default = make_record(changed={})
    longer = make_record(
        changed={"budget.steps": 300}, cell={"budget": {"_target_": "budget.small", "steps": 300}}
    )
    other = make_record(changed={"dataset.noise": 2}, cell={"dataset": {"noise": 2}})
    (alone,) = build_leaderboard([default]).rows
    titles = {row.comparison for row in build_leaderboard([default, longer, other]).rows}
    assert alone.comparison == ""
    assert titles == {"", "budget.steps=300", "dataset.noise=2"}
    board = build_leaderboard([*seeds("a", 0.1, 0.2, changed={}),
                               *seeds("b", 0.8, 0.9, changed={}), longer])  # fmt: skip
    assert board.sentences[0].startswith("On `digits`, "), "one of its tables has no settings"


def test_one_diverged_model_does_not_take_the_digits_of_the_others() -> None:
    load: dict[str, Any] = {"task": "forecast", "dataset": "load"}
    records = [*seeds("a", 0.25, **load), *seeds("b", 0.5, **load), *seeds("c", 1e30, **load),
               *seeds("d", 1e308, **load), *seeds("e", 40_000.0, **load)]  # fmt: skip
    text = to_markdown(build_leaderboard(records)).replace("\\", "").replace("*", "")
    for shown in ("0.2500 ± –", "0.5000 ± –", "1.000e+30 ± –", "1.000e+308 ± –", "40000.0000 ± –"):
        assert f"| {shown} |" in text


def test_huge_validation_scores_and_times_make_no_board_fail() -> None:
    """Means over seeds, targets and sums of 1e308 overflow."""
    records = []
    for dataset in ("x", "y"):
        for model, scale in (("a", 1.0), ("b", 0.7)):
            for seed in (1, 2, 3):
                quality = quality_values("forecast", 1e308 * scale * (-1) ** seed)
                cost = make_record().cost
                assert cost is not None
                huge = cost.model_dump() | {"samples_per_second": 1.7e308}
                records.append(make_record(model=model, seed=seed, dataset=dataset, cost=huge,
                                           task="forecast", quality=quality))  # fmt: skip
        records.append(baseline("naive", 1.7e308, dataset=dataset, task="forecast"))
    text = to_markdown(build_leaderboard(records))
    assert max(map(len, text.split())) < 40
