"""A store at a URL: pushing, fetching, refusals and outages, in one process with memory://."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path

import fsspec
import pytest
from helpers.record_factory import make_record

from quintain.cli.main import main
from quintain.errors import RemoteError, StoreError
from quintain.records.precedence import content_hash
from quintain.records.remote import outbox, sync
from quintain.records.remote import remote as remote_module
from quintain.records.remote.remote import Remote, working_folder
from quintain.records.remote.sync import synced_store
from quintain.records.schema import SCHEMA
from quintain.records.store import Store

URL = "memory://bench/results"


@pytest.fixture(autouse=True)
def clean_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("QUINTAIN_STORES", str(tmp_path / "working"))
    memory = fsspec.filesystem("memory")
    memory.store.clear()
    memory.pseudo_dirs[:] = [""]
    yield
    memory.store.clear()


def make_machine(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, name: str, url: str = URL
) -> Remote:
    """Return the remote as another machine sees it, with working stores of its own."""
    monkeypatch.setenv("QUINTAIN_STORES", str(tmp_path / name))
    remote = Remote(url)
    remote.prepare()
    return remote


def list_objects() -> list[str]:
    return sorted(fsspec.filesystem("memory").find("/bench"))


def write_samples(store: Store, key: str, text: str) -> None:
    store.samples(key).mkdir(parents=True)
    (store.samples(key) / "samples.json").write_text(text)


def test_records_pushed_by_one_machine_are_fetched_by_another(tmp_path, monkeypatch) -> None:
    first, second = (make_machine(monkeypatch, tmp_path, name) for name in ("a", "b"))
    good, bad = make_record(seed=1), make_record(seed=2, status="failed")
    write_samples(first.store, good.key, "[1]")
    (first.store.path / "logs").mkdir()
    (first.store.path / "logs" / f"{bad.key}.log").write_text("out of memory")
    first.store.write(good)
    first.store.write(bad)
    assert first.count_unpushed() == 2 and first.push() == 2
    assert first.count_unpushed() == first.push() == 0
    folders = [name.split("/")[3] for name in list_objects()]
    assert folders == ["logs", "records", "records", "samples"]
    assert second.fetch_records() == 2 and second.fetch_records() == second.count_unpushed() == 0
    assert second.store.all() == first.store.all()
    assert not second.store.samples(good.key).exists()
    assert (second.fetch_samples(good.key) / "samples.json").read_text() == "[1]"
    assert not second.fetch_samples(bad.key).exists()
    assert first.fetch_records() == 0


def test_damaged_file_in_the_outbox_is_not_pushed(tmp_path, monkeypatch) -> None:
    remote = make_machine(monkeypatch, tmp_path, "a")
    remote.store.write(make_record())
    (unpushed,) = outbox.list_files(remote.store.path)
    unpushed.unlink()
    unpushed.write_bytes(b"")
    assert remote.push() == 0 and list_objects() == [] and remote.count_unpushed() == 0
    assert "is damaged" in remote.store.problems[0]


def test_machines_that_finish_the_same_cell_agree_on_its_record(tmp_path, monkeypatch) -> None:
    first, second, third = (make_machine(monkeypatch, tmp_path, name) for name in "abc")
    early = make_record(finished="2026-11-01T10:00:00Z", score=0.9)
    late = make_record(finished="2026-11-01T11:00:00Z", score=0.8)
    write_samples(first.store, early.key, "early")
    write_samples(second.store, late.key, "late")
    first.store.write(early)
    second.store.write(late)
    second.store.write(make_record(status="failed", finished="2026-11-02T10:00:00Z", seed=2))
    second.push()
    first.push()
    for remote in (first, second, third):
        remote.fetch_records()
        assert remote.store.read(early.key) == late
    assert (third.fetch_samples(late.key) / "samples.json").read_text() == "late"
    first.store.write(make_record(seed=2))
    first.push()
    third.fetch_records()
    assert third.store.status(make_record(seed=2).key) == "ok"
    second.fetch_records()
    assert second.store.all() == first.store.all() == third.store.all()


def test_objects_that_are_not_records_are_reported_and_ignored(tmp_path, monkeypatch) -> None:
    remote, memory = make_machine(monkeypatch, tmp_path, "a"), fsspec.filesystem("memory")
    good = make_record().to_json().encode()
    key, folder = make_record().key, "/bench/results/records"
    memory.pipe(f"{folder}/{key[:2]}/{key}.{content_hash(good)}.json", good[:-9])  # cut short
    memory.pipe(f"{folder}/aa/{'aa' * 16}.{content_hash(good)}.json", good)  # another cell's
    memory.pipe(f"{folder}/../../escape.json", b"{}")
    memory.pipe(f"{folder}/ab/..%2f.{content_hash(b'')}.json", b"")
    assert remote.fetch_records() == 0 and remote.store.files() == []
    problems = "".join(remote.store.problems)
    assert "could not be read completely" in problems and "not valid" in problems
    memory.pipe(f"{folder}/{key[:2]}/{key}.{content_hash(good)}.json", good)  # sent again
    assert remote.fetch_records() == 1 and remote.store.all() == [make_record()]


def test_object_that_is_too_large_is_reported_and_ignored(tmp_path, monkeypatch) -> None:
    remote, memory = make_machine(monkeypatch, tmp_path, "a"), fsspec.filesystem("memory")
    good, key = make_record().to_json().encode(), make_record().key
    monkeypatch.setattr(remote_module, "MAX_BYTES", len(good))
    folder = f"/bench/results/records/{key[:2]}"
    large = good[:-2] + b" " * 9 + b"}\n"
    memory.pipe({f"{folder}/{key}.{content_hash(text)}.json": text for text in (good, large)})
    requests, cat = [], memory.cat
    monkeypatch.setattr(
        remote.storage.fs,
        "cat",
        lambda paths, **options: requests.append(paths) or cat(paths, **options),
    )
    assert remote.fetch_records() == 1 and remote.store.all() == [make_record()]
    assert [len(paths) for paths in requests] == [1]
    assert f"{key}.{content_hash(large)}.json has 0 MiB" in "".join(remote.store.problems)


def test_batches_are_bounded_by_number_and_size(monkeypatch) -> None:
    monkeypatch.setattr(remote_module, "MAX_BYTES", 10)
    monkeypatch.setattr(remote_module, "BATCH_SIZE", 3)
    sizes = {"a": 6, "b": 4, "c": 1, "d": 0, "e": 0, "f": 0, "g": 10}
    batches = list(remote_module._make_batches(list(sizes), sizes))
    assert batches == [["a", "b"], ["c", "d", "e"], ["f", "g"]]
    assert list(remote_module._make_batches([], {})) == []


def test_newer_schema_makes_the_store_read_only_and_newer_layout_is_an_error(
    tmp_path, monkeypatch
) -> None:
    first, second = (make_machine(monkeypatch, tmp_path, name) for name in "ab")
    newer = make_record().to_json().replace(f'"schema": {SCHEMA}', f'"schema": {SCHEMA + 1}')
    second.store.merge_record(make_record().key, newer.encode())
    second.push()
    first.fetch_records()
    with pytest.raises(StoreError, match="read-only"):
        first.store.check_writable()
    fsspec.filesystem("memory").pipe(
        "/bench/results/quintain-store.json", json.dumps({"layout": 2}).encode()
    )
    with pytest.raises(StoreError, match="layout 2; this quintain reads up to 1: update"):
        first.fetch_records()


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("ftp://me:hunter2-secret@host/x", "must not contain credentials"),
        ("s3://bucket/x?token=hunter2-secret", "must not contain credentials"),
        ("nosuch://bucket/x", "nosuch:// is unknown"),
        ("simplecache::s3://bucket/x", "expected a URL like"),
        ("s3://", "expected a URL like"),
        ("adl://bucket/x", "adl:// needs adlfs: pip install adlfs"),
    ],
)
def test_unusable_url_is_a_usage_error_without_secrets(url: str, message: str, capsys) -> None:
    assert main(["records", f"store={url}"]) == 2
    error = capsys.readouterr().err
    assert message in error and "hunter2" not in error and error.count("\n") == 1


def test_url_in_a_yaml_is_an_error(capsys) -> None:
    from quintain.compose.config import compose_job, hydra_session
    from quintain.compose.settings import find_setting_problems

    with hydra_session():
        config = compose_job(["dataset=digits", "model=mlp"]).config
    (problem,) = find_setting_problems(config | {"store": "s3://bucket/x"})
    assert "command line only" in problem


class FlakyFileSystem:
    """A file system that cannot be reached while `is_unreachable` is true."""

    def __init__(self, fs) -> None:
        self.fs, self.is_unreachable = fs, True

    def __getattr__(self, name: str):
        attribute = getattr(self.fs, name)
        if not self.is_unreachable or not callable(attribute) or name.startswith("_"):
            return attribute

        def raise_error(*_, **__):
            raise ConnectionError("no route to host")

        return raise_error


def test_records_stay_in_the_outbox_while_the_remote_is_unreachable(tmp_path, monkeypatch) -> None:
    remote = make_machine(monkeypatch, tmp_path, "a")
    remote.storage.fs = network = FlakyFileSystem(remote.storage.fs)
    records = [make_record(seed=seed) for seed in range(3)]
    for record in records:
        remote.store.write(record)
    with pytest.raises(RemoteError, match=r"cannot be reached \(no route to host") as caught:
        remote.push()
    assert caught.value.is_unreachable and remote.count_unpushed() == 3
    network.is_unreachable = False
    assert remote.push() == 3 and make_machine(monkeypatch, tmp_path, "b").fetch_records() == 3


def test_command_pushes_while_it_runs_and_reports_unpushed_records(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(sync, "PUSH_INTERVAL", 0.01)
    overrides, messages = ["dataset=digits", f"store={URL}"], []
    with synced_store(overrides, writes=True, notify=messages.append) as session:
        store = Store(session.overrides[1].removeprefix("store="))
        assert session.overrides[0] == "dataset=digits" and store.path == working_folder(URL)
        store.write(make_record(seed=1))
        deadline = time.monotonic() + 120
        while outbox.list_files(store.path):
            assert time.monotonic() < deadline
            time.sleep(0.01)
    assert messages == [] and session.exit_code == 0 and len(list_objects()) == 2
    network = FlakyFileSystem(fsspec.filesystem("memory"))
    monkeypatch.setattr(
        "quintain.records.remote.object_storage.open_filesystem", lambda protocol: network
    )
    with synced_store(overrides, writes=True, notify=messages.append) as session:
        store.write(make_record(seed=2))
    assert session.exit_code == 1 and f"using {store.path}" in messages[0]
    assert f"1 record is still in {store.path}" in messages[1] and "next command" in messages[1]
    with synced_store(overrides, writes=False, notify=messages.append) as session:
        pass
    assert session.exit_code == 0 and "1 record is still" in messages[-1]
    network.is_unreachable, before = False, len(messages)
    with synced_store(overrides, writes=False, notify=messages.append) as session:
        pass
    assert len(messages) == before and len(list_objects()) == 3
    assert not outbox.list_files(store.path)


def test_remote_that_was_never_reached_is_an_error(monkeypatch, capsys) -> None:
    network = FlakyFileSystem(fsspec.filesystem("memory"))
    monkeypatch.setattr(
        "quintain.records.remote.object_storage.open_filesystem", lambda protocol: network
    )
    assert main(["sweep", "dataset=digits", "model=mlp", f"store={URL}"]) == 2
    assert "never was from this machine: check the URL" in capsys.readouterr().err


def test_file_url_is_a_folder(tmp_path, capsys) -> None:
    store = Store(tmp_path / "plain")
    store.write(make_record())
    assert main(["records", f"store=file://{store.path}", "--format", "json"]) == 0
    assert json.loads(capsys.readouterr().out)[0]["key"] == make_record().key
    assert not outbox.outbox_folder(store.path).exists() and not (tmp_path / "working").exists()


def test_commands_accept_a_url(tmp_path, monkeypatch, capsys) -> None:
    overrides = ["dataset=digits", "model=mlp", "budget.steps=6", "budget.validations=1"]
    overrides += ["budget.params=9000", "hardware=cpu", "wandb.mode=disabled", "launch.workers=1"]
    assert main(["run", *overrides, f"store={URL}"]) == 0
    names = list_objects()
    assert {name.split("/")[3] for name in names if name.count("/") > 3} == {
        "plans", "records", "samples",
    }  # fmt: skip
    make_machine(monkeypatch, tmp_path, "another")
    capsys.readouterr()
    assert main(["records", f"store={URL}", "--format", "json"]) == 0
    (entry,) = json.loads(capsys.readouterr().out)
    assert entry["status"] == "ok" and entry["model"] == "mlp"
    assert main(["run", *overrides, f"store={URL}"]) == 0
    assert "1 cell: 0 ran, 1 were in the store" in capsys.readouterr().out
    assert main(["leaderboard", f"store={URL}"]) == 0
    assert main(["doctor", f"store={URL}"]) in (0, 1)


def test_record_that_was_deleted_locally_is_fetched_again(tmp_path, monkeypatch) -> None:
    first, second = (make_machine(monkeypatch, tmp_path, name) for name in ("a", "b"))
    record = make_record(seed=1)
    first.store.write(record)
    first.push()
    second.fetch_records()
    for remote in (first, second):
        remote.store.file(record.key).unlink()
        assert remote.fetch_records() == 1 and remote.store.read(record.key) == record


def test_user_name_in_a_url_is_not_a_secret(tmp_path, monkeypatch) -> None:
    assert (
        make_machine(monkeypatch, tmp_path, "a", "memory://me@bench/x").url == "memory://me@bench/x"
    )
