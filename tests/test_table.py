"""The index of a large store says what its files say, whatever happened to either."""

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
from records_factory import make

import quintain
from quintain.records import frame, table
from quintain.records.store import Store


@pytest.fixture
def store(tmp_path: Path) -> Store:
    store = Store(tmp_path / "it's [a] store")
    for seed in range(3):
        store.write(make(seed=seed, score=seed / 4))
    store.write(make(model="a", reference=True, score=None))
    store.write(make(model="b", status="failed", changed={"budget.steps": 3}))
    store.write(make(model="c", status="skipped"))
    return store


def scores(store: Store) -> dict[str, float | None]:
    """Key → main score on test, by SQL."""
    test = "json_extract(scores, '$.' || metric || '.test')::double"
    with table.table(store) as con:
        return dict(con.sql(f"select key, {test} from records").fetchall())


def expected(store: Store) -> dict[str, float | None]:
    return {record.key: record.main_test() for record in store.all()}


def same_frame(store: Store) -> None:
    want = pandas.DataFrame(frame.flat_rows(store.all()))
    got = pandas.DataFrame(frame.indexed_rows(store))
    pandas.testing.assert_frame_equal(got, want, check_exact=True)


def parts(store: Store) -> list[str]:
    return sorted(path.name for path in (store.path / "index").glob("part-*"))


def test_the_frame_is_that_of_the_records(store: Store) -> None:
    same_frame(store)


def test_an_older_record_gets_the_defaults(store: Store) -> None:
    file = store.file(make(seed=1).key)
    plain = json.loads(file.read_bytes())
    for name in ("trial", "tuned", "changed", "trust", "nonfinite"):
        del plain[name]
    del plain["cost"]["resumed"], plain["cost"]["meters"], plain["quality"]["target"]
    file.write_text(json.dumps(plain))
    same_frame(store)


def test_a_large_store_is_loaded_by_its_index(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    direct = quintain.load(store.path)
    assert not (store.path / "index").exists()
    monkeypatch.setattr(frame, "LARGE", 5)
    pandas.testing.assert_frame_equal(quintain.load(store.path), direct, check_exact=True)
    assert len(parts(store)) == 1


def test_only_what_is_new_is_read(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    assert scores(store) == expected(store)
    read: list[str] = []
    content = table._content
    monkeypatch.setattr(table, "_content", lambda file: read.append(file) or content(file))
    assert scores(store) == expected(store) and read == []
    new, again = make(seed=8, score=0.5), make(seed=1, score=0.75)
    store.write(new)
    store.write(again)
    store.file(make(seed=2).key).unlink()
    assert scores(store) == expected(store) and len(expected(store)) == 6
    assert {Path(file).stem for file in read} == {new.key, again.key}


def test_a_file_with_the_inode_of_the_first_is_read(store: Store) -> None:
    """Which a file system gives to the second replacement; here it is given by force."""
    record = make(seed=1, score=0.25)
    assert scores(store)[record.key] == 0.25
    file = store.file(record.key)
    before = file.stat().st_ino
    assert store.write(make(seed=1, score=0.5))
    text = file.read_bytes()
    other = file.with_name("kept")
    os.link(file, other)  # its inode stays in use
    file.unlink()
    while (file.write_bytes(text), file.stat().st_ino)[1] != before:
        os.replace(file, file.with_name(f"filler{file.stat().st_ino}"))
        if len(list(file.parent.iterdir())) > 200:
            pytest.skip("this file system gives no inode twice soon")
    assert scores(store)[record.key] == 0.5


def test_records_that_came_without_quintain_are_seen(store: Store, tmp_path: Path) -> None:
    assert scores(store) == expected(store)
    other = Store(tmp_path / "other")
    for record in (make(seed=1, score=0.875), make(seed=20, score=0.125)):
        other.write(record)
    for file in other.files():
        shutil.copy(file, store.path / "arriving")
        target = store.file(file.stem)
        target.parent.mkdir(exist_ok=True)
        os.replace(store.path / "arriving", target)
    found = scores(store)
    assert found == expected(store) and found[make(seed=20).key] == 0.125


def bad_utf8(text: bytes) -> bytes:
    return text.replace(b"lstm", b"\xff\xfe\xfd\xfc")


@pytest.mark.parametrize(
    "spoil", [lambda text: text[:-30], lambda text: b"", lambda text: b"[]", bad_utf8]
)
def test_what_is_no_record_is_set_aside(store: Store, spoil: Callable[[bytes], bytes]) -> None:
    bad, misnamed = store.file(make(seed=1).key), "ab" * 16
    bad.write_bytes(spoil(bad.read_bytes()))
    store.file(misnamed).parent.mkdir(exist_ok=True)
    store.file(misnamed).write_bytes(store.file(make(seed=2).key).read_bytes())
    found = scores(store)
    assert len(store.problems) == 2 and len(list((store.path / "corrupt").iterdir())) == 2
    assert found == expected(store) == scores(store) and len(found) == 5


def test_a_newer_schema_is_left_and_said(store: Store) -> None:
    file = store.file(make(seed=1).key)
    file.write_bytes(file.read_bytes().replace(b'"schema": 1', b'"schema": 2'))
    assert len(scores(store)) == 5 and "schema 2" in store.problems[0] and file.exists()


def cut_part(index: Path) -> None:
    (part,) = index.glob("part-*")
    part.write_bytes(part.read_bytes()[:-50])


def lose_part(index: Path) -> None:
    next(index.glob("part-*")).unlink()


def escape(index: Path) -> None:
    state = json.loads((index / "state.json").read_bytes())
    (index / "state.json").write_text(json.dumps(state | {"parts": ["../../x.parquet"]}))


def older(index: Path) -> None:
    state = json.loads((index / "state.json").read_bytes())
    (index / "state.json").write_text(json.dumps(state | {"version": 0, "parts": ["x"]}))


def garble(index: Path) -> None:
    (index / "state.json").write_text('{"parts": 3}')


def lose_journal(index: Path) -> None:
    (index / "written").unlink()


@pytest.mark.parametrize("harm", [cut_part, lose_part, escape, older, garble, lose_journal])
def test_a_broken_index_is_made_anew(store: Store, harm: Callable[[Path], None]) -> None:
    scores(store)
    store.write(make(seed=1, score=0.875))  # so that there is a journal
    store.path.joinpath("index", "state.json").unlink()
    assert scores(store) == expected(store)
    harm(store.path / "index")
    assert scores(store) == expected(store) and len(parts(store)) == 1


def test_where_nothing_can_be_written_it_is_made_elsewhere(store: Store) -> None:
    (store.path / "index").write_text("a file where the folder should be")
    same_frame(store)
    assert (store.path / "index").is_file()


def test_many_parts_become_two(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(table, "MANY_PARTS", 3)
    for seed in range(40, 48):
        store.write(make(seed=seed, score=seed / 64))
        store.write(make(seed=1, score=seed / 64))
        assert scores(store) == expected(store)
        assert 1 <= len(parts(store)) <= 3
    same_frame(store)


def test_too_many_outdated_rows_are_thrown_away(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(table, "MANY_DEAD", 1)
    scores(store)
    for seed in range(3):
        store.write(make(seed=seed, score=0.875))
    assert scores(store) == expected(store) and len(parts(store)) == 1
    assert json.loads((store.path / "index" / "state.json").read_bytes())["dead"] == []


WRITER = """
import sys
from records_factory import make
from quintain.records.store import Store
for seed in range(20):
    Store(sys.argv[1]).write(make(model=sys.argv[2], seed=seed % 10, score=seed / 64))
"""
READER = """
import sys
from quintain.records.store import Store
from quintain.records.table import table
for _ in range(4):
    with table(Store(sys.argv[1])) as con:
        con.sql("select * from records").fetchall()
"""


def test_two_write_while_two_read(store: Store) -> None:
    here = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    jobs = [(WRITER, "x"), (WRITER, "y"), (READER, ""), (READER, "")]
    running = [
        subprocess.Popen([sys.executable, "-c", code, str(store.path), name], env=here)
        for code, name in jobs
    ]
    assert [process.wait(300) for process in running] == [0] * 4
    assert scores(store) == expected(store) and len(expected(store)) == 26
    same_frame(store)


def test_an_empty_store_has_an_empty_table(tmp_path: Path) -> None:
    (tmp_path / "results").mkdir()
    assert scores(Store(tmp_path / "results")) == {}
