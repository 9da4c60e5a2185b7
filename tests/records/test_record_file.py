"""Files named like records that are damaged, of an earlier version, or no files at all."""

from __future__ import annotations

import os
import socket
import zlib
from pathlib import Path

import pytest
from helpers.record_factory import make_record

from quintain.records.index.table import open_table
from quintain.records.record_file import seal, unseal
from quintain.records.store import Store


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "results")


def test_the_last_line_of_a_record_is_the_crc_32_of_the_text_before_it(store):
    record = make_record()
    store.write(record)
    content = store.file(record.key).read_bytes()
    body, _, checksum = content.rpartition(b',\n "checksum": ')
    assert checksum == b'"%08x"}\n' % zlib.crc32(body)
    assert content == seal(record.to_json())
    assert unseal(content) == record.to_json().encode()
    assert store.read(record.key) == record


@pytest.mark.parametrize(
    ("before", "after"),
    [(b'"test": 0.9', b'"test": 0.8'), (b'"steps": 20', b'"steps": 90'), (b'"s', b'"S')],
)
def test_a_record_damaged_in_its_middle_is_not_finished(before, after, store):
    good, bad = make_record(seed=1), make_record(seed=2)
    store.write(good)
    store.write(bad)
    file = store.file(bad.key)
    assert before in file.read_bytes()
    file.write_bytes(file.read_bytes().replace(before, after, 1))
    with open_table(Store(store.path)) as table:
        assert table.sql("select key from records").fetchall() == [(good.key,)]
    assert not file.exists() and len(list((store.path / "corrupt").iterdir())) == 1
    file.write_bytes(seal(bad.to_json()).replace(before, after, 1))
    assert store.statuses([good.key, bad.key]) == {good.key: "ok"}
    assert "its checksum does not match" in store.problems[0] or after == b'"S'
    assert store.write(bad) and store.statuses([bad.key]) == {bad.key: "ok"}


@pytest.mark.parametrize("position", [-3, -6, -12])
def test_a_damaged_checksum_is_a_damaged_record(position, store):
    record = make_record()
    store.write(record)
    content = bytearray(store.file(record.key).read_bytes())
    content[position] = ord("x")
    store.file(record.key).write_bytes(content)
    assert store.statuses([record.key]) == {} and store.read(record.key) is None


def test_a_record_of_an_earlier_version_has_no_checksum_and_stays_readable(store):
    record = make_record()
    file = store.file(record.key)
    file.parent.mkdir(parents=True)
    file.write_text(record.to_json())
    assert store.statuses([record.key]) == {record.key: "ok"}
    assert store.read(record.key) == record and not store.problems


def make_pipe(file: Path) -> None:
    os.mkfifo(file)


def make_socket(file: Path) -> None:
    here = os.getcwd()
    os.chdir(file.parent)  # the path of a socket is short
    try:
        with socket.socket(socket.AF_UNIX) as server:
            server.bind(file.name)
    finally:
        os.chdir(here)


def link_to_device(file: Path) -> None:
    file.symlink_to("/dev/zero")


@pytest.mark.parametrize("make", [make_pipe, make_socket, link_to_device])
def test_what_is_no_file_but_named_like_a_record_hangs_no_reader(make, store):
    good, bad = make_record(seed=1), make_record(seed=2)
    store.write(good)
    store.file(bad.key).parent.mkdir(parents=True, exist_ok=True)
    make(store.file(bad.key))
    keys = [good.key, bad.key]
    assert store.statuses(keys) == {good.key: "ok"}
    assert store.all() == [good] and store.read(bad.key) is None
    store.check_writable()
    with open_table(store) as table:
        assert table.sql("select key from records").fetchall() == [(good.key,)]
    assert any(str(store.file(bad.key)) in problem for problem in store.problems)
    assert Store(store.path.parent / "other").merge(store) == 1
    assert store.write(bad) and store.read(bad.key) == bad  # a new record takes its place
