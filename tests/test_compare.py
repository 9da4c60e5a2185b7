"""`quintain compare`: who is paired with whom, and the numbers against SciPy."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.stats
from records_factory import cost, genuine, make, quality

from quintain import cli
from quintain.records.bundles.export import export
from quintain.records.schema import Record
from quintain.records.store import Store, StoreError
from quintain.report.compare import Comparison, compare, compare_json
from quintain.report.compare_view import show
from quintain.report.leaderboard import leaderboard
from quintain.report.sides import code
from quintain.report.text import console

A, B = [0.9, 0.92, 0.88, 0.91], [0.85, 0.9, 0.84, 0.83]


def runs(scores: list[float], **changes: Any) -> list[Record]:
    return [make(seed=i, score=s, **changes) for i, s in enumerate(scores, 1)]


def stored(folder: Path, *groups: list[Record]) -> Store:
    store = Store(folder)
    for record in (record for group in groups for record in group):
        store.write(record)
    return store


def of(a: str, b: str, store: Store) -> Comparison:
    return compare(a, b, lambda: store)


def timed(seconds: float) -> dict[str, Any]:
    return cost() | {"seconds": cost()["seconds"] | {"training": seconds}}


def test_two_models_by_their_common_seeds(tmp_path: Path) -> None:
    store = stored(tmp_path, runs(A, model="a"), runs([*B, 0.1], model="b"))
    found = of("a", "b", store)
    (pair,) = found.pairs
    expected = scipy.stats.ttest_rel(A, B)
    low, high = expected.confidence_interval()
    assert (pair.p, pair.p_holm) == (pytest.approx(expected.pvalue), pytest.approx(expected.pvalue))
    assert (pair.gain, pair.low, pair.high) == pytest.approx((np.mean(A) - np.mean(B), low, high))
    assert (found.kind, pair.n, pair.dropped, pair.b.n) == ("model", 4, 1, 5)
    assert pair.cohen_d == pytest.approx(np.subtract(A, B).mean() / np.subtract(A, B).std(ddof=1))


def test_a_gain_is_positive_where_less_is_better(tmp_path: Path) -> None:
    load: dict[str, Any] = {"dataset": "load", "task": "forecast"}
    store = stored(tmp_path, runs(A, model="a", **load), runs(B, model="b", **load))
    (pair,) = of("b", "a", store).pairs
    assert pair.gain == pytest.approx(np.mean(A) - np.mean(B))


def test_scores_that_mean_something_else_are_not_paired(tmp_path: Path) -> None:
    percent = quality(score=60.0)
    percent["scores"]["accuracy"]["unit"] = "0 to 100"
    other = [make(seed=s, model="b", quality=percent) for s in (1, 2)]
    found = of("a", "b", stored(tmp_path, runs(A, model="a"), other))
    assert not found.pairs and (found.only_a, found.only_b) == (1, 1)
    rows = leaderboard([*runs(A, model="a"), *other]).rows
    assert [(row.model, row.rank) for row in rows] == [("b", 1), ("a", 1)]  # a table each


def test_ratios_are_geometric_means_on_one_machine(tmp_path: Path) -> None:
    twice = [make(seed=i, score=0.5, model="a", cost=timed(s)) for i, s in ((1, 10.0), (2, 40.0))]
    store = stored(tmp_path, twice, runs([0.5, 0.4], model="b"))
    (pair,) = of("a", "b", store).pairs
    assert pair.seconds.mean == pytest.approx(20 / 12.5)
    away = runs([0.5, 0.4], model="c", machine={"host": "another"})
    (pair,) = of("a", "c", stored(tmp_path, away)).pairs
    assert pair.seconds.mean is None and pair.seconds.n == 0


def test_holm_is_over_all_lines(tmp_path: Path) -> None:
    for dataset in ("x", "y", "z"):
        stored(tmp_path, runs(A, model="a", dataset=dataset), runs(B, model="b", dataset=dataset))
    pairs = of("a", "b", Store(tmp_path)).pairs
    assert [pair.dataset for pair in pairs] == ["x", "y", "z"]
    assert [pair.p_holm for pair in pairs] == pytest.approx([3 * (pairs[0].p or 0)] * 3)


def test_what_measure_speed_times_again_is_told_and_scored_once(tmp_path: Path) -> None:
    alone: dict[str, Any] = {"cell": {"measure": {"times": "alone"}}}
    for folder, more in (("both", [{}, alone]), ("speed", [alone])):
        for changes in more:
            stored(tmp_path / folder, runs(A, model="a", **changes), runs(B, model="b", **changes))
    found = of("a", "b", Store(tmp_path / "both"))
    assert [pair.measure for pair in found.pairs] == ["quality", "speed"]
    assert found.pairs[0].p_holm == found.pairs[0].p and found.pairs[1].p_holm is None
    (only,) = of("a", "b", Store(tmp_path / "speed")).pairs
    assert only.measure == "speed" and only.p_holm == only.p
    for model, scores in (("a", A), ("b", B)):
        stored(tmp_path / "more", runs(scores[:1], model=model), runs(scores, model=model, **alone))
    assert of("a", "b", Store(tmp_path / "more")).pairs[1].p_holm is not None
    stores = of(str(tmp_path / "both"), str(tmp_path / "both"), Store)
    assert [pair.measure for pair in stores.pairs] == ["quality", "speed"] * 2
    out = io.StringIO()
    show(["a", "b"], lambda: Store(tmp_path / "both"), "table", console(out))
    assert out.getvalue().count("measure=speed") == 1


def test_other_budgets_and_hardware_are_not_paired(tmp_path: Path) -> None:
    large = {"budget": {"_target_": "budget.large", "steps": 9}}
    gpu: dict[str, Any] = {"names": {"hardware": "cuda"}, "cell": {"hardware": {"_target_": "c"}}}
    groups = runs(A, model="a"), runs(B, model="b", cell=large), runs(B, model="c", **gpu)
    store = stored(tmp_path, *groups)
    assert of("a", "b", store).pairs == [] and of("a", "c", store).only_a == 1
    out = io.StringIO()
    show(["a", "b"], lambda: store, "table", console(out))
    assert "nothing to compare" in out.getvalue() and "1 more of a alone" in out.getvalue()
    assert of("cpu", "cuda", stored(tmp_path, runs(A, model="c"))).pairs[0].n == 4


def test_two_stores_pair_the_same_questions(tmp_path: Path) -> None:
    changed = {"sources": {"model": "bb"}}
    stored(tmp_path / "old", runs(A, model="a"), runs(A, model="gone"))
    stored(tmp_path / "new", runs(B, model="a", cell=changed, machine={"host": "another"}))
    found = of(str(tmp_path / "old"), str(tmp_path / "new"), Store(tmp_path / "none"))
    (pair,) = found.pairs
    assert (found.kind, pair.model, pair.hardware, found.only_a) == ("store", "a", "cpu", 1)
    assert pair.seconds.mean == pytest.approx(1.0)  # machines are what is compared


def test_bundles_stand_for_stores(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name, scores in (("old", A), ("new", B)):
        every = [[genuine(seed=i, score=s, model=m) for i, s in enumerate(scores)] for m in "ab"]
        store = stored(tmp_path / name, *every)
        export(store.all(), store, tmp_path / f"{name}.qb")
    old, new = str(tmp_path / "old"), str(tmp_path / "new.qb")
    for side in (old, f"{old}.qb"):
        found = of(side, new, Store(tmp_path / "none"))
        assert (found.kind, len(found.pairs), found.pairs[0].n) == ("store", 2, len(A))
    for where in (new, f"store={new}"):
        assert cli.main(["compare", "a", "b", where, "--format", "json"]) == 0
        assert json.loads(capsys.readouterr().out)["kind"] == "model"
    assert cli.main(["compare", old, str(tmp_path / "none.qb")]) == 2
    assert "there is no bundle" in capsys.readouterr().err


def test_two_versions_of_the_code_in_one_store(tmp_path: Path) -> None:
    before, after = runs(A), runs(B, cell={"sources": {"model": "bb"}})
    store = stored(tmp_path, before, after)
    found = of(code(before[0]), code(after[0]), store)
    assert (found.kind, found.pairs[0].n) == ("code", 4)
    assert found.pairs[0].gain == pytest.approx(np.mean(A) - np.mean(B))


def test_of_several_configurations_the_last_counts_and_it_is_said(tmp_path: Path) -> None:
    slow = {"optimizer": {"_target_": "optimizer.adam", "lr": 0.1}}
    late = runs([0.1] * 4, model="a", cell=slow, finished="2026-11-02T10:00:42Z")
    found = of("a", "b", stored(tmp_path, runs(A, model="a"), late, runs(B, model="b")))
    assert found.pairs[0].a.mean == pytest.approx(0.1)
    assert found.notes == ["digits/a: 2 configurations; the one that finished last is compared"]


def test_words_that_are_nothing_are_answered_with_what_there_is(tmp_path: Path) -> None:
    store = stored(tmp_path, runs(A, model="a"))
    with pytest.raises(StoreError, match=r"expected two of model: a; hardware: cpu; version: 0\.1"):
        of("a", "nothing", store)
    with pytest.raises(StoreError, match="no finished results"):
        of("a", "b", Store(tmp_path / "empty"))


@pytest.mark.parametrize("name", ["[red]x", "<b>|x"])
def test_all_formats_say_the_same(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    store = stored(tmp_path, runs(A, model=name), runs(B, model="b"))
    words = ["compare", name, "b", f"store={tmp_path}", "--format"]
    shown = {}
    for format in ("table", "md", "json"):
        assert cli.main([*words, format]) == 0
        shown[format] = capsys.readouterr().out
    assert json.loads(shown["json"]) == json.loads(json.dumps(compare_json(of(name, "b", store))))
    for format in ("table", "md"):
        assert "0.9025" in shown[format] and "4.8 ± 4.0 points" in shown[format]
    assert name in shown["table"] and "<b>" not in shown["md"]


def test_one_common_seed_and_no_score(tmp_path: Path) -> None:
    store = stored(tmp_path, runs([0.9], model="a"), [make(model="b", score=None)])
    (pair,) = of("a", "b", store).pairs
    assert (pair.n, pair.gain, pair.p) == (1, None, None)
    assert json.dumps(compare_json(of("a", "b", store)), allow_nan=False)
