"""`quintain publish`, through the real SDK: what stands in the offline runs."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from records_factory import genuine
from wandb_double import double
from wandb_log import contents, messages

from quintain.cli import main
from quintain.records.bundle import open_bundle
from quintain.records.store import Store
from quintain.report.publish import publish
from quintain.report.wandb_board import curve

RECORDS = [genuine(seed=i, score=0.8 + i / 100, model=m) for i in (1, 2) for m in ("cnn", "mlp")]


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Store:
    given = [name for name in os.environ if name.startswith("WANDB_")]
    for name in {*given} - {"WANDB_SERVICE"}:  # W&B's own, of a process that may end meanwhile
        monkeypatch.delenv(name)
    for name in ("HOME", "NETRC", "XDG_CACHE_HOME", "XDG_DATA_HOME"):
        monkeypatch.setenv(name, str(tmp_path / name.lower()))
    store = Store(tmp_path / "store")
    for record in RECORDS:
        store.write(record)
    return store


def run_folder(store: Store) -> Path:
    (folder,) = (store.path / "wandb").glob("offline-run-*-leaderboard")
    return folder


def table(folder: Path, name: str) -> dict[str, Any]:
    (file,) = (folder / "files" / "media" / "table").glob(f"{name}_*.table.json")
    return json.loads(file.read_text())


def test_offline_run_holds_tables_charts_and_artifacts(store: Store, capfd):
    done = publish(store)
    assert (done.mode, done.runs.written, done.board, done.notes) == ("offline", 4, "sent", ())
    assert capfd.readouterr() == ("", "")
    folder = run_folder(store)
    rows = table(folder, "leaderboard")
    means = {dict(zip(rows["columns"], row, strict=True))["model"]: row for row in rows["data"]}
    assert set(means) == {"cnn", "mlp"} and means["cnn"][rows["columns"].index("n")] == 2
    matrix = table(folder, "models_by_dataset")
    assert matrix["columns"] == ["model", "digits accuracy"]
    assert matrix["data"][0][1] == pytest.approx(0.815)
    (file,) = folder.glob("*.wandb")
    found = contents(file)
    assert found["exit"] == 0 and found["run"].run_id == "leaderboard"
    configs = [m.config for m in messages(file) if m.WhichOneof("record_type") == "config"]
    charts = [list(item.nested_key) for config in configs for item in config.update]
    assert charts == [["_wandb", "visualize", "curves/digits accuracy"]]
    artifacts = [m.artifact for m in messages(file) if m.WhichOneof("record_type") == "artifact"]
    assert {a.type for a in artifacts} == {"run_table", "records", "leaderboard"}
    held = [
        entry.local_path for a in artifacts for entry in a.manifest.contents if entry.local_path
    ]
    assert len(held) == 4
    assert all(Path(path).is_relative_to(store.path) and Path(path).is_file() for path in held)
    assert "WANDB_DATA_DIR" not in os.environ
    assert len(open_bundle(store.path / "mirror" / "records.qb").all()) == 4


def test_a_second_call_does_nothing_and_imports_no_wandb(store: Store, monkeypatch):
    publish(store)
    before = sorted(store.path.rglob("*"))
    monkeypatch.setitem(sys.modules, "wandb", None)  # an import would raise
    done = publish(store)
    assert (done.runs.written, done.runs.unchanged, done.board) == (0, 4, "unchanged")
    assert sorted(store.path.rglob("*")) == before


def test_another_record_replaces_the_leaderboard(store: Store):
    publish(store)
    store.write(genuine(seed=3, model="lstm"))
    assert publish(store).board == "sent"
    assert len(table(run_folder(store), "models_by_dataset")["data"]) == 3


def test_a_second_place_leaves_what_waits_for_the_first(store: Store):
    publish(store, project="a")
    first = sorted((store.path / "wandb").glob("offline-run-*"))
    assert publish(store, project="b").runs.written == 4
    assert set(first) < set((store.path / "wandb").glob("offline-run-*"))
    again = publish(store, project="a")
    assert (again.runs.written, again.board) == (0, "unchanged")
    store.write(changed := RECORDS[0].model_copy(update={"finished": "2026-11-02T10:00:00Z"}))
    assert publish(store, project="a").runs.written == 1
    assert len(list((store.path / "wandb").glob(f"offline-run-*-{changed.key}*"))) == 2  # a, b


def test_a_broken_picture_keeps_nothing_else_back(store: Store):
    folder = store.samples(RECORDS[0].key)
    folder.mkdir(parents=True)
    rows = [{"index": i, "truth": "a", "prediction": "b", "input": {"kind": "image", "file": name}}
            for i, name in enumerate(("bad.png", "good.png"))]  # fmt: skip
    (folder / "samples.json").write_text(json.dumps(rows))
    (folder / "bad.png").write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(64))
    Image.new("L", (4, 4)).save(folder / "good.png")
    done = publish(store)
    assert (done.runs.written, done.runs.failed, done.board) == (4, 0, "sent")
    (run,) = (store.path / "wandb").glob(f"offline-run-*-{RECORDS[0].key}")
    assert len(list(run.rglob("*.png"))) == 1


def test_disabled_sends_nothing(store: Store, monkeypatch: pytest.MonkeyPatch, capsys):
    monkeypatch.setenv("WANDB_MODE", "disabled")
    assert main(["publish", str(store.path)]) == 0
    assert "nothing was sent" in capsys.readouterr().out
    assert not (store.path / "wandb").exists()


def test_a_curve_is_the_mean_over_seeds_at_common_steps():
    assert curve(RECORDS[::2]) == [(10, 0.5), (20, pytest.approx(0.815))]
    assert curve([]) == []


def test_neither_a_bundle_nor_an_empty_store_is_published(store: Store, tmp_path: Path, capsys):
    bundle = tmp_path / "a.qb"
    assert main(["export", "--to", str(bundle), str(store.path)]) == 0
    (tmp_path / "empty").mkdir()
    for place, told in ((bundle, "quintain import"), (tmp_path / "empty", "no record to publish")):
        assert main(["publish", str(place)]) == 2
        assert told in capsys.readouterr().err


# Against a server on loopback ---------------------------------------------------------------------

FAKE_KEY = "b" * 40


@pytest.fixture
def server(store: Store, monkeypatch: pytest.MonkeyPatch):
    with double() as server:
        monkeypatch.setenv("WANDB_BASE_URL", server.url)
        monkeypatch.setenv("WANDB_API_KEY", FAKE_KEY)
        yield server


def test_online_everything_is_sent_once(store: Store, server):
    done = publish(store, project="duel")
    told = (done.mode, done.runs.written, done.board, done.notes)
    assert told == ("online", 4, "sent", ()), server.unknown
    assert set(server.runs) == {record.key for record in RECORDS} | {"leaderboard"}
    assert server.runs[RECORDS[0].key]["groupName"] == RECORDS[0].group
    assert any(path.endswith("records.qb") for path in server.uploads), list(server.uploads)
    used = [v["input"]["artifactID"] for name, v in server.variables if name == "UseArtifact"]
    assert used == ["art-records"]
    before = server.total()
    again = publish(store, project="duel")
    assert (again.runs.written, again.runs.unchanged, again.board) == (0, 4, "unchanged")
    assert server.total() == before
    kept = [file for file in store.path.rglob("*") if file.is_file()]
    assert not any(FAKE_KEY.encode() in file.read_bytes() for file in kept)


def test_a_report_is_written_once_and_changed_in_place(store: Store, server, capfd):
    done = publish(store, project="duel", report=True)
    assert (done.notes, server.unknown) == ((), [])
    assert "/duel/reports/Quintain-leaderboard--" in done.report
    assert capfd.readouterr() == ("", "")
    (spec,) = [json.loads(v["spec"]) for name, v in server.variables if name == "upsertView"]
    text = json.dumps(spec)
    assert all(word in text for word in ("cnn", "panel-grid", "val/accuracy"))
    before = server.total()
    assert publish(store, project="duel", report=True).report == "unchanged"
    assert server.total() == before
    store.write(genuine(seed=3, model="lstm"))
    assert publish(store, project="duel", report=True).report == done.report
    ids = [v["id"] for name, v in server.variables if name == "upsertView"]
    assert ids == [None, "view-1"]


def test_a_report_needs_its_package_and_a_server(store: Store, monkeypatch, capsys):
    assert publish(store, report=True).report == "none without a server"
    monkeypatch.setitem(sys.modules, "wandb_workspaces", None)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert main(["publish", str(store.path), "--report"]) == 2
    assert "pip install 'quintain[report]'" in capsys.readouterr().err


def test_an_offline_run_is_synced_later_without_loss(store: Store, server):
    publish(store, mode="offline", project="duel")
    assert server.total() == 0
    folders = [str(path) for path in (store.path / "wandb").glob("offline-run-*")]
    words = [sys.executable, "-m", "wandb", "sync", *folders]
    done = subprocess.run(
        words, capture_output=True, text=True, timeout=900, check=False, cwd=store.path
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert set(server.runs) == {record.key for record in RECORDS} | {"leaderboard"}
    assert any(path.endswith("records.qb") for path in server.uploads), list(server.uploads)
    (sent,) = [body for path, body in server.uploads.items() if path.endswith("records.qb")]
    assert sent == (store.path / "mirror" / "records.qb").read_bytes()
