"""The W&B mirror with the real SDK: its runs, and its handling of errors."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import wandb
from helpers.paths import TESTS
from helpers.record_factory import make_record
from helpers.wandb_log import read_run

from quintain.records.schema import Record
from quintain.records.store import Store
from quintain.wandb_mirror import client
from quintain.wandb_mirror.mirror import mirror_records

FAKE_KEY = "a" * 40


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Store:
    for name in [name for name in os.environ if name.startswith("WANDB_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))  # so that no netrc of the developer is read
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    return Store(tmp_path / "store")


def offline_files(store: Store, record: Record) -> list[Path]:
    return sorted((store.path / "wandb").glob(f"offline-run-*-{record.key}/*.wandb"))


def test_offline_run_holds_the_record(store: Store, capfd: pytest.CaptureFixture[str]) -> None:
    record = make_record(seed=3, cell={"note": "unicode ±"})
    result = mirror_records([record, make_record(status="skipped", seed=4)], store)
    assert (result.mode, result.written, result.failed, result.notes) == ("offline", 1, 0, ())
    assert capfd.readouterr() == ("", "")
    (file,) = offline_files(store, record)
    run = read_run(file)
    assert (run["run"].run_id, run["run"].run_group) == (record.key, record.group)
    assert (run["run"].display_name, run["run"].job_type) == ("digits/lstm/s3", "ok")
    assert set(run["run"].tags) == {"digits", "lstm", "cpu", "image"}
    assert run["run"].host == "" and run["exit"] == 0
    assert {k: v for k, v in run["config"].items() if k in record.cell} == record.cell
    assert run["config"]["names"]["stem"] == "rows"
    rows = [{k: v for k, v in row.items() if k[0] != "_"} for row in run["history"]]
    assert rows == [
        {"step": 10, "seconds": 0.5, "train/loss": 1.5, "val/accuracy": 0.5},
        {"step": 20, "seconds": 1.0, "train/loss": 0.7, "val/accuracy": 0.9},
    ]
    assert "step" in run["metrics"]
    assert run["summary"]["test/accuracy"] == 0.9
    assert run["summary"]["cost/params"] == 49800
    assert run["summary"]["cost/seconds/training"] == 12.5


def test_second_call_sends_nothing_and_does_not_import_wandb(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    records = [make_record(seed=1), make_record(seed=2)]
    assert mirror_records(records, store).written == 2
    monkeypatch.setitem(sys.modules, "wandb", None)  # an import would raise
    second = mirror_records(records, store)
    assert (second.written, second.unchanged, second.failed) == (0, 2, 0)


def test_changed_record_replaces_its_offline_run(store: Store) -> None:
    before, after = make_record(score=0.5), make_record(score=0.75)
    assert before.key == after.key
    mirror_records([before], store)
    assert mirror_records([after], store).written == 1
    (file,) = offline_files(store, after)
    assert read_run(file)["summary"]["test/accuracy"] == 0.75


def test_failed_record_becomes_a_failed_run(store: Store) -> None:
    record = make_record(status="failed")
    mirror_records([record], store)
    run = read_run(offline_files(store, record)[0])
    assert run["exit"] == 1 and run["run"].job_type == "failed"
    assert run["summary"]["error/kind"] == "oom"


def test_disabled_mirror_writes_nothing(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WANDB_MODE", "disabled")
    assert mirror_records([make_record()], store).mode == "disabled"
    assert mirror_records([make_record()], store, mode="disabled").written == 0
    assert not store.path.exists()


def test_environment_variables_of_wandb_are_respected(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WANDB_PROJECT", "first")
    monkeypatch.setenv("WANDB_ENTITY", "team")
    mirror_records([record := make_record()], store)
    assert read_run(*offline_files(store, record))["run"].project == "first"
    assert (store.path / "mirror" / record.key).read_text().endswith(" offline team/first")
    mirror_records([record], store, project="second", entity="me")
    assert (store.path / "mirror" / record.key).read_text().endswith(" offline me/second")
    monkeypatch.setenv("WANDB_DISABLED", "true")
    assert mirror_records([make_record(seed=2)], store).mode == "disabled"


def test_wandb_mode_offline_has_precedence_over_an_api_key(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.setenv("WANDB_API_KEY", FAKE_KEY)
    assert mirror_records([make_record()], store).mode == "offline"


def test_error_of_wandb_is_a_note_and_the_next_call_retries(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    import wandb

    def fail(**_: object) -> None:
        raise RuntimeError("boom https://me:hunter2hunter2@host")

    with monkeypatch.context() as patch:
        patch.setattr(wandb, "init", fail)
        result = mirror_records([make_record(seed=1), make_record(seed=2)], store)
    assert (result.written, result.failed, len(result.notes)) == (0, 2, 1)
    assert "RuntimeError: boom" in result.notes[0]
    log = (store.path / "mirror" / "mirror.log").read_text()
    assert "Traceback" in log and "hunter2" not in log
    assert mirror_records([make_record(seed=1)], store).written == 1


def test_online_without_key_and_terminal_falls_back_to_offline(store: Store) -> None:
    code = (
        "import sys; sys.path.insert(0, sys.argv[2])\n"
        "from helpers.record_factory import make_record\n"
        "from quintain.records.store import Store\n"
        "from quintain.wandb_mirror.mirror import mirror_records\n"
        "r = mirror_records([make_record()], Store(sys.argv[1]), mode='online')\n"
        "print(r.mode, r.written, len(r.notes))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(store.path), str(TESTS)],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=900,
        start_new_session=True,
        check=False,
    )
    assert (done.stdout, done.stderr) == ("offline 1 1\n", "")


@pytest.mark.parametrize("source", ["environment", "netrc"])
def test_unreachable_server_is_tried_once_and_is_a_note(
    store: Store, monkeypatch: pytest.MonkeyPatch, source: str, capfd: pytest.CaptureFixture[str]
) -> None:
    if source == "environment":
        monkeypatch.setenv("WANDB_API_KEY", FAKE_KEY)
    else:
        netrc = Path(os.environ["NETRC"])
        netrc.write_text(f"machine 127.0.0.1:9\nlogin user\npassword {FAKE_KEY}\n")
        netrc.chmod(0o600)
    monkeypatch.setenv("WANDB_BASE_URL", "http://127.0.0.1:9")  # the discard port: no server
    monkeypatch.setattr(client, "RUN_SETTINGS", client.RUN_SETTINGS | {"init_timeout": 1.5})
    init, calls = wandb.init, []
    monkeypatch.setattr(wandb, "init", lambda **kwargs: calls.append(kwargs) or init(**kwargs))
    result = mirror_records([make_record(seed=1), make_record(seed=2)], store)
    assert len(calls) == 1 and calls[0]["settings"].init_timeout == 1.5
    assert (result.mode, result.written, result.failed) == ("online", 0, 2)
    assert len(result.notes) == 1 and FAKE_KEY not in result.notes[0]
    assert not (store.path / "mirror" / make_record(seed=1).key).exists()
    assert capfd.readouterr() == ("", "")
