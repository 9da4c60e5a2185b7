"""The rows of a leaderboard, and their output on the terminal."""

from __future__ import annotations

import io
import json
import math
import time
from pathlib import Path
from typing import Any

import pytest
import scipy.stats
from helpers.commands import run_quintain
from helpers.record_factory import cost_values, data_values, make_record, record_values
from rich.console import Console

from quintain.records.schema import Record
from quintain.report.formats.json_csv import to_json, to_values
from quintain.report.formatting import decimal_places, format_count, format_seconds
from quintain.report.leaderboard import build_leaderboard
from quintain.report.terminal.console import make_console
from quintain.report.terminal.records_list import print_records, records_json
from quintain.report.terminal.table import print_leaderboard


def shown(records: list[Record], width: int | None = None) -> str:
    out = io.StringIO()
    print_leaderboard(records, Console(file=out, width=width) if width else make_console(out))
    return out.getvalue()


def seeds(*scores: float | None, **changes: Any) -> list[Record]:
    return [make_record(seed=i, score=score, **changes) for i, score in enumerate(scores, 1)]


def test_row_is_the_mean_over_seeds_with_students_interval() -> None:
    (row,) = build_leaderboard(seeds(0.8, 0.9, 0.85)).rows
    low, high = scipy.stats.t.interval(0.95, 2, 0.85, scipy.stats.sem([0.8, 0.9, 0.85]))
    assert (row.mean, row.ci_low, row.ci_high) == pytest.approx((0.85, low, high))
    assert (row.n, row.seeds, row.rank, row.variant) == (3, [1, 2, 3], 1, "")
    assert (row.params, row.train_seconds, row.samples_per_second) == (49800, 12.5, 1234.5)


def test_rows_are_sorted_best_first_with_baselines_between() -> None:
    records = [
        *seeds(0.5, model="cnn"),
        *seeds(0.9, model="lstm"),
        make_record(model="linear", score=0.7, baseline=True),
        *(
            make_record(dataset="load", task="forecast", model=m, score=s)
            for m, s in (("a", 2.0), ("b", 1.0))
        ),
    ]
    board = build_leaderboard(records)
    assert [(r.dataset, r.model, r.rank) for r in board.rows] == [
        ("digits", "lstm", 1),
        ("digits", "linear", None),
        ("digits", "cnn", 2),
        ("load", "b", 1),
        ("load", "a", 2),
    ]


def test_rows_of_different_settings_show_the_difference() -> None:
    slow = {"optimizer": {"_target_": "optimizer.adam", "lr": 0.001}}
    rows = build_leaderboard(
        [*seeds(0.9, 0.8), *seeds(0.7, cell=slow), *seeds(0.1, model="cnn")]
    ).rows
    sizes = {(row.model, row.variant): row.n for row in rows}
    assert sizes == {
        ("lstm", "optimizer.lr=0.01"): 2,
        ("lstm", "optimizer.lr=0.001"): 1,
        ("cnn", ""): 1,
    }


def test_a_different_option_name_is_shown_instead_of_its_settings() -> None:
    large = {"budget": {"_target_": "budget.large", "steps": 900}}
    rows = build_leaderboard(
        [make_record(), make_record(names={"budget": "large"}, cell=large)]
    ).rows
    assert {row.comparison for row in rows} == {"budget=small", "budget=large"}


def budget(steps: int, params: int) -> dict[str, Any]:
    return {"budget": {"_target_": "budget.small", "steps": steps, "params": params}}


def test_budgets_are_not_ranked_against_each_other() -> None:
    few, many = budget(20, 50_000), budget(300, 200_000)
    records = [
        *seeds(0.5, 0.6, model="mlp", cell=few),
        make_record(model="cnn", score=0.9, cell=many),
        make_record(model="lstm", score=0.8, cell=many, names={"budget": "same_by_another_name"}),
        make_record(model="majority", score=0.1, baseline=True, cell=few),
    ]
    large = "budget.params=200000, budget.steps=300"
    small = "budget.params=50000, budget.steps=20"
    ranked = [(r.comparison, r.model, r.rank) for r in build_leaderboard(records).rows]
    assert ranked == [
        (large, "cnn", 1),
        (large, "lstm", 2),
        (large, "majority", None),
        (small, "mlp", 1),
        (small, "majority", None),
    ]
    titles = [line for line in shown(records).splitlines() if "image, classify" in line]
    assert [large in titles[0], small in titles[1], len(titles)] == [True, True, 2]


def test_different_data_settings_are_not_ranked_against_each_other() -> None:
    hard = {"dataset": {"_target_": "dataset.digits", "noise": 2}}
    rows = build_leaderboard([make_record(), make_record(model="cnn", score=0.2, cell=hard)]).rows
    assert [(r.comparison, r.rank) for r in rows] == [
        ("dataset.noise=2", 1),
        ("dataset.noise=unset", 1),
    ]


def test_a_mean_is_over_seeds_with_the_same_data() -> None:
    other_content = make_record(
        seed=3, score=0.1, data=data_values() | {"fingerprint": "sha256:22"}
    )
    rows = build_leaderboard([*seeds(0.8, 0.9), other_content]).rows
    tables = {row.comparison: (row.mean, row.seeds, row.rank) for row in rows}
    assert tables == {
        "data=sha256:11": (pytest.approx(0.85), [1, 2], 1),
        "data=sha256:22": (0.1, [3], 1),
    }


def test_times_are_of_one_machine_and_different_versions_are_noted() -> None:
    slow = cost_values() | {"samples_per_second": 1.0}
    away = {"machine": {"host": "beef"}, "versions": {"quintain": "0.2.0"}, "cost": slow}
    records = [make_record(seed=1, **away), make_record(seed=2), make_record(seed=3)]
    (row,) = build_leaderboard(records).rows
    assert (row.n, row.samples_per_second) == (3, 1234.5)
    assert row.notes == [
        "the seeds ran under different versions of quintain: 0.1.0, 0.2.0",
        "the seeds ran on 2 machines; times are over the 2 of 3 on one of them",
    ]
    assert all(f"lstm: {note}" in shown(records) for note in row.notes)


def test_each_hardware_option_has_a_row_without_a_variant() -> None:
    rows = build_leaderboard([make_record(), make_record(names={"hardware": "cuda"})]).rows
    assert {(row.hardware, row.variant) for row in rows} == {("cpu", ""), ("cuda", "")}


def test_non_default_settings_are_shown_even_without_other_rows() -> None:
    changed = {"optimizer.lr": 0.01, "stem": "strips", "head": "classify", "dataset.path": "a.csv"}
    record = make_record(changed=changed | {"budget.steps": 7})
    (row,) = build_leaderboard([record]).rows
    assert row.variant == "stem=strips, optimizer.lr=0.01"  # the title has the task, as it is
    assert row.comparison == "budget.steps=7, dataset.path=a.csv"
    assert row.changed == record.changed
    text = shown([record], width=80)
    assert "stem=strips" in text and "optimizer.lr=0.01" in text and "dataset.path=a.csv" in text
    (baseline,) = build_leaderboard(
        [make_record(model="linear", baseline=True, changed=changed)]
    ).rows
    assert baseline.variant == "stem=strips"


def test_older_records_without_defaults_combine_with_newer_ones() -> None:
    (row,) = build_leaderboard([make_record()]).rows
    assert (row.changed, row.variant) == (None, "")
    newer = {"changed": {"optimizer.lr": 0.01}}
    (row,) = build_leaderboard([make_record(seed=1), make_record(seed=2, **newer)]).rows
    assert (row.n, row.variant) == (2, "optimizer.lr=0.01")


@pytest.mark.parametrize("lists_changes", [True, False])
def test_user_files_are_shown_by_path_and_distinguished_by_content(lists_changes: bool) -> None:
    def record(digit: str) -> Record:
        cell = {"dataset": {"path": f"sha256:{digit * 64}", "root": f"sha256:{digit * 64}"}}
        name = {"changed": {"dataset.path": "a.csv"}} if lists_changes else {}
        return make_record(
            cell=cell, data=data_values() | {"fingerprint": f"sha256:{digit * 64}"}, **name
        )

    labels = [row.comparison for row in build_leaderboard([record("1"), record("2")]).rows]
    if lists_changes:
        assert labels == [f"dataset.path=a.csv, data=sha256:{d * 12}" for d in "12"]
    else:  # a record of an older version, of which only the content is known
        assert labels == [f"dataset.{{}}=sha256:{d * 12}".format("path")
                        + f", dataset.root=sha256:{d * 12}" for d in "12"]  # fmt: skip


def test_equal_means_share_a_rank() -> None:
    scores = {"a": 0.5, "b": 0.9, "c": 0.5, "d": 0.9, "e": 0.1}
    rows = build_leaderboard(
        [make_record(model=model, score=score) for model, score in scores.items()]
    ).rows
    assert [(row.model, row.rank) for row in rows] == [
        ("b", 1), ("d", 1), ("a", 3), ("c", 3), ("e", 5)]  # fmt: skip


def test_one_file_for_two_tasks_gives_no_note_about_versions_of_the_data() -> None:
    forecast = data_values("forecast") | {"fingerprint": "sha256:22"}
    two_tasks = [make_record(), make_record(task="forecast", data=forecast)]
    assert build_leaderboard(two_tasks).notes == []
    cell = {"dataset": {"_target_": "dataset.digits", "word": "colour"}}
    assert (
        build_leaderboard(
            [make_record(), make_record(cell=cell, data=data_values() | {"fingerprint": "x"})]
        ).notes
        == []
    )


def test_only_the_newest_code_counts() -> None:
    newer = {"cell": {"sources": {"model": "bb"}}, "finished": "2026-11-02T00:00:00.5Z"}
    older_failure = make_record(seed=7, status="failed")
    board = build_leaderboard([*seeds(0.1, 0.2), *seeds(0.9, **newer), older_failure])
    assert [(row.mean, row.n) for row in board.rows] == [(0.9, 1)]
    assert board.notes == ["1 older result of earlier code left out"] and board.failed == []


def test_baselines_have_one_row_for_any_hardware_and_budget() -> None:
    large_on_cuda = {"names": {"hardware": "cuda", "budget": "large"}}
    records = [make_record(model="majority", baseline=True, **more) for more in ({}, large_on_cuda)]
    assert len(build_leaderboard(records).rows) == 1


def test_failed_and_skipped_are_listed_and_counted() -> None:
    board = to_values(
        build_leaderboard(
            [
                *seeds(0.5, 0.6),
                make_record(seed=3, status="failed"),
                make_record(model="mlp", status="skipped"),
            ]
        )
    )
    assert board["rows"][0]["n"] == 2
    assert "1 of 3 seeds failed (oom)" in board["notes"][0]
    assert board["failed"][0]["kind"] == "oom" and board["failed"][0]["seed"] == 3
    assert board["skipped"][0]["reason"] == "needs a grid"


def test_missing_score_makes_the_mean_missing_and_sorts_last() -> None:
    rows = build_leaderboard([*seeds(0.5, math.nan, model="cnn"), *seeds(0.1)]).rows
    assert [(row.model, row.mean, row.rank) for row in rows] == [
        ("lstm", 0.1, 1),
        ("cnn", None, None),
    ]
    assert rows[1].n == 2 and "– ± –" in shown(seeds(0.5, math.nan))


def test_different_data_of_the_same_name_are_noted() -> None:
    board = build_leaderboard(
        [make_record(), make_record(model="cnn", data=data_values() | {"fingerprint": "sha256:22"})]
    )
    assert "2 different versions of the data" in board.notes[0]


def test_json_has_no_nan_and_all_fields() -> None:
    text = to_json(build_leaderboard(seeds(0.5, math.inf)))
    row = json.loads(text)["rows"][0]
    assert row["mean"] is None
    empty = to_values(build_leaderboard([]))
    assert all(empty[name] == [] for name in ("rows", "notes", "failed", "skipped"))
    expected = "dataset modality task model hardware budget metric direction mean ci_low ci_high n"
    expected += " params train_seconds samples_per_second baseline generated unit group variant"
    assert set((expected + " seeds trust comparison notes").split()) <= set(row)


def test_terminal_table_shows_scores_and_failed_checks() -> None:
    wide = cost_values() | {"params": 60000}
    doubt = {"input_bound": {"ok": False, "note": "data wait 40 %"}}
    text = shown(
        [
            *seeds(0.9, 0.8, model="cnn", data=data_values() | {"generated": True}),
            make_record(cost=wide, trust=doubt),
            make_record(model="majority", score=0.1, baseline=True),
        ]
    )
    assert "digits  image, classify, accuracy (fraction) ↑  generated data" in text
    assert "0.8500 ± 0.6353" in text and "0.9000 ± –" in text and "49.8k" in text
    assert "one seed, so no interval: run more, as with seed=1,2,3" in text
    assert "lstm: 60,000 parameters are 120% of the budget's 50,000" in text
    assert "~ rough times: input_bound: lstm (first: data wait 40 %)" in text
    assert "base  majority" in text


def test_matrix_has_one_row_per_model_and_a_dash_for_missing_results() -> None:
    records = [
        make_record(),
        make_record(dataset="load", task="forecast", score=2.5),
        make_record(model="cnn"),
    ]
    matrix = shown(records).partition("all datasets")[2].partition("\n\n")[0]
    rows = {line.split()[0]: line.split()[1:] for line in matrix.splitlines() if line[:1].isalpha()}
    assert rows["lstm"] == ["0.9000", "2.500"] and rows["cnn"] == ["0.9000", "–"]
    assert "all datasets" not in shown([make_record()])


@pytest.mark.parametrize("name", ["[red]x", "[/]", "a[bold", ":smile:", "\\[b]"])
def test_names_are_shown_without_interpreting_markup(name: str) -> None:
    assert name in shown([make_record(model=name), make_record(dataset="b", model=name)])
    out = io.StringIO()
    print_records([make_record(model=name)], make_console(out))
    assert name in out.getvalue()


def test_control_characters_do_not_reach_the_terminal() -> None:
    failure = {"kind": "exception", "type": "E", "message": "\n\x1b[2Jgone\nsecond"}
    text = shown([make_record(status="failed", error=failure)])
    assert "\x1b" not in text and "[2Jgone" in text and "second" not in text


ESCAPE = "cnn\x1b]0;owned\x07\x1b[2J\x9b31m"


def test_control_characters_of_file_names_and_cards_do_not_reach_the_terminal(
    tmp_path: Path,
) -> None:
    """The name of a YAML file is the name of its option."""
    file = tmp_path / "own" / "conf" / "model" / f"{ESCAPE}.yaml"
    file.parent.mkdir(parents=True)
    file.write_text('_target_: a.B\ncard: {about: "x\\e[2J", needs: ["y\\e[2J"]}\n')
    for words in (["list"], ["list", "model"], ["list", "--format", "json"], ["list", ESCAPE]):
        code, out, err = run_quintain(*words, "plugins_dir=own", cwd=tmp_path)
        assert code == 0 or words[-1] == ESCAPE
        assert "owned" in out + err
        assert all(c.isprintable() or c == "\n" for c in out + err)


def test_lines_fold_at_eighty_columns_but_not_in_pipes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("COLUMNS", raising=False)
    name = "transformer_with_a_very_long_name_indeed_v2"
    records = [
        make_record(model=name),
        make_record(model="cnn", score=0.2),
        make_record(dataset="b", model=name),
    ]
    narrow = shown(records, width=80)
    assert max(map(len, narrow.splitlines())) <= 80 and "…" not in narrow
    assert name in shown(records)
    monkeypatch.setenv("COLUMNS", "80")
    assert shown(records) == narrow


@pytest.mark.parametrize("width", [40, 60, 80, 100, 140, 1000])
def test_a_narrow_terminal_gets_fewer_columns_and_complete_numbers(width: int) -> None:
    name = "transformer_with_a_long_name_v2"
    records = [
        *seeds(0.9, 0.8, model=name),
        *seeds(0.7, 0.6, model="cnn", names={"hardware": "a_far_away_accelerator"}),
        *(make_record(dataset=f"dataset_{i}", score=i / 7, model="cnn") for i in range(12)),
    ]
    text = shown(records, width=width)
    lines = text.splitlines()
    assert max(map(len, lines)) <= width and "…" not in text
    for number in ("0.8500 ± 0.6353", "0.6500 ± 0.6353", *(f"{i / 7:.4f}" for i in range(1, 7))):
        assert number in text
    unfolded = " ".join(text.split())
    assert ("no room in" in unfolded) == (width < 106)
    if width < 106:
        needed = int(unfolded.partition("COLUMNS=")[2].split()[0])
        assert "no room" not in shown(records, width=needed)
        assert "no room" in shown(records, width=needed - 1)
    matrix = text.partition("all datasets")[2]
    assert all(f"dataset_{i}" in matrix for i in range(12))


def test_matrix_shows_shared_settings_once_and_marks_unlisted_ones() -> None:
    few = {"budget.steps": 7}
    slow = {"optimizer": {"_target_": "optimizer.adam", "lr": 0.1}}
    records = [
        make_record(changed=few),
        make_record(changed=few | {"optimizer.lr": 0.1}, cell=slow, score=0.5),
        make_record(dataset="b", changed=few | {"model.depth": 3}, score=0.25),
        make_record(dataset="b", changed=few, model="cnn", score=0.75),
    ]
    matrix = shown(records).partition("all datasets")[2]
    assert matrix.count("budget.steps=7") == 1
    rows = {line.split("  ")[0]: line.split()[-2:] for line in matrix.splitlines() if "." in line}
    assert rows["lstm"] == ["–", "0.9000"]
    assert rows["lstm (optimizer.lr=0.1)"] == ["–", "0.5000"]
    assert rows["cnn"] == ["0.7500", "–"]
    assert "0.2500" in matrix and "model.depth=3" not in matrix.partition("*")[2]


def test_list_of_records() -> None:
    records = [make_record(seed=2), make_record(), make_record(model="gru", status="failed")]
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
    print_records([], make_console(out))
    assert out.getvalue() == "no records\n"


def test_numbers_are_formatted_for_people() -> None:
    assert [format_count(v) for v in (None, 7, 1.5, 49800, 2.5e6, 3e9)] == [
        "–", "7", "1.5", "49.8k", "2.5M", "3.0G"]  # fmt: skip
    assert [format_seconds(v) for v in (None, 0.421, 12.54, 3600.4)] == [
        "–",
        "0.42",
        "12.5",
        "3600",
    ]
    assert [decimal_places([v]) for v in (0.98, 1.5, 123.4, 0.0004, 0.0, 1e6)] == [4, 3, 1, 7, 3, 0]


def test_forty_records_take_less_than_a_third_of_a_second() -> None:
    texts = [
        json.dumps(record_values(model=model, seed=seed, step_times_ms=[i / 7 for i in range(400)]))
        for model in "abcdefgh"
        for seed in range(5)
    ]
    started = time.process_time()
    shown([Record.model_validate_json(text) for text in texts])
    assert time.process_time() - started < 0.3


def test_equal_data_from_different_files_are_distinguished() -> None:
    """For example after an unreadable image, which was ignored before, was deleted."""
    changed = {"dataset.path": "photos"}
    records = [make_record(cell={"dataset": {"path": f"sha256:{digest * 64}"}}, changed=changed)
               for digest in "12"]  # fmt: skip
    titles = {row.comparison for row in build_leaderboard(records).rows}
    start = "dataset.path=photos, data=sha256:11, files=sha256:"
    assert titles == {start + digest * 12 for digest in "12"}
