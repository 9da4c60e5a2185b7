"""Of a large store a leaderboard reads less, and says the same."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import pytest
from records_factory import make

from quintain.records.schema import Record
from quintain.records.store import Store
from quintain.report import live as module
from quintain.report.formats.write import FORMATS, rendered
from quintain.report.leaderboard import leaderboard
from quintain.report.live import live
from quintain.report.page.data import page_data

pytest.importorskip("duckdb")
TRIAL = {"study": "a" * 32, "number": 1}


def filled(folder: Path, seed: int) -> Store:
    """Models, references and failures of three versions of the code, some in one second."""
    draw, store = random.Random(seed), Store(folder)
    for model in ("cnn", "gru", "mlp", "majority"):
        for version in range(draw.choice((1, 2, 3))):
            for number in range(1, draw.choice((2, 4))):
                store.write(one(draw, model, version, number))
    return store


def one(draw: random.Random, model: str, version: int, seed: int) -> Record:
    failed = model != "majority" and draw.random() < 0.2
    changes: dict[str, Any] = {
        "status": "failed" if failed else "ok",
        "reference": model == "majority",
        "score": round(draw.random(), 3),
        "finished": f"2026-11-0{draw.choice((2, 2, 3, 4))}T10:00:00Z",
    }
    cell = {"sources": {"model": str(version)}, "optimizer": {"lr": draw.choice((1, 1, 1, 2))}}
    return make(model=model, seed=seed, cell=cell, **changes)


@pytest.mark.parametrize("seed", range(12))
def test_all_and_live_records_give_the_same_board(tmp_path: Path, monkeypatch, seed: int) -> None:
    store = filled(tmp_path / "store", seed)
    expected, shown = leaderboard(store.all()), texts(store)
    monkeypatch.setattr(module, "LARGE", 0)
    found = live(store)
    assert leaderboard(*found) == expected
    assert texts(store) == shown
    assert all(r.status != "ok" or r.group in {row.group for row in expected.rows}
               for r in found.records)  # fmt: skip


def texts(store: Store) -> dict[str, Any]:
    page = {key: value for key, value in page_data(store).items() if key != "built"}
    return {name: rendered(store, name) for name in FORMATS if name != "html"} | {"page": page}


def test_what_is_left_out_is_not_read(tmp_path: Path, monkeypatch) -> None:
    store = Store(tmp_path / "store")
    old = make(cell={"sources": {"model": "1"}}, finished="2026-11-01T10:00:00Z")
    new = make(cell={"sources": {"model": "2"}}, finished="2026-11-02T10:00:00Z")
    trial = make(seed=7, trial=TRIAL)
    for record in (old, new, trial):
        store.write(record)
    monkeypatch.setattr(module, "LARGE", 0)
    read, before = [], store.read
    monkeypatch.setattr(store, "read", lambda key: read.append(key) or before(key))
    assert [record.key for record in live(store).records] == read == [new.key]
    assert live(store).older == 1


@pytest.mark.parametrize(
    ("name", "value"),
    [("names", None), ("names", {"model": "x", "odd": 1}), ("cell", None), ("cell", [1]),
     ("finished", None), ("finished", "soon"), ("seed", "1"), ("odd", 1), ("quality", None)],
)  # fmt: skip
def test_a_damaged_newer_record_hides_nothing(
    tmp_path: Path, monkeypatch, name: str, value: object
) -> None:
    store = Store(tmp_path / "store")
    old = make(cell={"sources": {"model": "1"}}, finished="2026-11-01T10:00:00Z")
    new = make(cell={"sources": {"model": "2"}}, finished="2026-11-02T10:00:00Z")
    for record in (old, new):
        store.write(record)
    values = json.loads(store.file(new.key).read_text()) | {name: value}
    store.file(new.key).write_text(json.dumps({k: v for k, v in values.items() if v is not None}))
    monkeypatch.setattr(module, "LARGE", 0)
    assert [record.key for record in live(store).records] == [old.key]


@pytest.mark.parametrize(
    ("first", "then"),
    [("10:00:00Z", "10:00:00.5Z"), ("10:00:00.123Z", "10:00:00.1234Z"),
     ("10:00:00+00:00", "10:00:00Z")],
)  # fmt: skip
def test_times_are_moments(tmp_path: Path, monkeypatch, first: str, then: str) -> None:
    for folder, times in (("a", (first, then)), ("b", (then, first))):
        store = Store(tmp_path / folder)
        for version, time in enumerate(times):
            cell = {"sources": {"model": str(version)}}
            store.write(make(cell=cell, finished=f"2026-11-01T{time}", score=0.1 * version))
        expected = leaderboard(store.all())
        with monkeypatch.context() as patch:
            patch.setattr(module, "LARGE", 0)
            assert leaderboard(*live(store)) == expected


def test_a_file_that_is_no_record_is_set_aside_as_ever(tmp_path: Path, monkeypatch) -> None:
    store = filled(tmp_path / "store", 1)
    broken = next(iter(store.files()))
    broken.write_text("{")
    monkeypatch.setattr(module, "LARGE", 0)
    keys = {record.key for record in live(store).records}
    assert broken.stem not in keys and store.problems and not broken.exists()
