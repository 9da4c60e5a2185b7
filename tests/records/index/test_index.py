"""The index of a store agrees with its records after any change to either."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pandas
import pytest
from helpers.record_factory import make_record

import quintain
from quintain.records import frame
from quintain.records.index import table
from quintain.records.schema import SCHEMA
from quintain.records.store import Store


@pytest.fixture
def store(tmp_path: Path) -> Store:
    store = Store(tmp_path / "it's [a] store")
    for seed in range(3):
        store.write(make_record(seed=seed, score=seed / 4))
    store.write(make_record(model="a", baseline=True, score=None))
    store.write(make_record(model="b", status="failed", changed={"budget.steps": 3}))
    store.write(make_record(model="c", status="skipped"))
    return store


def index_scores(store: Store) -> dict[str, float | None]:
    """Key → main score on test, by SQL."""
    test = "json_extract(scores, '$.' || metric || '.test')::double"
    with table.open_table(store) as con:
        return dict(con.sql(f"select key, {test} from records").fetchall())


def record_scores(store: Store) -> dict[str, float | None]:
    return {record.key: record.main_test_score() for record in store.all()}


def check_frames_are_equal(store: Store) -> None:
    expected = pandas.DataFrame(frame.flatten_records(store.all()))
    actual = pandas.DataFrame(frame.read_index_rows(store))
    pandas.testing.assert_frame_equal(actual, expected, check_exact=True)


def part_names(store: Store) -> list[str]:
    return sorted(path.name for path in (store.path / "index").glob("part-*"))


def test_frame_from_the_index_equals_frame_from_the_records(store: Store) -> None:
    check_frames_are_equal(store)


def test_fields_that_an_older_record_lacks_get_their_defaults(store: Store) -> None:
    file = store.file(make_record(seed=1).key)
    plain = json.loads(file.read_bytes())
    for name in ("trial", "tuned", "changed", "trust", "nonfinite"):
        del plain[name]
    del plain["cost"]["resumed"], plain["cost"]["meters"], plain["quality"]["target"]
    file.write_text(json.dumps(plain))
    check_frames_are_equal(store)


def test_records_of_schema_1_are_in_the_index(store: Store) -> None:
    for file in store.files():
        values = json.loads(file.read_bytes())
        values |= {"schema": 1, "reference": values.pop("baseline")}
        file.write_text(json.dumps(values))
    check_frames_are_equal(store)
    assert quintain.load(store.path)["baseline"].sum() == 1


def test_large_store_is_loaded_by_its_index(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    direct = quintain.load(store.path)
    assert not (store.path / "index").exists()
    monkeypatch.setattr(frame, "LARGE_STORE", 5)
    pandas.testing.assert_frame_equal(quintain.load(store.path), direct, check_exact=True)
    assert len(part_names(store)) == 1


def test_only_new_records_are_read(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    assert index_scores(store) == record_scores(store)
    read: list[str] = []
    content = table._read_text
    monkeypatch.setattr(table, "_read_text", lambda file: read.append(file) or content(file))
    assert index_scores(store) == record_scores(store) and read == []
    new, rewritten = make_record(seed=8, score=0.5), make_record(seed=1, score=0.75)
    store.write(new)
    store.write(rewritten)
    store.file(make_record(seed=2).key).unlink()
    assert index_scores(store) == record_scores(store) and len(record_scores(store)) == 6
    assert {Path(file).stem for file in read} == {new.key, rewritten.key}


def test_replaced_file_is_read_even_if_its_inode_is_reused(store: Store) -> None:
    """File systems may reuse the inode at the second replacement; the test forces it."""
    record = make_record(seed=1, score=0.25)
    assert index_scores(store)[record.key] == 0.25
    file = store.file(record.key)
    inode = file.stat().st_ino
    assert store.write(make_record(seed=1, score=0.5))
    text = file.read_bytes()
    os.link(file, file.with_name("second"))  # keeps the current inode in use
    file.unlink()
    while (file.write_bytes(text), file.stat().st_ino)[1] != inode:
        os.replace(file, file.with_name(f"filler{file.stat().st_ino}"))
        if len(list(file.parent.iterdir())) > 200:
            pytest.skip("this file system does not reuse inodes soon")
    assert index_scores(store)[record.key] == 0.5


def test_records_copied_without_quintain_are_indexed(store: Store, tmp_path: Path) -> None:
    assert index_scores(store) == record_scores(store)
    other = Store(tmp_path / "other")
    for record in (make_record(seed=1, score=0.875), make_record(seed=20, score=0.125)):
        other.write(record)
    for file in other.files():
        shutil.copy(file, store.path / "arriving")
        target = store.file(file.stem)
        target.parent.mkdir(exist_ok=True)
        os.replace(store.path / "arriving", target)
    scores = index_scores(store)
    assert scores == record_scores(store) and scores[make_record(seed=20).key] == 0.125


def break_utf8(text: bytes) -> bytes:
    return text.replace(b"lstm", b"\xff\xfe\xfd\xfc")


@pytest.mark.parametrize(
    "damage", [lambda text: text[:-30], lambda text: b"", lambda text: b"[]", break_utf8]
)
def test_file_that_is_not_a_record_is_moved_aside(
    store: Store, damage: Callable[[bytes], bytes]
) -> None:
    bad, wrong_key = store.file(make_record(seed=1).key), "ab" * 16
    bad.write_bytes(damage(bad.read_bytes()))
    store.file(wrong_key).parent.mkdir(exist_ok=True)
    store.file(wrong_key).write_bytes(store.file(make_record(seed=2).key).read_bytes())
    scores = index_scores(store)
    assert len(store.problems) == 2 and len(list((store.path / "corrupt").iterdir())) == 2
    assert scores == record_scores(store) == index_scores(store) and len(scores) == 5


def test_record_of_newer_schema_is_left_in_place_and_reported(store: Store) -> None:
    file = store.file(make_record(seed=1).key)
    newer = file.read_text().replace(f'"schema": {SCHEMA}', f'"schema": {SCHEMA + 1}')
    file.write_text(newer)
    assert len(index_scores(store)) == 5 and file.exists()
    assert f"schema {SCHEMA + 1}" in store.problems[0]


def truncate_part(index: Path) -> None:
    (part,) = index.glob("part-*")
    part.write_bytes(part.read_bytes()[:-50])


def delete_part(index: Path) -> None:
    next(index.glob("part-*")).unlink()


def name_part_outside(index: Path) -> None:
    state = json.loads((index / "state.json").read_bytes())
    (index / "state.json").write_text(json.dumps(state | {"parts": ["../../x.parquet"]}))


def lower_version(index: Path) -> None:
    state = json.loads((index / "state.json").read_bytes())
    (index / "state.json").write_text(json.dumps(state | {"version": 0, "parts": ["x"]}))


def garble_state(index: Path) -> None:
    (index / "state.json").write_text('{"parts": 3}')


def delete_journal(index: Path) -> None:
    (index / "written").unlink()


@pytest.mark.parametrize(
    "damage",
    [truncate_part, delete_part, name_part_outside, lower_version, garble_state, delete_journal],
)
def test_damaged_index_is_rebuilt(store: Store, damage: Callable[[Path], None]) -> None:
    index_scores(store)
    store.write(make_record(seed=1, score=0.875))  # so that there is a journal
    store.path.joinpath("index", "state.json").unlink()
    assert index_scores(store) == record_scores(store)
    damage(store.path / "index")
    assert index_scores(store) == record_scores(store) and len(part_names(store)) == 1


def test_index_is_temporary_if_its_folder_cannot_be_written(store: Store) -> None:
    (store.path / "index").write_text("a file where the folder should be")
    check_frames_are_equal(store)
    assert (store.path / "index").is_file()


def test_many_parts_are_merged(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(table, "MAX_PARTS", 3)
    for seed in range(40, 48):
        store.write(make_record(seed=seed, score=seed / 64))
        store.write(make_record(seed=1, score=seed / 64))
        assert index_scores(store) == record_scores(store)
        assert 1 <= len(part_names(store)) <= 3
    check_frames_are_equal(store)


def test_index_with_many_outdated_rows_is_rebuilt(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(table, "MAX_OUTDATED", 1)
    index_scores(store)
    for seed in range(3):
        store.write(make_record(seed=seed, score=0.875))
    assert index_scores(store) == record_scores(store) and len(part_names(store)) == 1
    assert json.loads((store.path / "index" / "state.json").read_bytes())["outdated"] == []


WRITER = """
import sys
from helpers.record_factory import make_record
from quintain.records.store import Store
for seed in range(20):
    Store(sys.argv[1]).write(make_record(model=sys.argv[2], seed=seed % 10, score=seed / 64))
"""
READER = """
import sys
from quintain.records.store import Store
from quintain.records.index.table import open_table
for _ in range(4):
    with open_table(Store(sys.argv[1])) as con:
        con.sql("select * from records").fetchall()
"""


def test_two_processes_write_while_two_read(store: Store) -> None:
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    programs = [(WRITER, "x"), (WRITER, "y"), (READER, ""), (READER, "")]
    processes = [
        subprocess.Popen([sys.executable, "-c", code, str(store.path), name], env=environment)
        for code, name in programs
    ]
    assert [process.wait(300) for process in processes] == [0] * 4
    assert index_scores(store) == record_scores(store) and len(record_scores(store)) == 26
    check_frames_are_equal(store)


def test_empty_store_has_an_empty_table(tmp_path: Path) -> None:
    (tmp_path / "results").mkdir()
    assert index_scores(Store(tmp_path / "results")) == {}
