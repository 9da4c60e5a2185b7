"""The W&B mirror, through the real SDK: what is written, and that nothing can break a run."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import wandb
from records_factory import make
from wandb_log import contents

from quintain.records import mirror as module
from quintain.records.mirror import mirror
from quintain.records.schema import Record
from quintain.records.store import Store

FAKE_KEY = "a" * 40


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Store:
    for name in [name for name in os.environ if name.startswith("WANDB_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))  # no netrc of the person who tests
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    return Store(tmp_path / "store")


def logged(store: Store, record: Record) -> list[Path]:
    return sorted((store.path / "wandb").glob(f"offline-run-*-{record.key}/*.wandb"))


def test_offline_run_holds_the_record(store: Store, capfd: pytest.CaptureFixture[str]) -> None:
    record = make(seed=3, cell={"note": "unicode ±"})
    report = mirror([record, make(status="skipped", seed=4)], store)
    assert (report.mode, report.written, report.failed, report.notes) == ("offline", 1, 0, ())
    assert capfd.readouterr() == ("", "")
    (file,) = logged(store, record)
    run = contents(file)
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


def test_second_call_does_nothing_and_imports_no_wandb(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    records = [make(seed=1), make(seed=2)]
    assert mirror(records, store).written == 2
    monkeypatch.setitem(sys.modules, "wandb", None)  # an import would raise
    again = mirror(records, store)
    assert (again.written, again.unchanged, again.failed) == (0, 2, 0)


def test_changed_record_replaces_its_offline_run(store: Store) -> None:
    before, after = make(score=0.5), make(score=0.75)
    assert before.key == after.key
    mirror([before], store)
    assert mirror([after], store).written == 1
    (file,) = logged(store, after)
    assert contents(file)["summary"]["test/accuracy"] == 0.75


def test_failed_record_becomes_a_failed_run(store: Store) -> None:
    record = make(status="failed")
    mirror([record], store)
    run = contents(logged(store, record)[0])
    assert run["exit"] == 1 and run["run"].job_type == "failed"
    assert run["summary"]["error/kind"] == "oom"


def test_disabled_writes_nothing(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WANDB_MODE", "disabled")
    assert mirror([make()], store).mode == "disabled"
    assert mirror([make()], store, mode="disabled").written == 0
    assert not store.path.exists()


def test_the_variables_of_wandb_count(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WANDB_PROJECT", "theirs")
    monkeypatch.setenv("WANDB_ENTITY", "team")
    mirror([record := make()], store)
    assert contents(*logged(store, record))["run"].project == "theirs"
    assert (store.path / "mirror" / record.key).read_text().endswith(" offline team/theirs")
    mirror([record], store, project="ours", entity="me")
    assert (store.path / "mirror" / record.key).read_text().endswith(" offline me/ours")
    monkeypatch.setenv("WANDB_DISABLED", "true")
    assert mirror([make(seed=2)], store).mode == "disabled"


def test_wandb_mode_offline_wins_over_a_key(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.setenv("WANDB_API_KEY", FAKE_KEY)
    assert mirror([make()], store).mode == "offline"


def test_broken_wandb_is_noted_and_tried_again(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    import wandb

    def broken(**_: object) -> None:
        raise RuntimeError("boom https://me:hunter2hunter2@host")

    with monkeypatch.context() as patch:
        patch.setattr(wandb, "init", broken)
        report = mirror([make(seed=1), make(seed=2)], store)
    assert (report.written, report.failed, len(report.notes)) == (0, 2, 1)
    assert "RuntimeError: boom" in report.notes[0]
    log = (store.path / "mirror" / "mirror.log").read_text()
    assert "Traceback" in log and "hunter2" not in log
    assert mirror([make(seed=1)], store).written == 1


def test_without_key_stdin_or_terminal_online_falls_back(store: Store) -> None:
    code = (
        "import sys; sys.path.insert(0, sys.argv[2])\n"
        "from records_factory import make\n"
        "from quintain.records.store import Store\n"
        "from quintain.records.mirror import mirror\n"
        "r = mirror([make()], Store(sys.argv[1]), mode='online')\n"
        "print(r.mode, r.written, len(r.notes))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(store.path), str(Path(__file__).parent)],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=900,
        start_new_session=True,
        check=False,
    )
    assert (done.stdout, done.stderr) == ("offline 1 1\n", "")


@pytest.mark.parametrize("source", ["environment", "netrc"])
def test_unreachable_server_costs_seconds_not_the_run(
    store: Store, monkeypatch: pytest.MonkeyPatch, source: str, capfd: pytest.CaptureFixture[str]
) -> None:
    if source == "environment":
        monkeypatch.setenv("WANDB_API_KEY", FAKE_KEY)
    else:
        netrc = Path(os.environ["NETRC"])
        netrc.write_text(f"machine 127.0.0.1:9\nlogin user\npassword {FAKE_KEY}\n")
        netrc.chmod(0o600)
    monkeypatch.setenv("WANDB_BASE_URL", "http://127.0.0.1:9")  # discard: nobody listens
    monkeypatch.setattr(module, "_SETTINGS", module._SETTINGS | {"init_timeout": 1.5})
    real, tries = wandb.init, []
    monkeypatch.setattr(wandb, "init", lambda **asked: tries.append(asked) or real(**asked))
    report = mirror([make(seed=1), make(seed=2)], store)
    assert len(tries) == 1 and tries[0]["settings"].init_timeout == 1.5
    assert (report.mode, report.written, report.failed) == ("online", 0, 2)
    assert len(report.notes) == 1 and FAKE_KEY not in report.notes[0]
    assert not (store.path / "mirror" / make(seed=1).key).exists()
    assert capfd.readouterr() == ("", "")
