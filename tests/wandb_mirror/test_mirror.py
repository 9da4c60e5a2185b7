"""The W&B mirror with the real SDK: its runs, and its handling of errors."""

from __future__ import annotations

import json
import os
import socket
import time
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import pytest
from helpers.cell_factory import build_cell
from helpers.record_factory import make_record
from helpers.wandb_log import read_run
from helpers.wandb_server import serve_wandb
from PIL import Image
from rich.console import Console

from quintain.compose.settings import Settings
from quintain.errors import UsageError
from quintain.launch.sweep import dry_run, run_plan
from quintain.plan.plan import Plan, PlannedCell
from quintain.records.claims import make_lock
from quintain.records.schema import Record
from quintain.records.store import Store
from quintain.wandb_mirror import mirror, process
from quintain.wandb_mirror.client import resolve_destination
from quintain.wandb_mirror.mirror import MirrorResult, mirror_records
from quintain.wandb_mirror.names import shorten, shorten_titles

FAKE_KEY = "a" * 40


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Store:
    for name in [name for name in os.environ if name.startswith("WANDB_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))  # so that no netrc of the developer is read
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    monkeypatch.setattr(mirror, "SWEEP_LIMIT", 120.0)  # the machine may be busy
    return Store(tmp_path / "store")


def send(store: Store, *records: Record, **settings: str) -> MirrorResult:
    for record in records:
        store.write(record)
    return mirror_records(records, store, **settings)


def offline_files(store: Store, record: Record) -> list[Path]:
    return sorted((store.path / "wandb").glob(f"offline-run-*-{record.key}/*.wandb"))


def test_offline_run_holds_the_record(store: Store, capfd: pytest.CaptureFixture[str]) -> None:
    record = make_record(seed=3, cell={"note": "unicode ±"})
    folder = store.samples(record.key)
    folder.mkdir(parents=True)
    rows = []
    for index, size in enumerate([(4, 4), (9, 5), (4, 4)]):
        Image.new("L", size).save(folder / f"{index}.png")
        sample = {"kind": "image", "file": f"{index}.png"}
        rows.append({"index": index, "truth": "a", "prediction": "b", "input": sample})
    (folder / "samples.json").write_text(json.dumps(rows))
    result = send(store, record, make_record(status="skipped", seed=4))
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
    *curve, media = [{k: v for k, v in row.items() if k[0] != "_"} for row in run["history"]]
    assert curve == [
        {"step": 10, "seconds": 0.5, "train/loss": 1.5, "val/accuracy": 0.5},
        {"step": 20, "seconds": 1.0, "train/loss": 0.7, "val/accuracy": 0.9},
    ]
    images = {k: v for k, v in media.items() if k.startswith("samples/im") and k.endswith("/count")}
    assert images == {"samples/image 4×4/count": 2, "samples/image 9×5/count": 1}
    assert "Images sizes" not in (store.path / "mirror" / "mirror.log").read_text()
    assert "step" in run["metrics"]
    assert run["summary"]["test/accuracy"] == 0.9
    assert run["summary"]["cost/params"] == 49800
    assert run["summary"]["cost/seconds/training"] == 12.5


def test_a_run_has_the_times_of_its_record(store: Store) -> None:
    record = make_record()
    send(store, record)
    run = read_run(*offline_files(store, record))
    started = datetime.fromisoformat(record.started).timestamp()
    assert run["run"].start_time.seconds == started
    assert [row["_timestamp"] - started for row in run["history"]] == [0.5, 1.0]
    assert run["config"]["started"] == "2026-11-01T10:00:00Z"
    assert run["config"]["finished"] == "2026-11-01T10:00:42Z"


def test_id_project_and_config_come_from_the_record_alone(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not from a running agent, the environment or files of the current folder."""
    monkeypatch.chdir(tmp_path)
    parameters = tmp_path / "sweep.yaml"
    parameters.write_text("wandb_version: 1\noptimizer: {value: {lr: 9}}\nextra: {value: 1}\n")
    (tmp_path / "config-defaults.yaml").write_text("wandb_version: 1\nextra: {value: 2}\n")
    for folder in (tmp_path / "wandb", tmp_path / "home" / ".config" / "wandb"):
        folder.mkdir(parents=True)
        (folder / "settings").write_text("[default]\nproject = theirs\nentity = them\n")
    for name, value in {
        "SWEEP_ID": "abcd", "SWEEP_PARAM_PATH": str(parameters), "RUN_ID": "theirs", "NAME": "n",
        "RUN_GROUP": "g", "TAGS": "t", "JOB_TYPE": "j", "NOTES": "x", "RESUME": "must",
        "DIR": str(tmp_path / "elsewhere"), "CONFIG_PATHS": str(parameters), "LAUNCH": "true",
        "_SERVICE_WAIT": "0.001", "SILENT": "false",
    }.items():  # fmt: skip
        monkeypatch.setenv(f"WANDB_{name}", value)
    monkeypatch.setenv("SM_TRAINING_ENV", '{"hyperparameters": {"extra": 3}}')
    records = [make_record(seed=seed) for seed in (1, 2, 3)]
    result = send(store, *records)
    assert (result.written, result.notes) == (3, ())
    for record in records:
        run = read_run(*offline_files(store, record))
        expected = (record.key, "quintain", "", record.group, "ok", "")
        header = run["run"]
        assert expected == (header.run_id, header.project, header.entity, header.run_group,
                            header.job_type, header.notes)  # fmt: skip
        assert "t" not in header.tags and header.sweep_id == ""
        assert "extra" not in run["config"]
        assert run["config"]["optimizer"] == record.cell["optimizer"]
    assert "WANDB_SERVICE" not in os.environ  # no service was started in this process


def test_second_call_sends_nothing_and_starts_no_process(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    records = [make_record(seed=1), make_record(seed=2)]
    assert send(store, *records).written == 2
    monkeypatch.setattr(process.subprocess, "Popen", None)  # a call would raise
    second = mirror_records(records, store)
    assert (second.mode, second.written, second.unchanged, second.failed) == ("offline", 0, 2, 0)
    for record in records:
        marker = store.path / "mirror" / record.key
        marker.write_text(marker.read_text().replace("offline", "online"))
    monkeypatch.setenv("WANDB_API_KEY", FAKE_KEY)
    third = mirror_records(records, store)
    assert (third.mode, third.unchanged, third.failed) == ("online", 2, 0)


def test_changed_record_replaces_its_offline_run(store: Store) -> None:
    before, after = make_record(score=0.5), make_record(score=0.75)
    assert before.key == after.key
    send(store, before)
    assert send(store, after).written == 1
    (file,) = offline_files(store, after)
    assert read_run(file)["summary"]["test/accuracy"] == 0.75


def test_failed_record_becomes_a_failed_run(store: Store) -> None:
    record = make_record(status="failed")
    send(store, record)
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
    send(store, record := make_record())
    assert read_run(*offline_files(store, record))["run"].project == "first"
    assert (store.path / "mirror" / record.key).read_text().endswith(" offline team/first")
    send(store, record, project="second", entity="me")
    assert (store.path / "mirror" / record.key).read_text().endswith(" offline me/second")
    monkeypatch.setenv("WANDB_DISABLED", "true")
    assert mirror_records([make_record(seed=2)], store).mode == "disabled"


def test_wandb_mode_offline_has_precedence_over_an_api_key(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.setenv("WANDB_API_KEY", FAKE_KEY)
    assert send(store, make_record()).mode == "offline"


def test_online_without_key_falls_back_to_offline(store: Store) -> None:
    result = send(store, make_record(), mode="online")
    assert (result.mode, result.written, len(result.notes)) == ("offline", 1, 1)


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
    monkeypatch.setattr(mirror, "SWEEP_LIMIT", 2.0)
    result = send(store, make_record(seed=1), make_record(seed=2))
    assert (result.mode, result.written, result.failed) == ("online", 0, 2)
    assert len(result.notes) == 1 and FAKE_KEY not in result.notes[0]
    assert not (store.path / "mirror" / make_record(seed=1).key).exists()
    assert capfd.readouterr() == ("", "")


@pytest.fixture
def silent_server() -> Iterator[str]:
    """The address of a server that accepts connections and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"http://127.0.0.1:{server.getsockname()[1]}"


def test_a_server_that_hangs_is_left_after_the_limit_and_tried_again_later(
    store: Store, silent_server: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WANDB_API_KEY", FAKE_KEY)
    monkeypatch.setenv("WANDB_BASE_URL", silent_server)
    monkeypatch.setattr(mirror, "SWEEP_LIMIT", 1.0)
    start = time.monotonic()
    records = [make_record(seed=seed) for seed in (1, 2, 3)]
    result = send(store, *records)
    assert (result.mode, result.written, result.failed) == ("online", 0, 3)
    assert len(result.notes) == 1
    assert time.monotonic() - start < process.START_LIMIT + 1 + 2 * process.END_LIMIT
    with serve_wandb() as server:
        monkeypatch.setattr(mirror, "SWEEP_LIMIT", 120.0)
        monkeypatch.setenv("WANDB_BASE_URL", server.url)
        assert mirror_records(records, store).written == 3
        assert set(server.runs) == {record.key for record in records}


def test_two_processes_do_not_send_one_store_at_once(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mirror, "LOCK_TIMEOUT", 0.1)
    with make_lock(store.path, "wandb"):
        result = send(store, make_record())
    assert (result.written, result.failed) == (0, 1)
    assert "another process is still sending this store" in result.notes[0]
    assert send(store, make_record()).written == 1


@pytest.mark.parametrize(
    ("project", "entity", "expected"),
    [
        ("a/b", None, "wandb.project: W&B accepts at most 128 characters without / \\ # ? % :"),
        ("x" * 129, None, "wandb.project: W&B accepts at most 128 characters"),
        (" ", None, "wandb.project: "),
        (None, "my team", "wandb.entity: expected the name of a W&B user or team"),
    ],
)
def test_names_that_wandb_refuses_are_refused(
    project: str | None, entity: str | None, expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(UsageError) as error:
        resolve_destination(project, entity)
    assert expected in error.value.problems[0]
    monkeypatch.setenv("WANDB_PROJECT", "a:b")
    with pytest.raises(UsageError, match="WANDB_PROJECT: W&B accepts"):
        resolve_destination(None, None)


def test_a_plan_with_such_a_name_runs_nothing(tmp_path: Path) -> None:
    settings = Settings(tmp_path, 1, None, {"mode": "offline", "project": "a#b", "entity": None})
    plan = Plan(settings, [PlannedCell(build_cell(), "run")])
    for execute in (run_plan, dry_run):
        with pytest.raises(UsageError, match=r"wandb\.project"):
            execute(plan, Console(quiet=True))
    assert not list(tmp_path.iterdir())


def test_long_names_are_cut_where_one_sees_it() -> None:
    assert shorten("a" * 64, 64) == "a" * 64
    cut = [shorten("a" * 70 + end, 64) for end in "xy"]
    assert {len(name) for name in cut} == {64}
    assert cut[0] != cut[1] and cut[0].startswith("a" * 54 + "… ")
    titles = ["digits accuracy", "数字", "文字", "x" * 200, "x" * 199 + "y"]
    names = shorten_titles(titles)
    assert names["digits accuracy"] == "digits accuracy"
    assert len({*names.values()}) == 5 and max(map(len, names.values())) <= 80
