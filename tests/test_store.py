"""The store: whole records or none, whatever dies, fills up, lies in the way or is corrupt."""

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
from records_factory import make, plain

from quintain.records.store import Store, StoreError

HERE = str(Path(__file__).parent)
PRELUDE = (
    "import sys; sys.path.insert(0, sys.argv[2])\n"
    "from records_factory import make\n"
    "from quintain.records.store import Store, StoreError\n"
    "store = Store(sys.argv[1])\n"
)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "results")


def start(store: Store, code: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", PRELUDE + code, str(store.path), HERE]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def run(store: Store, code: str) -> str:
    process = start(store, code)
    out, error = process.communicate(timeout=3000)
    assert process.returncode == 0, error
    return out


def leftovers(store: Store) -> list[Path]:
    return list(store.path.rglob("*.tmp"))


def test_what_is_written_is_read(store: Store) -> None:
    records = [make(seed=seed) for seed in range(3)] + [make(status="failed", seed=9)]
    assert store.all() == [] and store.read(records[0].key) is None
    assert all(store.write(record) for record in records)
    assert store.all() == sorted(records, key=lambda record: record.key)
    assert store.read(records[0].key) == records[0]
    assert [store.status(r.key) for r in records] == ["ok", "ok", "ok", "failed"]
    assert store.status("ab" * 8) is None
    assert not leftovers(store) and not store.problems
    assert store.file(records[0].key).stat().st_size < 8000


def test_ok_is_never_overwritten_by_less(store: Store) -> None:
    good, failed, skipped = make(), make(status="failed"), make(status="skipped")
    assert store.write(failed) and store.write(skipped) and store.write(good)
    assert not store.write(failed) and not store.write(skipped)
    assert store.read(good.key) == good
    better = make(score=0.95)
    assert store.write(better) and store.read(good.key) == better
    assert not leftovers(store)


def test_secrets_are_not_written(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CLOUD_TOKEN", "very-secret-token")
    record = make(machine={"cmd": "--token very-secret-token"})
    store.write(record)
    assert "very-secret" not in store.file(record.key).read_text()


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"[1]", b"null", b"\xff\xfe", b'{"schema": 1}', b"[" * 100_000],
    ids=["empty", "truncated", "list", "null", "binary", "lacking", "deep"],
)
def test_corrupt_file_is_set_aside(
    store: Store, content: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    good, bad = make(seed=1), make(seed=2)
    store.write(good)
    file = store.file(bad.key)
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(content)
    with caplog.at_level(logging.WARNING):
        assert store.all() == [good]
    assert len(store.problems) == len(caplog.records) == 1
    assert "not a valid record" in store.problems[0]
    (aside,) = (store.path / "corrupt").iterdir()
    assert aside.read_bytes() == content and not file.exists()
    assert store.write(bad) and len(store.all()) == 2


def test_cut_and_mistyped_and_misnamed_records_are_set_aside(store: Store) -> None:
    keep, cut, typed, named = (make(seed=seed) for seed in range(4))
    for record in (keep, cut, typed, named):
        store.write(record)
    store.file(cut.key).write_bytes(store.file(cut.key).read_bytes()[:-50])
    store.file(typed.key).write_text(json.dumps(plain(seed=2) | {"status": 7}))
    store.file(named.key).write_text(keep.to_json())
    assert store.all() == [keep] and len(store.problems) == 3
    assert any(f"holds the key {keep.key}" in problem for problem in store.problems)
    assert store.all() == [keep] and len(store.problems) == 3


def test_newer_schema_is_left_in_place_and_not_overwritten(store: Store) -> None:
    record = make()
    store.write(record)
    text = store.file(record.key).read_text().replace('"schema": 1', '"schema": 2, "new": 0')
    store.file(record.key).write_text(text)
    assert store.all() == [] and "schema 2" in store.problems[0]
    assert not store.write(record)
    assert store.file(record.key).read_text() == text and len(store.problems) == 1


def test_other_files_are_ignored(store: Store) -> None:
    record = make()
    store.write(record)
    folder = store.file(record.key).parent
    (folder / "notes.json").write_text("mine")
    (folder / ".hidden.tmp").write_text("half")
    (store.path / "README.md").write_text("hello")
    (store.path / "records" / "plan.json").write_text("{}")
    assert store.all() == [record] and not store.problems


def test_file_in_the_way(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for path in (tmp_path / "file", tmp_path / "file" / "below"):
        store = Store(path)
        for question in (store.check_writable, lambda store=store: store.write(make())):
            with pytest.raises(StoreError, match="is not a folder"):
                question()
    with pytest.raises(StoreError, match="not a folder"):
        Store(tmp_path / "file").all()


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    place = tmp_path / "disk"
    place.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", str(place)]
    try:
        subprocess.run(command, check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("mounting a tmpfs needs root")
    yield place
    subprocess.run(["umount", "-l", str(place)], check=True)


def test_full_disk(small_disk: Path) -> None:
    store = Store(small_disk / "results")
    store.check_writable()
    assert store.write(make(seed=0))
    filler = small_disk / "filler"
    with pytest.raises(OSError), filler.open("wb", buffering=0) as file:
        for _ in range(1000):
            file.write(b"x" * 1024)
    for question in (store.check_writable, lambda: store.write(make(seed=1))):
        with pytest.raises(StoreError, match="full disk"):
            question()
    assert not leftovers(store) and store.all() == [make(seed=0)]
    filler.unlink()
    assert store.write(make(seed=1))


def test_read_only_disk(small_disk: Path) -> None:
    store = Store(small_disk / "results")
    store.write(make())
    store.file(make(seed=2).key).parent.mkdir(exist_ok=True)
    store.file(make(seed=2).key).write_text("bad")
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    for question in (store.check_writable, lambda: store.write(make()), lambda: store.claim("ab")):
        with pytest.raises(StoreError, match="read-only"):
            question()
    assert store.all() == [make()] and "ignored" in store.problems[0]


def test_file_size_limit_leaves_nothing_half_written(store: Store) -> None:
    out = run(
        store,
        "import resource, signal\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (500, 500))\n"
        "try: store.write(make())\n"
        "except StoreError as error: print(error)\n",
    )
    assert "ulimit" in out and not leftovers(store) and store.all() == []


def test_killed_in_the_middle_of_writes(store: Store) -> None:
    code = (
        "print('go', flush=True)\n"
        "for i in range(10**6): store.write(make(seed=i % 5, score=(i % 97) / 97))\n"
    )
    for _ in range(3):
        process = start(store, code)
        assert process.stdout is not None and process.stdout.readline() == "go\n"
        while not store.all():
            assert process.poll() is None
        time.sleep(random.uniform(0.1, 0.3))  # at any moment
        process.send_signal(signal.SIGKILL)
        process.communicate(timeout=900)
        found = store.all()
        assert not store.problems and {record.status for record in found} <= {"ok"}
    assert found
    for path in leftovers(store):
        os.utime(path, (0, 0))
    store.check_writable()
    assert not leftovers(store)


def test_two_processes_writing_the_same_cells(store: Store) -> None:
    code = "for i in range(40): store.write(make(seed=i % 4, status='{}'))\n"
    processes = [start(store, code.format(status)) for status in ("ok", "failed", "skipped")]
    for process in processes:
        assert process.communicate(timeout=3000)[1] == ""
    assert [record.status for record in store.all()] == ["ok"] * 4
    assert not store.problems and not leftovers(store)


def test_claim_excludes_others_and_dies_with_its_process(store: Store) -> None:
    key = make().key
    code = f"claim = store.claim('{key}'); print(bool(claim), flush=True); input()\n"
    command = [sys.executable, "-c", PRELUDE + code, str(store.path), HERE]
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
    again = store.claim(key)
    assert again is not None
    again.release()
