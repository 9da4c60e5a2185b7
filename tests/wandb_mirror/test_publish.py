"""`quintain publish`, with the real SDK: offline runs, and a server on loopback."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from helpers.record_factory import make_valid_record
from helpers.wandb_log import read_messages, read_run
from helpers.wandb_server import serve_wandb
from PIL import Image

from quintain.cli.main import main
from quintain.records.bundles.bundle import open_bundle
from quintain.records.store import Store
from quintain.wandb_mirror import mirror, process
from quintain.wandb_mirror.board import mean_curve
from quintain.wandb_mirror.publish import publish

RECORDS = [
    make_valid_record(seed=i, score=0.8 + i / 100, model=m) for i in (1, 2) for m in ("cnn", "mlp")
]


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Store:
    names = {name for name in os.environ if name.startswith("WANDB_")}
    for name in names - {"WANDB_SERVICE"}:  # set and deleted by W&B itself
        monkeypatch.delenv(name)
    for name in ("HOME", "NETRC", "XDG_CACHE_HOME", "XDG_DATA_HOME"):
        monkeypatch.setenv(name, str(tmp_path / name.lower()))
    store = Store(tmp_path / "store")
    for record in RECORDS:
        store.write(record)
    return store


def board_folder(store: Store) -> Path:
    (folder,) = (store.path / "wandb").glob("offline-run-*-leaderboard")
    return folder


def read_table(folder: Path, name: str) -> dict[str, Any]:
    (file,) = (folder / "files" / "media" / "table").glob(f"{name}_*.table.json")
    return json.loads(file.read_text())


def test_offline_run_holds_tables_charts_and_artifacts(store: Store, capfd):
    result = publish(store)
    assert (result.mode, result.runs.written, result.board, result.notes) == (
        "offline",
        4,
        "sent",
        (),
    )
    assert capfd.readouterr() == ("", "")
    folder = board_folder(store)
    rows = read_table(folder, "leaderboard")
    means = {dict(zip(rows["columns"], row, strict=True))["model"]: row for row in rows["data"]}
    assert set(means) == {"cnn", "mlp"} and means["cnn"][rows["columns"].index("n")] == 2
    matrix = read_table(folder, "models_by_dataset")
    assert matrix["columns"] == ["model", "digits accuracy"]
    assert matrix["data"][0][1] == pytest.approx(0.815)
    (file,) = folder.glob("*.wandb")
    run = read_run(file)
    assert run["exit"] == 0 and run["run"].run_id == "leaderboard"
    configs = [m.config for m in read_messages(file) if m.WhichOneof("record_type") == "config"]
    charts = [list(item.nested_key) for config in configs for item in config.update]
    assert charts == [["_wandb", "visualize", "curves/digits accuracy"]]
    artifacts = [
        m.artifact for m in read_messages(file) if m.WhichOneof("record_type") == "artifact"
    ]
    assert {a.type for a in artifacts} == {"run_table", "records", "leaderboard"}
    paths = [
        entry.local_path for a in artifacts for entry in a.manifest.contents if entry.local_path
    ]
    assert len(paths) == 4
    assert all(Path(path).is_relative_to(store.path) and Path(path).is_file() for path in paths)
    assert "WANDB_DATA_DIR" not in os.environ
    assert len(open_bundle(store.path / "mirror" / "records.qb").all()) == 4


def test_second_call_sends_no_board_and_starts_no_process(store: Store, monkeypatch, capsys):
    publish(store)
    before = sorted(store.path.rglob("*"))
    monkeypatch.setattr(process.subprocess, "Popen", None)  # a call would raise
    assert main(["publish", str(store.path)]) == 0
    assert "nothing is new" in capsys.readouterr().out
    result = publish(store)
    assert (result.runs.written, result.runs.unchanged, result.board) == (0, 4, "unchanged")
    assert sorted(store.path.rglob("*")) == before


def test_new_record_replaces_the_leaderboard(store: Store):
    publish(store)
    store.write(make_valid_record(seed=3, model="lstm"))
    assert publish(store).board == "sent"
    assert len(read_table(board_folder(store), "models_by_dataset")["data"]) == 3


def test_publishing_to_a_second_project_keeps_the_runs_of_the_first(store: Store):
    publish(store, project="a")
    first = sorted((store.path / "wandb").glob("offline-run-*"))
    assert publish(store, project="b").runs.written == 4
    assert set(first) < set((store.path / "wandb").glob("offline-run-*"))
    second = publish(store, project="a")
    assert (second.runs.written, second.board) == (0, "unchanged")
    store.write(changed := RECORDS[0].model_copy(update={"finished": "2026-11-02T10:00:00Z"}))
    assert publish(store, project="a").runs.written == 1
    assert len(list((store.path / "wandb").glob(f"offline-run-*-{changed.key}*"))) == 2  # a, b


def test_damaged_image_is_skipped_and_everything_else_is_sent(store: Store):
    folder = store.samples(RECORDS[0].key)
    folder.mkdir(parents=True)
    rows = [{"index": i, "truth": "a", "prediction": "b", "input": {"kind": "image", "file": name}}
            for i, name in enumerate(("bad.png", "good.png"))]  # fmt: skip
    (folder / "samples.json").write_text(json.dumps(rows))
    (folder / "bad.png").write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(64))
    Image.new("L", (4, 4)).save(folder / "good.png")
    result = publish(store)
    assert (result.runs.written, result.runs.failed, result.board) == (4, 0, "sent")
    (run,) = (store.path / "wandb").glob(f"offline-run-*-{RECORDS[0].key}")
    assert len(list(run.rglob("*.png"))) == 1


def test_long_and_foreign_names_of_datasets_are_published(store: Store):
    for index, name in enumerate(("x" * 300, "数字", "文字")):
        store.write(make_valid_record(dataset=name, seed=index))
    result = publish(store)
    assert (result.runs.failed, result.board, result.notes) == (0, "sent", ())
    assert len(list((board_folder(store) / "files" / "media" / "table").rglob("*.json"))) == 6
    assert len(read_table(board_folder(store), "leaderboard")["data"]) == 5


def test_publish_fails_if_something_was_not_sent(store: Store, monkeypatch, capsys):
    monkeypatch.setenv("WANDB_API_KEY", FAKE_KEY)
    monkeypatch.setenv("WANDB_BASE_URL", "http://127.0.0.1:9")  # the discard port: no server
    monkeypatch.setattr(mirror, "PUBLISH_LIMIT", 2.0)
    assert main(["publish", str(store.path)]) == 1
    out = capsys.readouterr().out
    assert "W&B, online: runs: 0 sent, 0 unchanged, 4 failed; leaderboard: failed" in out
    assert main(["publish", str(store.path), "--project", "a/b"]) == 2
    assert "W&B accepts at most 128 characters" in capsys.readouterr().err


def test_disabled_publication_sends_nothing(store: Store, monkeypatch: pytest.MonkeyPatch, capsys):
    monkeypatch.setenv("WANDB_MODE", "disabled")
    assert main(["publish", str(store.path)]) == 0
    assert "nothing was sent" in capsys.readouterr().out
    assert not (store.path / "wandb").exists()


def test_mean_curve_has_the_steps_that_all_seeds_share():
    assert mean_curve(RECORDS[::2]) == [(10, 0.5), (20, pytest.approx(0.815))]
    assert mean_curve([]) == []


def test_bundles_and_empty_stores_cannot_be_published(store: Store, tmp_path: Path, capsys):
    bundle = tmp_path / "a.qb"
    assert main(["export", "--to", str(bundle), str(store.path)]) == 0
    (tmp_path / "empty").mkdir()
    for path, message in (
        (bundle, "quintain import"),
        (tmp_path / "empty", "no record to publish"),
    ):
        assert main(["publish", str(path)]) == 2
        assert message in capsys.readouterr().err


# With a server on loopback ------------------------------------------------------------------------

FAKE_KEY = "b" * 40


@pytest.fixture
def server(store: Store, monkeypatch: pytest.MonkeyPatch):
    with serve_wandb() as server:
        monkeypatch.setenv("WANDB_BASE_URL", server.url)
        monkeypatch.setenv("WANDB_API_KEY", FAKE_KEY)
        yield server


def test_everything_is_sent_once_to_a_server(store: Store, server):
    result = publish(store, project="duel")
    outcome = (result.mode, result.runs.written, result.board, result.notes)
    assert outcome == ("online", 4, "sent", ()), server.unknown
    assert set(server.runs) == {record.key for record in RECORDS} | {"leaderboard"}
    assert server.runs[RECORDS[0].key]["groupName"] == RECORDS[0].group
    assert any(path.endswith("records.qb") for path in server.uploads), list(server.uploads)
    used = [v["input"]["artifactID"] for name, v in server.variables if name == "UseArtifact"]
    assert used == ["art-records"]
    before = server.total()
    second = publish(store, project="duel")
    assert (second.runs.written, second.runs.unchanged, second.board) == (0, 4, "unchanged")
    assert server.total() == before
    files = [file for file in store.path.rglob("*") if file.is_file()]
    assert not any(FAKE_KEY.encode() in file.read_bytes() for file in files)


def test_report_is_written_once_and_updated_in_place(store: Store, server, capfd):
    result = publish(store, project="duel", report=True)
    assert (result.notes, server.unknown) == ((), [])
    assert "/duel/reports/Quintain-leaderboard--" in result.report
    assert capfd.readouterr() == ("", "")
    (spec,) = [json.loads(v["spec"]) for name, v in server.variables if name == "upsertView"]
    text = json.dumps(spec)
    assert all(word in text for word in ("cnn", "panel-grid", "val/accuracy"))
    before = server.total()
    assert publish(store, project="duel", report=True).report == "unchanged"
    assert server.total() == before
    store.write(make_valid_record(seed=3, model="lstm"))
    assert publish(store, project="duel", report=True).report == result.report
    ids = [v["id"] for name, v in server.variables if name == "upsertView"]
    assert ids == [None, "view-1"]


def test_report_needs_its_package_and_a_server(store: Store, monkeypatch, capsys):
    assert publish(store, report=True).report == "none without a server"
    monkeypatch.setitem(sys.modules, "wandb_workspaces", None)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert main(["publish", str(store.path), "--report"]) == 2
    assert "pip install 'quintain[report]'" in capsys.readouterr().err


def test_offline_runs_are_synced_later_without_loss(store: Store, server):
    publish(store, mode="offline", project="duel")
    assert server.total() == 0
    folders = [str(path) for path in (store.path / "wandb").glob("offline-run-*")]
    command = [sys.executable, "-m", "wandb", "sync", *folders]
    process = subprocess.run(
        command, capture_output=True, text=True, timeout=900, check=False, cwd=store.path
    )
    assert process.returncode == 0, process.stdout + process.stderr
    assert set(server.runs) == {record.key for record in RECORDS} | {"leaderboard"}
    assert any(path.endswith("records.qb") for path in server.uploads), list(server.uploads)
    (sent,) = [body for path, body in server.uploads.items() if path.endswith("records.qb")]
    assert sent == (store.path / "mirror" / "records.qb").read_bytes()
