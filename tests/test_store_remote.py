"""A store at a URL: sent, fetched, refused and away, in one process with memory://."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path

import fsspec
import pytest
from records_factory import make

from quintain import cli
from quintain.records import courier, outbox
from quintain.records import remote as module
from quintain.records.courier import mirrored
from quintain.records.rank import digest
from quintain.records.remote import Remote, RemoteError, working_folder
from quintain.records.store import Store, StoreError

URL = "memory://bench/results"


@pytest.fixture(autouse=True)
def clean(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("QUINTAIN_STORES", str(tmp_path / "here"))
    memory = fsspec.filesystem("memory")
    memory.store.clear()
    memory.pseudo_dirs[:] = [""]
    yield
    memory.store.clear()


def machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, name: str, url: str = URL) -> Remote:
    """The remote as another machine sees it, with working stores of its own."""
    monkeypatch.setenv("QUINTAIN_STORES", str(tmp_path / name))
    remote = Remote(url)
    remote.prepare()
    return remote


def objects() -> list[str]:
    return sorted(fsspec.filesystem("memory").find("/bench"))


def samples(store: Store, key: str, text: str) -> None:
    store.samples(key).mkdir(parents=True)
    (store.samples(key) / "samples.json").write_text(text)


def test_what_one_machine_finished_another_finds(tmp_path, monkeypatch) -> None:
    here, there = (machine(monkeypatch, tmp_path, name) for name in ("a", "b"))
    good, bad = make(seed=1), make(seed=2, status="failed")
    samples(here.store, good.key, "[1]")
    (here.store.path / "logs").mkdir()
    (here.store.path / "logs" / f"{bad.key}.log").write_text("out of memory")
    here.store.write(good)
    here.store.write(bad)
    assert here.waiting() == 2 and here.push() == 2 and here.waiting() == here.push() == 0
    assert [name.split("/")[3] for name in objects()] == ["logs", "records", "records", "samples"]
    assert there.pull() == 2 and there.pull() == 0 and there.waiting() == 0
    assert there.store.all() == here.store.all()
    assert not there.store.samples(good.key).exists()
    assert (there.bring_samples(good.key) / "samples.json").read_text() == "[1]"
    assert not there.bring_samples(bad.key).exists()
    assert here.pull() == 0


def test_a_damaged_copy_is_not_sent(tmp_path, monkeypatch) -> None:
    remote = machine(monkeypatch, tmp_path, "a")
    remote.store.write(make())
    (waiting,) = outbox.waiting(remote.store.path)
    waiting.unlink()
    waiting.write_bytes(b"")
    assert remote.push() == 0 and objects() == [] and remote.waiting() == 0
    assert "is damaged" in remote.store.problems[0]


def test_two_machines_that_finish_one_cell_agree(tmp_path, monkeypatch) -> None:
    here, there, third = (machine(monkeypatch, tmp_path, name) for name in "abc")
    early = make(finished="2026-11-01T10:00:00Z", score=0.9)
    late = make(finished="2026-11-01T11:00:00Z", score=0.8)
    samples(here.store, early.key, "early")
    samples(there.store, late.key, "late")
    here.store.write(early)
    there.store.write(late)
    there.store.write(make(status="failed", finished="2026-11-02T10:00:00Z", seed=2))
    there.push()
    here.push()
    for remote in (here, there, third):
        remote.pull()
        assert remote.store.read(early.key) == late
    assert (third.bring_samples(late.key) / "samples.json").read_text() == "late"
    here.store.write(make(seed=2))
    here.push()
    third.pull()
    assert third.store.status(make(seed=2).key) == "ok"
    there.pull()
    assert there.store.all() == here.store.all() == third.store.all()


def test_objects_that_are_no_records_are_said_and_left(tmp_path, monkeypatch) -> None:
    remote, memory = machine(monkeypatch, tmp_path, "a"), fsspec.filesystem("memory")
    good = make().to_json().encode()
    key, place = make().key, "/bench/results/records"
    memory.pipe(f"{place}/{key[:2]}/{key}.{digest(good)}.json", good[:-9])  # cut short
    memory.pipe(f"{place}/aa/{'aa' * 16}.{digest(good)}.json", good)  # another cell's
    memory.pipe(f"{place}/../../escape.json", b"{}")
    memory.pipe(f"{place}/ab/..%2f.{digest(b'')}.json", b"")
    assert remote.pull() == 0 and remote.store.files() == []
    said = "".join(remote.store.problems)
    assert "could not be read whole" in said and "not valid" in said
    memory.pipe(f"{place}/{key[:2]}/{key}.{digest(good)}.json", good)  # sent again
    assert remote.pull() == 1 and remote.store.all() == [make()]


def test_an_object_that_is_too_large_is_named_and_left(tmp_path, monkeypatch) -> None:
    remote, memory = machine(monkeypatch, tmp_path, "a"), fsspec.filesystem("memory")
    good, key = make().to_json().encode(), make().key
    monkeypatch.setattr(module, "MOST", len(good))
    place = f"/bench/results/records/{key[:2]}"
    large = good[:-2] + b" " * 9 + b"}\n"
    memory.pipe({f"{place}/{key}.{digest(text)}.json": text for text in (good, large)})
    read, real = [], memory.cat
    monkeypatch.setattr(
        remote.fs, "cat", lambda paths, **more: read.append(paths) or real(paths, **more)
    )
    assert remote.pull() == 1 and remote.store.all() == [make()]
    assert [len(paths) for paths in read] == [1]
    assert f"{key}.{digest(large)}.json has 0 MiB" in "".join(remote.store.problems)


def test_what_is_fetched_at_once_is_bounded(monkeypatch) -> None:
    monkeypatch.setattr(module, "MOST", 10)
    monkeypatch.setattr(module, "BATCH", 3)
    sizes = {"a": 6, "b": 4, "c": 1, "d": 0, "e": 0, "f": 0, "g": 10}
    batches = list(module._batches(list(sizes), sizes))
    assert batches == [["a", "b"], ["c", "d", "e"], ["f", "g"]]
    assert list(module._batches([], {})) == []


def test_newer_records_and_layouts(tmp_path, monkeypatch) -> None:
    here, there = (machine(monkeypatch, tmp_path, name) for name in "ab")
    newer = make().to_json().replace('"schema": 1', '"schema": 2').encode()
    there.store.adopt(make().key, newer)
    there.push()
    here.pull()
    with pytest.raises(StoreError, match="read-only"):
        here.store.check_writable()
    fsspec.filesystem("memory").pipe(
        "/bench/results/quintain-store.json", json.dumps({"layout": 2}).encode()
    )
    with pytest.raises(StoreError, match="layout 2 and this quintain knows up to 1: update"):
        here.pull()


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("ftp://me:hunter2-secret@host/x", "credentials do not belong"),
        ("s3://bucket/x?token=hunter2-secret", "credentials do not belong"),
        ("nosuch://bucket/x", "nosuch:// is not known"),
        ("simplecache::s3://bucket/x", "expected a URL like"),
        ("s3://", "expected a URL like"),
        ("adl://bucket/x", "adl:// needs adlfs: pip install adlfs"),
    ],
)
def test_urls_that_cannot_be_used(url: str, words: str, capsys) -> None:
    assert cli.main(["records", f"store={url}"]) == 2
    said = capsys.readouterr().err
    assert words in said and "hunter2" not in said and said.count("\n") == 1


def test_a_url_in_a_yaml_is_told_where_it_belongs(capsys) -> None:
    from quintain.compose.config import compose_one, composer
    from quintain.compose.settings import wrong_settings

    with composer():
        config = compose_one(["dataset=digits", "model=mlp"]).config
    (said,) = wrong_settings(config | {"store": "s3://bucket/x"})
    assert "command line only" in said


class Flaky:
    """The file system, away as long as `away`; counts what it is asked."""

    def __init__(self, fs) -> None:
        self.fs, self.away = fs, True

    def __getattr__(self, name: str):
        found = getattr(self.fs, name)
        if not self.away or not callable(found) or name.startswith("_"):
            return found

        def refuse(*_, **__):
            raise ConnectionError("no route to host")

        return refuse


def test_nothing_is_lost_while_the_remote_is_away(tmp_path, monkeypatch) -> None:
    remote = machine(monkeypatch, tmp_path, "a")
    remote.fs = network = Flaky(remote.fs)
    records = [make(seed=seed) for seed in range(3)]
    for record in records:
        remote.store.write(record)
    with pytest.raises(RemoteError, match=r"cannot be reached \(no route to host") as caught:
        remote.push()
    assert caught.value.away and remote.waiting() == 3
    network.away = False
    assert remote.push() == 3 and machine(monkeypatch, tmp_path, "b").pull() == 3


def test_a_command_sends_while_it_runs_and_says_what_is_left(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(courier, "SEND_EVERY", 0.01)
    words, said = ["dataset=digits", f"store={URL}"], []
    with mirrored(words, writes=True, say=said.append) as trip:
        store = Store(trip.settings[1].removeprefix("store="))
        assert trip.settings[0] == "dataset=digits" and store.path == working_folder(URL)
        store.write(make(seed=1))
        end = time.monotonic() + 120
        while outbox.waiting(store.path):
            assert time.monotonic() < end
            time.sleep(0.01)
    assert said == [] and trip.code == 0 and len(objects()) == 2
    away = Flaky(fsspec.filesystem("memory"))
    monkeypatch.setattr("quintain.records.remote._filesystem", lambda protocol: away)
    with mirrored(words, writes=True, say=said.append) as trip:
        store.write(make(seed=2))
    assert trip.code == 1 and "going on with" in said[0]
    assert f"1 record waits in {store.path}" in said[1] and "next command" in said[1]
    with mirrored(words, writes=False, say=said.append) as trip:
        pass
    assert trip.code == 0 and "1 record waits" in said[-1]  # not this command's fault
    away.away, before = False, len(said)
    with mirrored(words, writes=False, say=said.append) as trip:
        pass
    assert len(said) == before and not outbox.waiting(store.path) and len(objects()) == 3


def test_a_remote_that_was_never_reached_is_an_error(monkeypatch, capsys) -> None:
    away = Flaky(fsspec.filesystem("memory"))
    monkeypatch.setattr("quintain.records.remote._filesystem", lambda protocol: away)
    assert cli.main(["sweep", "dataset=digits", "model=mlp", f"store={URL}"]) == 2
    assert "never was from here: check the URL" in capsys.readouterr().err


def test_a_file_url_is_a_folder(tmp_path, capsys) -> None:
    store = Store(tmp_path / "plain")
    store.write(make())
    assert cli.main(["records", f"store=file://{store.path}", "--format", "json"]) == 0
    assert json.loads(capsys.readouterr().out)[0]["key"] == make().key
    assert not outbox.folder(store.path).exists() and not (tmp_path / "here").exists()


def test_the_commands_take_a_url(tmp_path, monkeypatch, capsys) -> None:
    words = ["dataset=digits", "model=mlp", "budget.steps=6", "budget.validations=1"]
    words += ["budget.params=9000", "hardware=cpu", "wandb.mode=disabled", "launch.workers=1"]
    assert cli.main(["run", *words, f"store={URL}"]) == 0
    sent = objects()
    assert {name.split("/")[3] for name in sent if name.count("/") > 3} == {
        "plans", "records", "samples",
    }  # fmt: skip
    machine(monkeypatch, tmp_path, "another")
    capsys.readouterr()
    assert cli.main(["records", f"store={URL}", "--format", "json"]) == 0
    (entry,) = json.loads(capsys.readouterr().out)
    assert entry["status"] == "ok" and entry["model"] == "mlp"
    assert cli.main(["run", *words, f"store={URL}"]) == 0
    assert "1 cell: 0 ran, 1 were in the store" in capsys.readouterr().out
    assert cli.main(["leaderboard", f"store={URL}"]) == 0
    assert cli.main(["doctor", f"store={URL}"]) in (0, 1)


def test_a_record_that_was_lost_here_is_fetched_again(tmp_path, monkeypatch) -> None:
    here, there = (machine(monkeypatch, tmp_path, name) for name in ("a", "b"))
    record = make(seed=1)
    here.store.write(record)
    here.push()
    there.pull()
    for remote in (here, there):
        remote.store.file(record.key).unlink()
        assert remote.pull() == 1 and remote.store.read(record.key) == record


def test_a_name_in_a_url_is_no_secret(tmp_path, monkeypatch) -> None:
    assert machine(monkeypatch, tmp_path, "a", "memory://me@bench/x").url == "memory://me@bench/x"
