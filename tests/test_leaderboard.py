"""From records to rows, and from rows to a terminal."""

from __future__ import annotations

import io
import json
import math
import time
from typing import Any

import pytest
import scipy.stats
from records_factory import cost, data, make, plain
from rich.console import Console

from quintain.records.schema import Record
from quintain.report.formats.values import json_text
from quintain.report.formats.values import plain as as_values
from quintain.report.leaderboard import leaderboard
from quintain.report.records_list import print_records, records_json
from quintain.report.table import print_leaderboard
from quintain.report.text import console, count, decimals, seconds


def shown(records: list[Record], width: int | None = None) -> str:
    out = io.StringIO()
    print_leaderboard(records, Console(file=out, width=width) if width else console(out))
    return out.getvalue()


def seeds(*scores: float | None, **changes: Any) -> list[Record]:
    return [make(seed=i, score=score, **changes) for i, score in enumerate(scores, 1)]


def test_row_is_the_mean_over_seeds_with_students_interval() -> None:
    (row,) = leaderboard(seeds(0.8, 0.9, 0.85)).rows
    low, high = scipy.stats.t.interval(0.95, 2, 0.85, scipy.stats.sem([0.8, 0.9, 0.85]))
    assert (row.mean, row.ci_low, row.ci_high) == pytest.approx((0.85, low, high))
    assert (row.n, row.seeds, row.rank, row.variant) == (3, [1, 2, 3], 1, "")
    assert (row.params, row.train_seconds, row.samples_per_second) == (49800, 12.5, 1234.5)


def test_best_first_in_the_scores_direction_with_references_between() -> None:
    records = [
        *seeds(0.5, model="cnn"),
        *seeds(0.9, model="lstm"),
        make(model="linear", score=0.7, reference=True),
        *(
            make(dataset="load", task="forecast", model=m, score=s)
            for m, s in (("a", 2.0), ("b", 1.0))
        ),
    ]
    board = leaderboard(records)
    assert [(r.dataset, r.model, r.rank) for r in board.rows] == [
        ("digits", "lstm", 1),
        ("digits", "linear", None),
        ("digits", "cnn", 2),
        ("load", "b", 1),
        ("load", "a", 2),
    ]


def test_other_settings_are_other_rows_that_say_what_differs() -> None:
    slow = {"optimizer": {"_target_": "optimizer.adam", "lr": 0.001}}
    rows = leaderboard([*seeds(0.9, 0.8), *seeds(0.7, cell=slow), *seeds(0.1, model="cnn")]).rows
    told = {(row.model, row.variant): row.n for row in rows}
    assert told == {
        ("lstm", "optimizer.lr=0.01"): 2,
        ("lstm", "optimizer.lr=0.001"): 1,
        ("cnn", ""): 1,
    }


def test_a_name_that_differs_says_it_all() -> None:
    large = {"budget": {"_target_": "budget.large", "steps": 900}}
    rows = leaderboard([make(), make(names={"budget": "large"}, cell=large)]).rows
    assert {row.comparison for row in rows} == {"budget=small", "budget=large"}


def sized(steps: int, params: int) -> dict[str, Any]:
    return {"budget": {"_target_": "budget.small", "steps": steps, "params": params}}


def test_budgets_are_not_ranked_against_each_other() -> None:
    few, many = sized(20, 50_000), sized(300, 200_000)
    records = [
        *seeds(0.5, 0.6, model="mlp", cell=few),
        make(model="cnn", score=0.9, cell=many),
        make(model="lstm", score=0.8, cell=many, names={"budget": "same_by_another_name"}),
        make(model="majority", score=0.1, reference=True, cell=few),
    ]
    large = "budget.params=200000, budget.steps=300"
    small = "budget.params=50000, budget.steps=20"
    ranked = [(r.comparison, r.model, r.rank) for r in leaderboard(records).rows]
    assert ranked == [
        (large, "cnn", 1),
        (large, "lstm", 2),
        (large, "majority", None),
        (small, "mlp", 1),
        (small, "majority", None),
    ]
    titles = [line for line in shown(records).splitlines() if "image, classify" in line]
    assert [large in titles[0], small in titles[1], len(titles)] == [True, True, 2]


def test_settings_of_the_data_are_not_ranked_against_each_other() -> None:
    hard = {"dataset": {"_target_": "dataset.digits", "noise": 2}}
    rows = leaderboard([make(), make(model="cnn", score=0.2, cell=hard)]).rows
    assert [(r.comparison, r.rank) for r in rows] == [
        ("dataset.noise=2", 1),
        ("dataset.noise=unset", 1),
    ]


def test_a_mean_is_over_one_content_of_the_data() -> None:
    other = make(seed=3, score=0.1, data=data() | {"fingerprint": "sha256:22"})
    rows = leaderboard([*seeds(0.8, 0.9), other]).rows
    told = {row.comparison: (row.mean, row.seeds, row.rank) for row in rows}
    assert told == {
        "data=sha256:11": (pytest.approx(0.85), [1, 2], 1),
        "data=sha256:22": (0.1, [3], 1),
    }


def test_times_are_of_one_machine_and_mixed_versions_are_told() -> None:
    slow = cost() | {"samples_per_second": 1.0}
    away = {"machine": {"host": "beef"}, "versions": {"quintain": "0.2.0"}, "cost": slow}
    records = [make(seed=1, **away), make(seed=2), make(seed=3)]
    (row,) = leaderboard(records).rows
    assert (row.n, row.samples_per_second) == (3, 1234.5)
    assert row.notes == [
        "the seeds ran under different versions of quintain: 0.1.0, 0.2.0",
        "the seeds ran on 2 machines; times are over the 2 of 3 on one of them",
    ]
    assert all(f"lstm: {note}" in shown(records) for note in row.notes)


def test_rows_are_apart_by_hardware_without_variant() -> None:
    rows = leaderboard([make(), make(names={"hardware": "cuda"})]).rows
    assert {(row.hardware, row.variant) for row in rows} == {("cpu", ""), ("cuda", "")}


def test_what_is_off_its_default_is_shown_with_nothing_beside_it() -> None:
    mine = {"optimizer.lr": 0.01, "stem": "strips", "head": "classify", "dataset.path": "a.csv"}
    made = make(changed=mine | {"budget.steps": 7})
    (row,) = leaderboard([made]).rows
    assert row.variant == "stem=strips, optimizer.lr=0.01"  # the title has the task, as it is
    assert row.comparison == "budget.steps=7, dataset.path=a.csv"
    assert row.changed == made.changed
    text = shown([made], width=80)
    assert "stem=strips" in text and "optimizer.lr=0.01" in text and "dataset.path=a.csv" in text
    (reference,) = leaderboard([make(model="linear", reference=True, changed=mine)]).rows
    assert reference.variant == "stem=strips"


def test_older_records_tell_no_defaults_and_seeds_may_be_of_both() -> None:
    (row,) = leaderboard([make()]).rows
    assert (row.changed, row.variant) == (None, "")
    newer = {"changed": {"optimizer.lr": 0.01}}
    (row,) = leaderboard([make(seed=1), make(seed=2, **newer)]).rows
    assert (row.n, row.variant) == (2, "optimizer.lr=0.01")


@pytest.mark.parametrize("kept", [True, False])
def test_the_users_files_go_by_name_and_of_one_name_stay_apart(kept: bool) -> None:
    def of(digit: str) -> Record:
        cell = {"dataset": {"path": f"sha256:{digit * 64}", "root": f"sha256:{digit * 64}"}}
        name = {"changed": {"dataset.path": "a.csv"}} if kept else {}
        return make(cell=cell, data=data() | {"fingerprint": f"sha256:{digit * 64}"}, **name)

    told = [row.comparison for row in leaderboard([of("1"), of("2")]).rows]
    if kept:
        assert told == [f"dataset.path=a.csv, data=sha256:{d * 12}" for d in "12"]
    else:  # by an older version: nothing but the content is known
        assert told == [f"dataset.{{}}=sha256:{d * 12}".format("path")
                        + f", dataset.root=sha256:{d * 12}" for d in "12"]  # fmt: skip


def test_equal_means_share_a_rank() -> None:
    scores = {"a": 0.5, "b": 0.9, "c": 0.5, "d": 0.9, "e": 0.1}
    rows = leaderboard([make(model=model, score=score) for model, score in scores.items()]).rows
    assert [(row.model, row.rank) for row in rows] == [
        ("b", 1), ("d", 1), ("a", 3), ("c", 3), ("e", 5)]  # fmt: skip


def test_one_file_for_two_tasks_is_no_second_version_of_the_data() -> None:
    other = data("forecast") | {"fingerprint": "sha256:22"}
    two_tasks = [make(), make(task="forecast", data=other)]
    assert leaderboard(two_tasks).notes == []
    cell = {"dataset": {"_target_": "dataset.digits", "word": "colour"}}
    assert leaderboard([make(), make(cell=cell, data=data() | {"fingerprint": "x"})]).notes == []


def test_only_the_newest_code_counts() -> None:
    newer = {"cell": {"sources": {"model": "bb"}}, "finished": "2026-11-02T00:00:00.5Z"}
    older_failure = make(seed=7, status="failed")
    board = leaderboard([*seeds(0.1, 0.2), *seeds(0.9, **newer), older_failure])
    assert [(row.mean, row.n) for row in board.rows] == [(0.9, 1)]
    assert board.notes == ["1 older result of earlier code left out"] and board.failed == []


def test_references_do_not_multiply_with_hardware_or_budget() -> None:
    other = {"names": {"hardware": "cuda", "budget": "large"}}
    records = [make(model="majority", reference=True, **more) for more in ({}, other)]
    assert len(leaderboard(records).rows) == 1


def test_failed_and_skipped_are_listed_and_counted() -> None:
    board = as_values(
        leaderboard(
            [*seeds(0.5, 0.6), make(seed=3, status="failed"), make(model="mlp", status="skipped")]
        )
    )
    assert board["rows"][0]["n"] == 2
    assert "1 of 3 seeds failed (oom)" in board["notes"][0]
    assert board["failed"][0]["kind"] == "oom" and board["failed"][0]["seed"] == 3
    assert board["skipped"][0]["reason"] == "needs a grid"


def test_missing_score_makes_the_mean_missing_and_comes_last() -> None:
    rows = leaderboard([*seeds(0.5, math.nan, model="cnn"), *seeds(0.1)]).rows
    assert [(row.model, row.mean, row.rank) for row in rows] == [
        ("lstm", 0.1, 1),
        ("cnn", None, None),
    ]
    assert rows[1].n == 2 and "– ± –" in shown(seeds(0.5, math.nan))


def test_different_data_under_one_name_is_flagged() -> None:
    board = leaderboard([make(), make(model="cnn", data=data() | {"fingerprint": "sha256:22"})])
    assert "2 different versions of the data" in board.notes[0]


def test_json_is_standard() -> None:
    text = json_text(leaderboard(seeds(0.5, math.inf)))
    row = json.loads(text)["rows"][0]
    assert row["mean"] is None
    empty = as_values(leaderboard([]))
    assert all(empty[name] == [] for name in ("rows", "notes", "failed", "skipped"))
    wanted = "dataset modality task model hardware budget metric direction mean ci_low ci_high n"
    wanted += " params train_seconds samples_per_second reference generated unit group variant"
    assert set((wanted + " seeds trust comparison notes").split()) <= set(row)


def test_terminal_table_says_it_all() -> None:
    wide = cost() | {"params": 60000}
    doubt = {"input_bound": {"ok": False, "note": "data wait 40 %"}}
    text = shown(
        [
            *seeds(0.9, 0.8, model="cnn", data=data() | {"generated": True}),
            make(cost=wide, trust=doubt),
            make(model="majority", score=0.1, reference=True),
        ]
    )
    assert "digits  image, classify, accuracy (fraction) ↑  generated data" in text
    assert "0.8500 ± 0.6353" in text and "0.9000 ± –" in text and "49.8k" in text
    assert "one seed: no interval; seed=1,2,3 gives one" in text
    assert "lstm: 60.0k parameters are 120% of the budget's 50.0k" in text
    assert "~ rough times: input_bound: lstm (first: data wait 40 %)" in text
    assert "ref  majority" in text


def test_matrix_has_a_row_a_model_and_a_dash_where_nothing_ran() -> None:
    records = [make(), make(dataset="load", task="forecast", score=2.5), make(model="cnn")]
    matrix = shown(records).partition("all datasets")[2].partition("\n\n")[0]
    rows = {line.split()[0]: line.split()[1:] for line in matrix.splitlines() if line[:1].isalpha()}
    assert rows["lstm"] == ["0.9000", "2.500"] and rows["cnn"] == ["0.9000", "–"]
    assert "all datasets" not in shown([make()])


@pytest.mark.parametrize("name", ["[red]x", "[/]", "a[bold", ":smile:", "\\[b]"])
def test_names_are_text_and_nothing_else(name: str) -> None:
    assert name in shown([make(model=name), make(dataset="b", model=name)])
    out = io.StringIO()
    print_records([make(model=name)], console(out))
    assert name in out.getvalue()


def test_control_characters_do_not_reach_the_terminal() -> None:
    failure = {"kind": "exception", "type": "E", "message": "\n\x1b[2Jgone\nsecond"}
    text = shown([make(status="failed", error=failure)])
    assert "\x1b" not in text and "[2Jgone" in text and "second" not in text


def test_eighty_columns_fold_and_pipes_do_not(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("COLUMNS", raising=False)
    name = "transformer_with_a_very_long_name_indeed_v2"
    records = [make(model=name), make(model="cnn", score=0.2), make(dataset="b", model=name)]
    narrow = shown(records, width=80)
    assert max(map(len, narrow.splitlines())) <= 80 and "…" not in narrow
    assert name in shown(records)
    monkeypatch.setenv("COLUMNS", "80")
    assert shown(records) == narrow


@pytest.mark.parametrize("width", [40, 60, 80, 100, 140, 1000])
def test_a_narrow_terminal_gets_fewer_columns_and_whole_numbers(width: int) -> None:
    name = "transformer_with_a_long_name_v2"
    records = [
        *seeds(0.9, 0.8, model=name),
        *seeds(0.7, 0.6, model="cnn", names={"hardware": "a_far_away_accelerator"}),
        *(make(dataset=f"dataset_{i}", score=i / 7, model="cnn") for i in range(12)),
    ]
    text = shown(records, width=width)
    lines = text.splitlines()
    assert max(map(len, lines)) <= width and "…" not in text
    for number in ("0.8500 ± 0.6353", "0.6500 ± 0.6353", *(f"{i / 7:.4f}" for i in range(1, 7))):
        assert number in text
    said = " ".join(text.split())
    assert ("no room in" in said) == (width < 106)
    if width < 106:
        needed = int(said.partition("COLUMNS=")[2].split()[0])
        assert "no room" not in shown(records, width=needed)
        assert "no room" in shown(records, width=needed - 1)
    matrix = text.partition("all datasets")[2]
    assert all(f"dataset_{i}" in matrix for i in range(12))


def test_the_matrix_says_once_what_all_have_and_marks_what_it_does_not_say() -> None:
    few = {"budget.steps": 7}
    slow = {"optimizer": {"_target_": "optimizer.adam", "lr": 0.1}}
    records = [
        make(changed=few),
        make(changed=few | {"optimizer.lr": 0.1}, cell=slow, score=0.5),
        make(dataset="b", changed=few | {"model.depth": 3}, score=0.25),
        make(dataset="b", changed=few, model="cnn", score=0.75),
    ]
    matrix = shown(records).partition("all datasets")[2]
    assert matrix.count("budget.steps=7") == 1
    rows = {line.split("  ")[0]: line.split()[-2:] for line in matrix.splitlines() if "." in line}
    assert rows["lstm"] == ["–", "0.9000"]
    assert rows["lstm (optimizer.lr=0.1)"] == ["–", "0.5000"]
    assert rows["cnn"] == ["0.7500", "–"]
    assert "0.2500" in matrix and "model.depth=3" not in matrix.partition("*")[2]


def test_list_of_records() -> None:
    records = [make(seed=2), make(), make(model="gru", status="failed")]
    entries = records_json(records)
    assert [(e["model"], e["seed"], e["status"]) for e in entries] == [
        ("gru", 1, "failed"),
        ("lstm", 1, "ok"),
        ("lstm", 2, "ok"),
    ]
    json.dumps(entries, allow_nan=False)
    out = io.StringIO()
    print_records(records, Console(file=out, width=80))
    text = out.getvalue()
    assert "oom: out of memory" in text.replace("\n", " ") or "oom:" in text
    assert records[0].key[:8] in text and max(map(len, text.splitlines())) <= 80
    out = io.StringIO()
    print_records([], console(out))
    assert out.getvalue() == "no records\n"


def test_numbers_read_well() -> None:
    assert [count(v) for v in (None, 7, 1.5, 49800, 2.5e6, 3e9)] == [
        "–", "7", "1.5", "49.8k", "2.5M", "3.0G"]  # fmt: skip
    assert [seconds(v) for v in (None, 0.421, 12.54, 3600.4)] == ["–", "0.42", "12.5", "3600"]
    assert [decimals([v]) for v in (0.98, 1.5, 123.4, 0.0004, 0.0, 1e6)] == [4, 3, 1, 7, 3, 0]


def test_forty_records_take_a_blink() -> None:
    texts = [
        json.dumps(plain(model=model, seed=seed, step_times_ms=[i / 7 for i in range(400)]))
        for model in "abcdefgh"
        for seed in range(5)
    ]
    started = time.process_time()
    shown([Record.model_validate_json(text) for text in texts])
    assert time.process_time() - started < 0.3


def test_the_same_data_from_other_files_are_told_apart() -> None:
    """As after a broken picture was taken away, that had been left out before."""
    mine = {"dataset.path": "photos"}
    rows = [make(cell={"dataset": {"path": f"sha256:{digest * 64}"}}, changed=mine)
            for digest in "12"]  # fmt: skip
    titles = {row.comparison for row in leaderboard(rows).rows}
    start = "dataset.path=photos, data=sha256:11, files=sha256:"
    assert titles == {start + digest * 12 for digest in "12"}
