"""The store writes records atomically: killed processes, full disks, wrong or corrupt files."""

from __future__ import annotations

import json
import logging
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from helpers.paths import TESTS
from helpers.record_factory import make_record, record_values

from quintain.errors import StoreError
from quintain.records.schema import SCHEMA
from quintain.records.store import Store

PRELUDE = (
    "import sys; sys.path.insert(0, sys.argv[2])\n"
    "from helpers.record_factory import make_record\n"
    "from quintain.errors import StoreError\n"
    "from quintain.records.store import Store\n"
    "store = Store(sys.argv[1])\n"
)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "results")


def start_process(store: Store, code: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", PRELUDE + code, str(store.path), str(TESTS)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def run_process(store: Store, code: str) -> str:
    process = start_process(store, code)
    out, error = process.communicate(timeout=3000)
    assert process.returncode == 0, error
    return out


def temporary_files(store: Store) -> list[Path]:
    return list(store.path.rglob("*.tmp"))


def test_written_records_are_read(store: Store) -> None:
    records = [make_record(seed=seed) for seed in range(3)] + [make_record(status="failed", seed=9)]
    assert store.all() == [] and store.read(records[0].key) is None
    assert all(store.write(record) for record in records)
    assert store.all() == sorted(records, key=lambda record: record.key)
    assert store.read(records[0].key) == records[0]
    assert [store.status(r.key) for r in records] == ["ok", "ok", "ok", "failed"]
    assert store.status("ab" * 8) is None
    assert not temporary_files(store) and not store.problems
    assert store.file(records[0].key).stat().st_size < 8000


def test_ok_record_is_only_replaced_by_another_ok_record(store: Store) -> None:
    good, failed, skipped = (
        make_record(),
        make_record(status="failed"),
        make_record(status="skipped"),
    )
    assert store.write(failed) and store.write(skipped) and store.write(good)
    assert not store.write(failed) and not store.write(skipped)
    assert store.read(good.key) == good
    better = make_record(score=0.95)
    assert store.write(better) and store.read(good.key) == better
    assert not temporary_files(store)


def test_secrets_are_redacted_when_written(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CLOUD_TOKEN", "very-secret-token")
    record = make_record(machine={"cmd": "--token very-secret-token"})
    store.write(record)
    assert "very-secret" not in store.file(record.key).read_text()


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"[1]", b"null", b"\xff\xfe", b'{"schema": 1}', b"[" * 100_000],
    ids=["empty", "truncated", "list", "null", "binary", "lacking", "deep"],
)
def test_corrupt_file_is_moved_aside(
    store: Store, content: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    good, bad = make_record(seed=1), make_record(seed=2)
    store.write(good)
    file = store.file(bad.key)
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(content)
    with caplog.at_level(logging.WARNING):
        assert store.all() == [good]
    assert len(store.problems) == len(caplog.records) == 1
    assert "not a valid record" in store.problems[0]
    (moved,) = (store.path / "corrupt").iterdir()
    assert moved.read_bytes() == content and not file.exists()
    assert store.write(bad) and len(store.all()) == 2


def test_truncated_mistyped_and_misnamed_records_are_moved_aside(store: Store) -> None:
    good, truncated, mistyped, misnamed = (make_record(seed=seed) for seed in range(4))
    for record in (good, truncated, mistyped, misnamed):
        store.write(record)
    store.file(truncated.key).write_bytes(store.file(truncated.key).read_bytes()[:-50])
    store.file(mistyped.key).write_text(json.dumps(record_values(seed=2) | {"status": 7}))
    store.file(misnamed.key).write_text(good.to_json())
    assert store.all() == [good] and len(store.problems) == 3
    assert any(f"its key is {good.key}" in problem for problem in store.problems)
    assert store.all() == [good] and len(store.problems) == 3


def test_record_of_newer_schema_is_left_in_place_and_not_replaced(store: Store) -> None:
    record = make_record()
    store.write(record)
    newer = f'"schema": {SCHEMA + 1}, "new": 0'
    text = store.file(record.key).read_text().replace(f'"schema": {SCHEMA}', newer)
    store.file(record.key).write_text(text)
    assert store.all() == [] and f"schema {SCHEMA + 1}" in store.problems[0]
    assert not store.write(record)
    assert store.file(record.key).read_text() == text and len(store.problems) == 1


def test_files_with_other_names_are_ignored(store: Store) -> None:
    record = make_record()
    store.write(record)
    folder = store.file(record.key).parent
    (folder / "notes.json").write_text("mine")
    (folder / ".hidden.tmp").write_text("half")
    (store.path / "README.md").write_text("hello")
    (store.path / "records" / "plan.json").write_text("{}")
    assert store.all() == [record] and not store.problems


def test_file_in_place_of_the_store_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for path in (tmp_path / "file", tmp_path / "file" / "below"):
        store = Store(path)
        for operation in (store.check_writable, lambda store=store: store.write(make_record())):
            with pytest.raises(StoreError, match="is not a folder"):
                operation()
    with pytest.raises(StoreError, match="not a folder"):
        Store(tmp_path / "file").all()


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    disk = tmp_path / "disk"
    disk.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", str(disk)]
    try:
        subprocess.run(command, check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("mounting a tmpfs needs root")
    yield disk
    subprocess.run(["umount", "-l", str(disk)], check=True)


def test_full_disk_is_reported_and_leaves_no_partial_file(small_disk: Path) -> None:
    store = Store(small_disk / "results")
    store.check_writable()
    assert store.write(make_record(seed=0))
    filler = small_disk / "filler"
    with pytest.raises(OSError), filler.open("wb", buffering=0) as file:
        for _ in range(1000):
            file.write(b"x" * 1024)
    for operation in (store.check_writable, lambda: store.write(make_record(seed=1))):
        with pytest.raises(StoreError, match="full disk"):
            operation()
    assert not temporary_files(store) and store.all() == [make_record(seed=0)]
    filler.unlink()
    assert store.write(make_record(seed=1))


def test_read_only_disk_is_reported_and_records_can_be_read(small_disk: Path) -> None:
    store = Store(small_disk / "results")
    store.write(make_record())
    store.file(make_record(seed=2).key).parent.mkdir(exist_ok=True)
    store.file(make_record(seed=2).key).write_text("bad")
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    for operation in (
        store.check_writable,
        lambda: store.write(make_record()),
        lambda: store.claim("ab"),
    ):
        with pytest.raises(StoreError, match="read-only"):
            operation()
    assert store.all() == [make_record()] and "ignored" in store.problems[0]


def test_file_size_limit_is_reported_and_leaves_no_partial_file(store: Store) -> None:
    out = run_process(
        store,
        "import resource, signal\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (500, 500))\n"
        "try: store.write(make_record())\n"
        "except StoreError as error: print(error)\n",
    )
    assert "ulimit" in out and not temporary_files(store) and store.all() == []


def test_killed_writer_leaves_only_whole_records(store: Store) -> None:
    code = (
        "print('go', flush=True)\n"
        "for i in range(10**6): store.write(make_record(seed=i % 5, score=(i % 97) / 97))\n"
    )
    for _ in range(3):
        process = start_process(store, code)
        assert process.stdout is not None and process.stdout.readline() == "go\n"
        while not store.all():
            assert process.poll() is None
        time.sleep(random.uniform(0.1, 0.3))  # at any moment
        process.send_signal(signal.SIGKILL)
        process.communicate(timeout=900)
        records = store.all()
        assert not store.problems and {record.status for record in records} <= {"ok"}
    assert records
    for path in temporary_files(store):
        os.utime(path, (0, 0))
    store.check_writable()
    assert not temporary_files(store)


def test_processes_that_write_the_same_cells_keep_the_ok_records(store: Store) -> None:
    code = "for i in range(40): store.write(make_record(seed=i % 4, status='{}'))\n"
    processes = [
        start_process(store, code.format(status)) for status in ("ok", "failed", "skipped")
    ]
    for process in processes:
        assert process.communicate(timeout=3000)[1] == ""
    assert [record.status for record in store.all()] == ["ok"] * 4
    assert not store.problems and not temporary_files(store)


def test_claim_excludes_other_processes_until_its_process_ends(store: Store) -> None:
    key = make_record().key
    code = f"claim = store.claim('{key}'); print(bool(claim), flush=True); input()\n"
    command = [sys.executable, "-c", PRELUDE + code, str(store.path), str(TESTS)]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None and process.stdout.readline() == "True\n"
        assert store.claim(key) is None
        process.kill()
        process.wait()
    claim = store.claim(key)
    assert claim is not None and store.claim(key) is None
    with claim:
        assert store.claim("ab" * 8) is not None
    claim.release()
    second = store.claim(key)
    assert second is not None
    second.release()
