"""`Store.statuses` agrees with `Store.status`, and is fast."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest
from helpers.record_factory import make_record, record_values

from quintain.records.schema import SCHEMA
from quintain.records.store import Store


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "results")


def test_statuses_of_many_cells_equal_those_of_single_cells(store: Store) -> None:
    records = [
        make_record(seed=s, status=k) for s, k in enumerate(("ok", "failed", "skipped", "ok"))
    ]
    assert store.statuses([r.key for r in records]) == {}
    for record in records[:3]:
        store.write(record)
    keys = [r.key for r in records]
    assert store.statuses(keys) == {k: store.status(k) for k in keys[:3]}
    assert store.statuses(keys[:1]) == {keys[0]: "ok"}
    assert store.statuses([]) == {} and not store.problems


@pytest.mark.parametrize(
    "damage",
    [
        lambda text: text[:-20],
        lambda text: text[:100],
        lambda text: b"",
        lambda text: text.replace(b'"schema": %d' % SCHEMA, b'"schema": %d' % (SCHEMA + 1)),
        lambda text: text.replace(b'"status": "ok"', b'"status": "fine"'),
    ],
    ids=["end cut", "head cut", "empty", "newer", "mistyped"],
)
def test_unusable_record_has_no_status_and_is_reported(store: Store, damage) -> None:
    good, bad = make_record(seed=1), make_record(seed=2)
    store.write(good)
    store.write(bad)
    file = store.file(bad.key)
    file.write_bytes(damage(file.read_bytes()))
    assert store.statuses([good.key, bad.key]) == {good.key: "ok"}
    assert len(store.problems) == 1


def test_record_under_a_wrong_name_has_no_status(store: Store) -> None:
    good, other = make_record(seed=1), make_record(seed=2)
    store.write(good)
    store.file(other.key).parent.mkdir(parents=True, exist_ok=True)
    store.file(other.key).write_text(store.file(good.key).read_text())
    assert store.statuses([good.key, other.key]) == {good.key: "ok"}
    assert "its key is" in store.problems[0]


def test_record_in_another_layout_is_read_as_a_whole(store: Store) -> None:
    record = make_record()
    store.write(record)
    shuffled = dict(sorted(record_values().items(), reverse=True))
    store.file(record.key).write_text(json.dumps(shuffled, indent=4))
    assert store.statuses([record.key]) == {record.key: "ok"} and not store.problems


def test_statuses_of_two_thousand_cells_take_half_a_second_at_most(store: Store) -> None:
    text = make_record().to_json()
    keys = [f"{i * 7919 % 256:02x}{i:030x}" for i in range(2_000)]
    for key in keys:
        file = store.file(key)
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text.replace(make_record().key, key, 1))
    start = time.process_time()
    statuses = store.statuses([*keys, *("ff" + key[2:] for key in keys)])
    assert time.process_time() - start < 0.5  # some 0.08 s
    assert set(statuses) >= set(keys) and set(statuses.values()) == {"ok"}
