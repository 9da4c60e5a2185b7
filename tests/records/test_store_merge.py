"""Merging stores in any order gives the same records."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

import pytest
from helpers.record_factory import make_record
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from quintain.errors import StoreError
from quintain.records.precedence import precedence_of
from quintain.records.remote import outbox
from quintain.records.schema import SCHEMA, Record
from quintain.records.store import Store

NUM_CELLS = 2  # so few that the stores disagree about them


def newer_schema(record: Record) -> bytes:
    newer = f'"schema": {SCHEMA + 1}, "later": 0'
    return record.to_json().replace(f'"schema": {SCHEMA}', newer).encode()


@st.composite
def record_files(draw: st.DrawFn) -> list[tuple[str, bytes]]:
    """Draw records of few cells; some finished at the same moment, some have a newer schema."""
    texts = {}
    for seed in draw(st.sets(st.integers(0, NUM_CELLS - 1))):
        second = draw(st.integers(0, 2))
        record = make_record(
            seed=seed,
            status=draw(st.sampled_from(("ok", "failed", "skipped"))),
            score=draw(st.sampled_from((0.25, 0.5))),
            finished=f"2026-11-01T10:00:0{second}" + draw(st.sampled_from(("Z", ".000+00:00"))),
        )
        text = newer_schema(record) if draw(st.integers(0, 3)) == 0 else record.to_json().encode()
        texts[record.key] = text
    return list(texts.items())


def make_store(folder: Path, files: list[tuple[str, bytes]]) -> Store:
    store = Store(folder)
    for key, text in files:
        store.merge_record(key, text)
    return store


def content(store: Store) -> dict[str, bytes]:
    return {file.stem: file.read_bytes() for file in store.files()}


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(record_files(), record_files(), record_files())
def test_merging_is_commutative_associative_and_idempotent(a, b, c) -> None:
    with tempfile.TemporaryDirectory() as name:
        numbers = iter(range(100))

        def store(files: list[tuple[str, bytes]]) -> Store:
            return make_store(Path(name) / str(next(numbers)), files)

        left, right = store(a), store(b)
        left.merge(store(b))
        right.merge(store(a))
        assert content(left) == content(right)
        before = content(left)
        assert left.merge(store(b)) == left.merge(left) == 0 and content(left) == before
        left.merge(store(c))  # (a + b) + c
        inner, outer = store(b), store(a)
        inner.merge(store(c))
        outer.merge(inner)  # a + (b + c)
        assert content(left) == content(outer)
        assert set(before) == {key for key, _ in [*a, *b]}


def test_newer_schema_then_ok_then_later_record_has_precedence(tmp_path: Path) -> None:
    early = make_record(finished="2026-11-01T10:00:00Z", score=0.9)
    late = make_record(finished="2026-11-01T11:00:00.5+00:00", score=0.1)
    failed = make_record(status="failed", finished="2026-11-02T10:00:00Z")
    texts = [failed.to_json(), early.to_json(), late.to_json(), newer_schema(failed).decode()]
    precedences = [precedence_of(text.encode()) for text in texts]
    assert precedences == sorted(precedences)
    store = Store(tmp_path / "s")
    assert store.merge_record(early.key, early.to_json().encode())
    assert not store.merge_record(early.key, failed.to_json().encode())
    assert store.merge_record(early.key, late.to_json().encode()) and store.read(early.key) == late
    assert not store.merge_record(early.key, early.to_json().encode())
    assert store.merge_record(early.key, newer_schema(failed)) and store.read(early.key) is None


def test_text_that_is_not_a_record_of_the_cell_is_rejected(tmp_path: Path) -> None:
    store, record = Store(tmp_path / "s"), make_record()
    for text in (b"", b"[]", b"{}", b"[" * 100_000, make_record(seed=5).to_json().encode()):
        with pytest.raises(ValueError):
            store.merge_record(record.key, text)
    assert store.files() == []


def test_merge_copies_samples_and_leaves_out_links_and_invalid_files(tmp_path: Path) -> None:
    target, source = Store(tmp_path / "a"), Store(tmp_path / "b")
    good, bad = make_record(seed=1), make_record(seed=2)
    source.write(good)
    source.write(bad)
    source.file(bad.key).write_text("{")
    source.samples(good.key).mkdir(parents=True)
    (source.samples(good.key) / "samples.json").write_text("[]")
    (source.samples(good.key) / "0.png").symlink_to("/etc/passwd")
    assert target.merge(source) == 1 and target.all() == [good]
    assert (target.samples(good.key) / "samples.json").read_text() == "[]"
    assert [path.name for path in target.samples(good.key).iterdir()] == ["samples.json"]
    assert len(target.problems) == 1 and "cannot be merged" in target.problems[0]
    with pytest.raises(StoreError, match="not a folder"):
        (tmp_path / "file").touch()
        target.merge(Store(tmp_path / "file"))


def test_corrupt_record_is_replaced(tmp_path: Path) -> None:
    store, record = Store(tmp_path / "s"), make_record()
    store.write(record)
    store.file(record.key).write_text("{")
    assert store.merge_record(record.key, record.to_json().encode())
    assert store.read(record.key) == record


def test_store_with_records_of_newer_schema_is_read_only(tmp_path: Path) -> None:
    store, readable, newer = Store(tmp_path / "s"), make_record(seed=1), make_record(seed=2)
    store.write(readable)
    store.check_writable()
    store.merge_record(newer.key, newer_schema(newer))
    text = store.file(newer.key).read_bytes()
    with pytest.raises(
        StoreError,
        match=f"schema {SCHEMA + 1}; this quintain reads up to {SCHEMA}, so it is read-on",
    ):
        store.check_writable()
    assert store.all() == [readable] and len(store.problems) == 1
    assert not store.write(newer) and not store.merge_record(newer.key, newer.to_json().encode())
    assert store.file(newer.key).read_bytes() == text
    store.file(newer.key).write_text(json.dumps({"schema": 9, "of": "another layout"}))
    with pytest.raises(StoreError, match="schema 9"):
        store.check_writable()


def test_only_a_working_store_has_an_outbox(tmp_path: Path) -> None:
    store, record = Store(tmp_path / "s"), make_record()
    store.write(record)
    assert outbox.list_files(store.path) == []
    outbox.outbox_folder(store.path).mkdir()
    store.write(record)
    store.write(record)
    (unpushed,) = outbox.list_files(store.path)
    assert unpushed.read_bytes() == store.file(record.key).read_bytes()
    assert not store.write(make_record(status="failed"))
    assert outbox.list_files(store.path) == [unpushed]
    store.merge_record(
        record.key, make_record(finished="2027-01-01T00:00:00Z").to_json().encode(), push=False
    )
    assert outbox.list_files(store.path) == [unpushed]


def test_merging_a_record_removes_the_samples_of_the_replaced_one(tmp_path: Path) -> None:
    store, early = Store(tmp_path), make_record(finished="2026-01-02T00:00:00Z")
    store.write(early)
    store.samples(early.key).mkdir(parents=True)
    late = make_record(finished="2026-01-03T00:00:00Z")
    assert store.merge_record(late.key, late.to_json().encode())
    assert not store.samples(late.key).exists()


def test_a_working_store_keeps_a_fetched_record_that_counts_more(tmp_path: Path) -> None:
    """The record of this machine still goes to the remote, so that all machines agree."""
    store = Store(tmp_path / "store")
    (store.path / "outbox").mkdir(parents=True)
    later = make_record(finished="2026-11-01T11:00:00Z")
    earlier = make_record(finished="2026-11-01T10:00:00Z")
    assert store.merge_record(later.key, later.to_json().encode(), push=False)
    assert not store.write(earlier)
    assert store.all() == [later]
    assert len(list((store.path / "outbox").glob("*.json"))) == 1
