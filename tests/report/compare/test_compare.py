"""`quintain compare`: which records pair, and the numbers against SciPy."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.stats
from helpers.record_factory import cost_values, make_record, make_valid_record, quality_values

from quintain.cli.main import main
from quintain.errors import StoreError
from quintain.records.bundles.exporter import export_bundle
from quintain.records.schema import Record
from quintain.records.store import Store
from quintain.report.compare.compare import Comparison, compare_sides, comparison_to_json
from quintain.report.compare.sides import code_digest
from quintain.report.compare.view import print_comparison
from quintain.report.leaderboard import build_leaderboard
from quintain.report.terminal.console import make_console

A, B = [0.9, 0.92, 0.88, 0.91], [0.85, 0.9, 0.84, 0.83]


def runs(scores: list[float], **changes: Any) -> list[Record]:
    return [make_record(seed=i, score=s, **changes) for i, s in enumerate(scores, 1)]


def write_store(folder: Path, *groups: list[Record]) -> Store:
    store = Store(folder)
    for record in (record for group in groups for record in group):
        store.write(record)
    return store


def compare(a: str, b: str, store: Store) -> Comparison:
    return compare_sides(a, b, lambda: store)


def cost_with_seconds(seconds: float) -> dict[str, Any]:
    return cost_values() | {"seconds": cost_values()["seconds"] | {"training": seconds}}


def test_two_models_by_their_common_seeds(tmp_path: Path) -> None:
    store = write_store(tmp_path, runs(A, model="a"), runs([*B, 0.1], model="b"))
    comparison = compare("a", "b", store)
    (pair,) = comparison.pairs
    expected = scipy.stats.ttest_rel(A, B)
    low, high = expected.confidence_interval()
    assert (pair.p, pair.p_holm) == (pytest.approx(expected.pvalue), pytest.approx(expected.pvalue))
    assert (pair.gain, pair.low, pair.high) == pytest.approx((np.mean(A) - np.mean(B), low, high))
    assert (comparison.kind, pair.n, pair.dropped, pair.b.n) == ("model", 4, 1, 5)
    assert pair.cohen_d == pytest.approx(np.subtract(A, B).mean() / np.subtract(A, B).std(ddof=1))


def test_a_gain_is_positive_where_less_is_better(tmp_path: Path) -> None:
    load: dict[str, Any] = {"dataset": "load", "task": "forecast"}
    store = write_store(tmp_path, runs(A, model="a", **load), runs(B, model="b", **load))
    (pair,) = compare("b", "a", store).pairs
    assert pair.gain == pytest.approx(np.mean(A) - np.mean(B))


def test_scores_in_different_units_are_not_paired(tmp_path: Path) -> None:
    percent = quality_values(score=60.0)
    percent["scores"]["accuracy"]["unit"] = "0 to 100"
    in_percent = [make_record(seed=s, model="b", quality=percent) for s in (1, 2)]
    comparison = compare("a", "b", write_store(tmp_path, runs(A, model="a"), in_percent))
    assert not comparison.pairs and (comparison.only_a, comparison.only_b) == (1, 1)
    rows = build_leaderboard([*runs(A, model="a"), *in_percent]).rows
    assert [(row.model, row.rank) for row in rows] == [("b", 1), ("a", 1)]  # in two tables


def test_cost_ratios_are_geometric_means_on_one_machine(tmp_path: Path) -> None:
    twice = [
        make_record(seed=i, score=0.5, model="a", cost=cost_with_seconds(s))
        for i, s in ((1, 10.0), (2, 40.0))
    ]
    store = write_store(tmp_path, twice, runs([0.5, 0.4], model="b"))
    (pair,) = compare("a", "b", store).pairs
    assert pair.seconds.mean == pytest.approx(20 / 12.5)
    away = runs([0.5, 0.4], model="c", machine={"host": "another"})
    (pair,) = compare("a", "c", write_store(tmp_path, away)).pairs
    assert pair.seconds.mean is None and pair.seconds.n == 0


FAST: dict[str, Any] = {"host": "one", "cpu": "Fast CPU", "cores": 2}
SLOW = FAST | {"cpu": "Slow CPU @ 1 GHz"}


def test_times_of_different_cpus_are_not_divided_without_saying_so(tmp_path: Path) -> None:
    """One host name, two CPUs: a container on another machine, or an edited record."""
    slow = cost_with_seconds(25.0)
    store = write_store(tmp_path / "both", runs(A, model="a", machine=FAST),
                        runs(B, model="b", machine=SLOW, cost=slow))  # fmt: skip
    comparison = compare("a", "b", store)
    assert comparison.pairs[0].seconds.mean is None and comparison.pairs[0].latency.mean is None
    assert comparison.notes == [
        "times of different machines are left out: a ran on Fast CPU, 2 cores, b on Slow CPU @"
        " 1 GHz, 2 cores"
    ]
    old, new = str(tmp_path / "old"), str(tmp_path / "new")
    write_store(Path(old), runs(A, machine=FAST))
    write_store(Path(new), runs(A, machine=SLOW, cost=slow))
    stores = compare(old, new, Store)
    assert stores.pairs[0].seconds.mean == pytest.approx(0.5)
    assert stores.notes == [
        f"train s and latency are ratios of times of different machines: {old} ran on Fast CPU,"
        f" 2 cores, {new} on Slow CPU @ 1 GHz, 2 cores"
    ]
    write_store(tmp_path / "again", runs(A, machine=FAST))
    assert compare(old, str(tmp_path / "again"), Store).notes == []


def test_rows_show_the_settings_that_both_sides_share(tmp_path: Path) -> None:
    for steps in (100, 300):
        budget = {"_target_": "budget.small", "steps": steps}
        changes: dict[str, Any] = {"cell": {"budget": budget}, "changed": {"budget.steps": steps}}
        for model in "ab":
            store = write_store(tmp_path, runs(A if model == "a" else B, model=model, **changes))
    assert [pair.settings for pair in compare("a", "b", store).pairs] == [
        "budget.steps=100", "budget.steps=300"]  # fmt: skip
    out = io.StringIO()
    print_comparison(["a", "b"], lambda: store, "table", make_console(out))
    assert "digits cpu budget.steps=300 accuracy" in out.getvalue()
    one = write_store(
        tmp_path / "one", [r for r in store.all() if r.changed == {"budget.steps": 300}]
    )
    out = io.StringIO()
    print_comparison(["a", "b"], lambda: one, "table", make_console(out))
    assert out.getvalue().startswith("a against b (model)  budget.steps=300\n")


def test_holm_correction_is_over_all_rows(tmp_path: Path) -> None:
    for dataset in ("x", "y", "z"):
        write_store(
            tmp_path, runs(A, model="a", dataset=dataset), runs(B, model="b", dataset=dataset)
        )
    pairs = compare("a", "b", Store(tmp_path)).pairs
    assert [pair.dataset for pair in pairs] == ["x", "y", "z"]
    assert [pair.p_holm for pair in pairs] == pytest.approx([3 * (pairs[0].p or 0)] * 3)


def test_cells_timed_alone_are_marked_and_their_scores_count_once(tmp_path: Path) -> None:
    alone: dict[str, Any] = {"cell": {"measure": {"times": "alone"}}}
    for folder, more in (("both", [{}, alone]), ("speed", [alone])):
        for changes in more:
            write_store(
                tmp_path / folder, runs(A, model="a", **changes), runs(B, model="b", **changes)
            )
    comparison = compare("a", "b", Store(tmp_path / "both"))
    assert [pair.measure for pair in comparison.pairs] == ["quality", "speed"]
    assert (
        comparison.pairs[0].p_holm == comparison.pairs[0].p and comparison.pairs[1].p_holm is None
    )
    (only,) = compare("a", "b", Store(tmp_path / "speed")).pairs
    assert only.measure == "speed" and only.p_holm == only.p
    for model, scores in (("a", A), ("b", B)):
        write_store(
            tmp_path / "more", runs(scores[:1], model=model), runs(scores, model=model, **alone)
        )
    assert compare("a", "b", Store(tmp_path / "more")).pairs[1].p_holm is not None
    stores = compare(str(tmp_path / "both"), str(tmp_path / "both"), Store)
    assert [pair.measure for pair in stores.pairs] == ["quality", "speed"] * 2
    out = io.StringIO()
    print_comparison(["a", "b"], lambda: Store(tmp_path / "both"), "table", make_console(out))
    assert out.getvalue().count("measure=speed") == 1


def test_different_budgets_and_hardware_are_not_paired(tmp_path: Path) -> None:
    large = {"budget": {"_target_": "budget.large", "steps": 9}}
    gpu: dict[str, Any] = {"names": {"hardware": "cuda"}, "cell": {"hardware": {"_target_": "c"}}}
    groups = runs(A, model="a"), runs(B, model="b", cell=large), runs(B, model="c", **gpu)
    store = write_store(tmp_path, *groups)
    assert compare("a", "b", store).pairs == [] and compare("a", "c", store).only_a == 1
    out = io.StringIO()
    print_comparison(["a", "b"], lambda: store, "table", make_console(out))
    assert "nothing to compare" in out.getvalue()
    assert "1 configuration only in a" in out.getvalue()
    assert compare("cpu", "cuda", write_store(tmp_path, runs(A, model="c"))).pairs[0].n == 4


def test_two_stores_pair_equal_configurations(tmp_path: Path) -> None:
    changed = {"sources": {"model": "bb"}}
    write_store(tmp_path / "old", runs(A, model="a"), runs(A, model="gone"))
    write_store(tmp_path / "new", runs(B, model="a", cell=changed, machine={"host": "another"}))
    comparison = compare(str(tmp_path / "old"), str(tmp_path / "new"), Store(tmp_path / "none"))
    (pair,) = comparison.pairs
    assert (comparison.kind, pair.model, pair.hardware, comparison.only_a) == (
        "store",
        "a",
        "cpu",
        1,
    )
    assert pair.seconds.mean == pytest.approx(1.0)  # machines are what is compared


def test_bundles_are_read_like_stores(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name, scores in (("old", A), ("new", B)):
        every = [
            [make_valid_record(seed=i, score=s, model=m) for i, s in enumerate(scores)]
            for m in "ab"
        ]
        store = write_store(tmp_path / name, *every)
        export_bundle(store.all(), store, tmp_path / f"{name}.qb")
    old, new = str(tmp_path / "old"), str(tmp_path / "new.qb")
    for side in (old, f"{old}.qb"):
        comparison = compare(side, new, Store(tmp_path / "none"))
        assert (comparison.kind, len(comparison.pairs), comparison.pairs[0].n) == (
            "store",
            2,
            len(A),
        )
    for where in (new, f"store={new}"):
        assert main(["compare", "a", "b", where, "--format", "json"]) == 0
        assert json.loads(capsys.readouterr().out)["kind"] == "model"
    assert main(["compare", old, str(tmp_path / "none.qb")]) == 2
    assert "there is no bundle" in capsys.readouterr().err


def test_two_code_digests_in_one_store(tmp_path: Path) -> None:
    before, after = runs(A), runs(B, cell={"sources": {"model": "bb"}})
    store = write_store(tmp_path, before, after)
    comparison = compare(code_digest(before[0]), code_digest(after[0]), store)
    assert (comparison.kind, comparison.pairs[0].n) == ("code", 4)
    assert comparison.pairs[0].gain == pytest.approx(np.mean(A) - np.mean(B))


def test_the_last_of_several_configurations_is_compared_with_a_note(tmp_path: Path) -> None:
    slow = {"optimizer": {"_target_": "optimizer.adam", "lr": 0.1}}
    late = runs([0.1] * 4, model="a", cell=slow, finished="2026-11-02T10:00:42Z")
    comparison = compare(
        "a", "b", write_store(tmp_path, runs(A, model="a"), late, runs(B, model="b"))
    )
    assert comparison.pairs[0].a.mean == pytest.approx(0.1)
    assert comparison.notes == [
        "digits/a: 2 configurations; the one that finished last is compared"
    ]


def test_error_about_unknown_sides_lists_the_known_ones(tmp_path: Path) -> None:
    store = write_store(tmp_path, runs(A, model="a"))
    with pytest.raises(StoreError, match=r"expected two of model: a; hardware: cpu; version: 0\.1"):
        compare("a", "nothing", store)
    with pytest.raises(StoreError, match="no results"):
        compare("a", "b", Store(tmp_path / "empty"))


@pytest.mark.parametrize("name", ["[red]x", "<b>|x"])
def test_all_formats_show_the_same_numbers(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    store = write_store(tmp_path, runs(A, model=name), runs(B, model="b"))
    command = ["compare", name, "b", f"store={tmp_path}", "--format"]
    shown = {}
    for format in ("table", "md", "json"):
        assert main([*command, format]) == 0
        shown[format] = capsys.readouterr().out
    assert json.loads(shown["json"]) == json.loads(
        json.dumps(comparison_to_json(compare(name, "b", store)))
    )
    for format in ("table", "md"):
        assert "0.9025" in shown[format] and "4.8 ± 4.0 points" in shown[format]
    assert name in shown["table"] and "<b>" not in shown["md"]


def test_one_common_seed_and_no_score(tmp_path: Path) -> None:
    store = write_store(tmp_path, runs([0.9], model="a"), [make_record(model="b", score=None)])
    (pair,) = compare("a", "b", store).pairs
    assert (pair.n, pair.gain, pair.p) == (1, None, None)
    assert json.dumps(comparison_to_json(compare("a", "b", store)), allow_nan=False)
