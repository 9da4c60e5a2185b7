"""The leaderboard of a large store is the same although fewer records are read."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import pytest
from helpers.record_factory import make_record

from quintain.records.schema import Record
from quintain.records.store import Store
from quintain.report import current_records as module
from quintain.report.current_records import load_current_records
from quintain.report.formats.render import FORMATS, render_leaderboard
from quintain.report.leaderboard import build_leaderboard
from quintain.report.page.data import collect_page_data

pytest.importorskip("duckdb")
TRIAL = {"study": "a" * 32, "number": 1}


def fill_store(folder: Path, seed: int) -> Store:
    """Models, baselines and failures of three versions of the code, some in one second."""
    draw, store = random.Random(seed), Store(folder)
    for model in ("cnn", "gru", "mlp", "majority"):
        for version in range(draw.choice((1, 2, 3))):
            for number in range(1, draw.choice((2, 4))):
                store.write(random_record(draw, model, version, number))
    return store


def random_record(draw: random.Random, model: str, version: int, seed: int) -> Record:
    failed = model != "majority" and draw.random() < 0.2
    changes: dict[str, Any] = {
        "status": "failed" if failed else "ok",
        "baseline": model == "majority",
        "score": round(draw.random(), 3),
        "finished": f"2026-11-0{draw.choice((2, 2, 3, 4))}T10:00:00Z",
    }
    cell = {"sources": {"model": str(version)}, "optimizer": {"lr": draw.choice((1, 1, 1, 2))}}
    return make_record(model=model, seed=seed, cell=cell, **changes)


@pytest.mark.parametrize("seed", range(12))
def test_all_and_current_records_give_the_same_leaderboard(
    tmp_path: Path, monkeypatch, seed: int
) -> None:
    store = fill_store(tmp_path / "store", seed)
    expected, shown = build_leaderboard(store.all()), texts(store)
    monkeypatch.setattr(module, "LARGE_STORE", 0)
    current = load_current_records(store)
    assert build_leaderboard(*current) == expected
    assert texts(store) == shown
    assert all(r.status != "ok" or r.group in {row.group for row in expected.rows}
               for r in current.records)  # fmt: skip


def texts(store: Store) -> dict[str, Any]:
    page = {key: value for key, value in collect_page_data(store).items() if key != "built"}
    return {name: render_leaderboard(store, name) for name in FORMATS if name != "html"} | {
        "page": page
    }


def test_superseded_records_are_not_read(tmp_path: Path, monkeypatch) -> None:
    store = Store(tmp_path / "store")
    old = make_record(cell={"sources": {"model": "1"}}, finished="2026-11-01T10:00:00Z")
    new = make_record(cell={"sources": {"model": "2"}}, finished="2026-11-02T10:00:00Z")
    trial = make_record(seed=7, trial=TRIAL)
    for record in (old, new, trial):
        store.write(record)
    monkeypatch.setattr(module, "LARGE_STORE", 0)
    keys, read = [], store.read
    monkeypatch.setattr(store, "read", lambda key: keys.append(key) or read(key))
    assert [record.key for record in load_current_records(store).records] == keys == [new.key]
    assert load_current_records(store).num_superseded == 1


@pytest.mark.parametrize(
    ("name", "value"),
    [("names", None), ("names", {"model": "x", "odd": 1}), ("cell", None), ("cell", [1]),
     ("finished", None), ("finished", "soon"), ("seed", "1"), ("odd", 1), ("quality", None)],
)  # fmt: skip
def test_a_damaged_newer_record_does_not_hide_an_older_one(
    tmp_path: Path, monkeypatch, name: str, value: object
) -> None:
    store = Store(tmp_path / "store")
    old = make_record(cell={"sources": {"model": "1"}}, finished="2026-11-01T10:00:00Z")
    new = make_record(cell={"sources": {"model": "2"}}, finished="2026-11-02T10:00:00Z")
    for record in (old, new):
        store.write(record)
    values = json.loads(store.file(new.key).read_text()) | {name: value}
    store.file(new.key).write_text(json.dumps({k: v for k, v in values.items() if v is not None}))
    monkeypatch.setattr(module, "LARGE_STORE", 0)
    assert [record.key for record in load_current_records(store).records] == [old.key]


@pytest.mark.parametrize(
    ("earlier", "later"),
    [("10:00:00Z", "10:00:00.5Z"), ("10:00:00.123Z", "10:00:00.1234Z"),
     ("10:00:00+00:00", "10:00:00Z")],
)  # fmt: skip
def test_finish_times_of_different_formats_are_compared(
    tmp_path: Path, monkeypatch, earlier: str, later: str
) -> None:
    for folder, times in (("a", (earlier, later)), ("b", (later, earlier))):
        store = Store(tmp_path / folder)
        for version, time in enumerate(times):
            cell = {"sources": {"model": str(version)}}
            store.write(make_record(cell=cell, finished=f"2026-11-01T{time}", score=0.1 * version))
        expected = build_leaderboard(store.all())
        with monkeypatch.context() as patch:
            patch.setattr(module, "LARGE_STORE", 0)
            assert build_leaderboard(*load_current_records(store)) == expected


def test_a_file_that_is_not_a_record_is_moved_aside(tmp_path: Path, monkeypatch) -> None:
    store = fill_store(tmp_path / "store", 1)
    broken = next(iter(store.files()))
    broken.write_text("{")
    monkeypatch.setattr(module, "LARGE_STORE", 0)
    keys = {record.key for record in load_current_records(store).records}
    assert broken.stem not in keys and store.problems and not broken.exists()
