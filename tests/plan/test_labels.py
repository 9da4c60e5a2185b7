"""Labels of cells name what differs among the cells of a plan."""

from __future__ import annotations

import io
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

from helpers.cell_factory import build_cell
from helpers.commands import compose_overrides, write_file
from helpers.record_factory import make_record
from rich.console import Console

from quintain.launch.status import read_status, render_status
from quintain.launch.sweep import write_plan
from quintain.plan.cell_factory import make_run_cell
from quintain.plan.labels import add_variants
from quintain.plan.plan import Plan, PlannedCell, Settings
from quintain.records.store import Store
from quintain.run.heartbeat import Heartbeat


def labels(*overrides: str) -> list[str]:
    return [c.label for c in add_variants([*map(make_run_cell, compose_overrides(*overrides))])]


def test_labels_name_the_settings_that_differ() -> None:
    common = ("dataset=digits", "model=mlp,cnn", "hardware=cpu", "budget.steps=60")
    assert labels(*common, "seed=1,2") == [
        "digits/mlp/cpu/s1", "digits/mlp/cpu/s2", "digits/cnn/cpu/s1", "digits/cnn/cpu/s2",
    ]  # fmt: skip
    assert labels(*common[:1], "model=mlp", *common[2:], "optimizer.lr=0.003,0.01") == [
        "digits/mlp/cpu/s1 optimizer.lr=0.003", "digits/mlp/cpu/s1 optimizer.lr=0.01",
    ]  # fmt: skip
    assert labels("dataset=digits", "model=mlp", "hardware=cpu", "budget=quick,standard") == [
        "digits/mlp/cpu/s1 budget=quick", "digits/mlp/cpu/s1 budget=standard",
    ]  # fmt: skip


def test_files_of_the_same_name_are_told_apart(tmp_path: Path) -> None:
    paths = [write_file(tmp_path / name / "t.csv", f"day,sold\n{name},1\n") for name in "ab"]
    words = f"dataset.path={','.join(map(str, paths))}"
    first, second = labels("dataset=csv_series", words, "hardware=cpu", "model=mlp")
    assert first != second and first.startswith("csv_series/mlp/cpu/s1 ")


def status_text(store: Path, file: Path) -> str:
    console = Console(width=60, record=True, file=io.StringIO())
    console.print(render_status(read_status(file, Store(store))), soft_wrap=True)
    return console.export_text()


def test_status_shows_variants_ended_processes_and_saved_states(tmp_path: Path) -> None:
    store = tmp_path / "a store"
    cells = [build_cell(seed=seed) for seed in (1, 2, 3)]
    cells = [type(c)(**{**vars(c), "variant": f"model.width={c.seed}"}) for c in cells]
    plan = Plan(
        Settings(store, 1, None, {"mode": "disabled"}), [PlannedCell(c, "run") for c in cells]
    )
    file = write_plan(plan)
    failed = make_record(status="failed").model_copy(
        update={"key": cells[0].key, "names": make_record(model="mlp").names}
    )
    Store(store).write(failed)
    (store / "checkpoints" / cells[1].key).mkdir(parents=True)
    with Heartbeat(store, cells[2]):
        text = status_text(store, file)
        beat = next((store / "running").glob("*.json"))
        content = json.loads(beat.read_text())
    assert "1 running" in text and "digits/mlp/cpu/s3 model.width=3" in text
    assert "failed: digits/mlp/cpu/s1 model.width=1: oom: out of memory" in text
    assert "1 of the waiting cells have saved their state" in text
    ended = content | {"pid": 2**22 + 1}
    beat.write_text(json.dumps(ended))
    text = status_text(store, file)
    assert "0 running" in text and "its process has ended without a record" in text
    assert f"quintain sweep --resume '{file}'" in text  # one line, quoted for a shell
    beat.write_text(json.dumps(ended | {"pid_namespace": "of a container"}))
    assert "1 running" in status_text(store, file)
    old = (datetime.now(UTC) - timedelta(seconds=60)).isoformat()
    beat.write_text(json.dumps(content | {"beat": old}))
    assert "no heartbeat for 60 s" in status_text(store, file)
