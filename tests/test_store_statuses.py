"""Looking many cells up at once says what reading them one by one says, and quickly."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest
from records_factory import make, plain

from quintain.records.store import Store


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "results")


def test_statuses_are_those_of_status(store: Store) -> None:
    records = [make(seed=s, status=k) for s, k in enumerate(("ok", "failed", "skipped", "ok"))]
    assert store.statuses([r.key for r in records]) == {}
    for record in records[:3]:
        store.write(record)
    keys = [r.key for r in records]
    assert store.statuses(keys) == {k: store.status(k) for k in keys[:3]}
    assert store.statuses(keys[:1]) == {keys[0]: "ok"}
    assert store.statuses([]) == {} and not store.problems


@pytest.mark.parametrize(
    "spoil",
    [
        lambda text: text[:-20],
        lambda text: text[:100],
        lambda text: b"",
        lambda text: text.replace(b'"schema": 1', b'"schema": 2'),
        lambda text: text.replace(b'"status": "ok"', b'"status": "fine"'),
    ],
    ids=["end cut", "head cut", "empty", "newer", "mistyped"],
)
def test_what_cannot_be_used_counts_as_none_and_is_said(store: Store, spoil) -> None:
    good, bad = make(seed=1), make(seed=2)
    store.write(good)
    store.write(bad)
    file = store.file(bad.key)
    file.write_bytes(spoil(file.read_bytes()))
    assert store.statuses([good.key, bad.key]) == {good.key: "ok"}
    assert len(store.problems) == 1


def test_a_record_under_a_wrong_name_counts_as_none(store: Store) -> None:
    good, other = make(seed=1), make(seed=2)
    store.write(good)
    store.file(other.key).parent.mkdir(parents=True, exist_ok=True)
    store.file(other.key).write_text(store.file(good.key).read_text())
    assert store.statuses([good.key, other.key]) == {good.key: "ok"}
    assert "holds the key" in store.problems[0]


def test_a_record_written_in_another_layout_is_read_whole(store: Store) -> None:
    record = make()
    store.write(record)
    shuffled = dict(sorted(plain().items(), reverse=True))
    store.file(record.key).write_text(json.dumps(shuffled, indent=4))
    assert store.statuses([record.key]) == {record.key: "ok"} and not store.problems


def test_two_thousand_cells_take_half_a_second_at_most(store: Store) -> None:
    text = make().to_json()
    keys = [f"{i * 7919 % 256:02x}{i:030x}" for i in range(2_000)]
    for key in keys:
        file = store.file(key)
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text.replace(make().key, key, 1))
    began = time.process_time()
    found = store.statuses([*keys, *("ff" + key[2:] for key in keys)])
    assert time.process_time() - began < 0.5  # some 0.08 s
    assert set(found) >= set(keys) and set(found.values()) == {"ok"}
