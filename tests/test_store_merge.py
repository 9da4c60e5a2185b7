"""Stores of two machines become one, the same one in whatever order they are merged."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from records_factory import make

from quintain.records import outbox
from quintain.records.rank import rank
from quintain.records.schema import Record
from quintain.records.store import Store, StoreError

KEYS = 2  # cells; few, so that stores disagree about them


def newer(record: Record) -> bytes:
    return record.to_json().replace('"schema": 1', '"schema": 2, "later": 0').encode()


@st.composite
def files(draw: st.DrawFn) -> list[tuple[str, bytes]]:
    """Records of few cells, some finished at the same moment, some of a newer schema."""
    found = {}
    for seed in draw(st.sets(st.integers(0, KEYS - 1))):
        second = draw(st.integers(0, 2))
        record = make(
            seed=seed,
            status=draw(st.sampled_from(("ok", "failed", "skipped"))),
            score=draw(st.sampled_from((0.25, 0.5))),
            finished=f"2026-11-01T10:00:0{second}" + draw(st.sampled_from(("Z", ".000+00:00"))),
        )
        text = newer(record) if draw(st.integers(0, 3)) == 0 else record.to_json().encode()
        found[record.key] = text
    return list(found.items())


def filled(folder: Path, content: list[tuple[str, bytes]]) -> Store:
    store = Store(folder)
    for key, text in content:
        store.adopt(key, text)
    return store


def content(store: Store) -> dict[str, bytes]:
    return {file.stem: file.read_bytes() for file in store.files()}


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(files(), files(), files())
def test_merging_is_commutative_associative_and_idempotent(a, b, c) -> None:
    with tempfile.TemporaryDirectory() as name:
        made = iter(range(100))

        def store(words: list[tuple[str, bytes]]) -> Store:
            return filled(Path(name) / str(next(made)), words)

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


def test_the_rule_by_hand(tmp_path: Path) -> None:
    early = make(finished="2026-11-01T10:00:00Z", score=0.9)
    late = make(finished="2026-11-01T11:00:00.5+00:00", score=0.1)
    failed = make(status="failed", finished="2026-11-02T10:00:00Z")
    order = [failed.to_json(), early.to_json(), late.to_json(), newer(failed).decode()]
    ranks = [rank(text.encode()) for text in order]
    assert ranks == sorted(ranks)
    store = Store(tmp_path / "s")
    assert store.adopt(early.key, early.to_json().encode())
    assert not store.adopt(early.key, failed.to_json().encode())
    assert store.adopt(early.key, late.to_json().encode()) and store.read(early.key) == late
    assert not store.adopt(early.key, early.to_json().encode())
    assert store.adopt(early.key, newer(failed)) and store.read(early.key) is None


def test_what_is_no_record_of_the_cell_is_refused(tmp_path: Path) -> None:
    store, record = Store(tmp_path / "s"), make()
    for text in (b"", b"[]", b"{}", b"[" * 100_000, make(seed=5).to_json().encode()):
        with pytest.raises(ValueError):
            store.adopt(record.key, text)
    assert store.files() == []


def test_samples_come_along_and_bad_files_stay_away(tmp_path: Path) -> None:
    ours, theirs = Store(tmp_path / "a"), Store(tmp_path / "b")
    good, bad = make(seed=1), make(seed=2)
    theirs.write(good)
    theirs.write(bad)
    theirs.file(bad.key).write_text("{")
    theirs.samples(good.key).mkdir(parents=True)
    (theirs.samples(good.key) / "samples.json").write_text("[]")
    (theirs.samples(good.key) / "0.png").symlink_to("/etc/passwd")
    assert ours.merge(theirs) == 1 and ours.all() == [good]
    assert (ours.samples(good.key) / "samples.json").read_text() == "[]"
    assert [path.name for path in ours.samples(good.key).iterdir()] == ["samples.json"]
    assert len(ours.problems) == 1 and "cannot be merged" in ours.problems[0]
    with pytest.raises(StoreError, match="not a folder"):
        (tmp_path / "file").touch()
        ours.merge(Store(tmp_path / "file"))


def test_a_corrupt_record_gives_way(tmp_path: Path) -> None:
    store, record = Store(tmp_path / "s"), make()
    store.write(record)
    store.file(record.key).write_text("{")
    assert store.adopt(record.key, record.to_json().encode())
    assert store.read(record.key) == record


def test_a_store_with_newer_records_can_be_read_and_not_written(tmp_path: Path) -> None:
    store, ours, theirs = Store(tmp_path / "s"), make(seed=1), make(seed=2)
    store.write(ours)
    store.check_writable()
    store.adopt(theirs.key, newer(theirs))
    text = store.file(theirs.key).read_bytes()
    with pytest.raises(StoreError, match="schema 2, this quintain knows up to 1, so it is read-on"):
        store.check_writable()
    assert store.all() == [ours] and len(store.problems) == 1
    assert not store.write(theirs) and not store.adopt(theirs.key, theirs.to_json().encode())
    assert store.file(theirs.key).read_bytes() == text
    store.file(theirs.key).write_text(json.dumps({"schema": 9, "of": "another layout"}))
    with pytest.raises(StoreError, match="schema 9"):
        store.check_writable()


def test_only_a_working_store_keeps_copies_to_send(tmp_path: Path) -> None:
    store, record = Store(tmp_path / "s"), make()
    store.write(record)
    assert outbox.waiting(store.path) == []
    outbox.folder(store.path).mkdir()
    store.write(record)
    store.write(record)
    (waiting,) = outbox.waiting(store.path)
    assert waiting.read_bytes() == store.file(record.key).read_bytes()
    assert not store.write(make(status="failed")) and outbox.waiting(store.path) == [waiting]
    store.adopt(
        record.key, make(finished="2027-01-01T00:00:00Z").to_json().encode(), announce=False
    )
    assert outbox.waiting(store.path) == [waiting]


def test_samples_of_another_run_do_not_stay_beside_an_adopted_record(tmp_path: Path) -> None:
    store, early = Store(tmp_path), make(finished="2026-01-02T00:00:00Z")
    store.write(early)
    store.samples(early.key).mkdir(parents=True)
    late = make(finished="2026-01-03T00:00:00Z")
    assert store.adopt(late.key, late.to_json().encode())
    assert not store.samples(late.key).exists()
