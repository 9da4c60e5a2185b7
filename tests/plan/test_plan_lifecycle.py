"""A plan from dry run to end: estimates, limits, status, resume, and changed code and data."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from dataclasses import replace

import pytest
from helpers import failing_plugins
from helpers.cell_factory import build_cell
from helpers.commands import run_quintain
from rich.console import Console

from quintain.launch.sweep import run_plan
from quintain.plan.plan import Plan, PlannedCell, Settings
from quintain.records.store import Store

OVERRIDES = ["dataset=digits", "budget.steps=12", "budget.params=null", "budget.validations=1"]
OVERRIDES += ["wandb.mode=disabled", "hardware=cpu", "launch.workers=1", "--no-baselines"]


@pytest.fixture(scope="module")
def plugins(tmp_path_factory):
    folder = tmp_path_factory.mktemp("plugins") / "mine"
    return failing_plugins.write_models(folder, fast="Good", slow="Good pause=0.15", bad="Raises")


def sweep(store, plugins, *overrides):
    command = ["sweep", *OVERRIDES, f"store={store}", *overrides]
    return run_quintain(*command, cwd=store.parent, QUINTAIN_PLUGINS=str(plugins))


def read_plan(store, folder="plans/dry-run"):
    (file,) = (store / folder).glob("*.json")
    return file, json.loads(file.read_text())


def actions(store):
    return [entry["action"] for entry in read_plan(store)[1]["cells"]]


def test_a_plan_from_dry_run_to_resume(tmp_path, plugins):
    store, cells = tmp_path / "store", ("model=fast,bad", "seed=1,2")
    code, out, _ = sweep(store, plugins, *cells, "--dry-run")
    file, content = read_plan(store)
    assert code == 0 and f"plan: {file}" in out
    assert "no estimate for the 4 to run" in out
    assert actions(store) == ["run"] * 4 and content["totals"]["unknown"] == 4
    assert not list(store.glob("records/*/*.json"))

    code, _, err = run_quintain("status", f"store={store}", cwd=tmp_path)
    assert code == 2 and "there is no plan" in err  # a dry run is no sweep

    code, out, _ = sweep(store, plugins, *cells)
    assert code == 1 and "4 ran" in out and "2 failed" in out
    file, _ = read_plan(store, "plans")

    resume = ["sweep", "--resume", f"store={store}"]
    environment = {"cwd": tmp_path, "QUINTAIN_PLUGINS": str(plugins)}
    code, out, _ = run_quintain(*resume, "--dry-run", **environment)
    assert code == 0 and "2 to run, 2 cached" in out
    code, out, _ = run_quintain(*resume, "--only", "failed", **environment)
    assert code == 1 and "2 ran, 2 were in the store" in out

    before = {r.key: r.started for r in Store(store).all() if r.status == "ok"}
    code, out, _ = run_quintain(*resume, "--force", "launch.workers=2", **environment)
    assert code == 1 and "4 ran, 0 were in the store" in out
    after = {r.key: r.started for r in Store(store).all() if r.status == "ok"}
    assert after.keys() == before.keys() and all(after[k] > before[k] for k in before)

    code, out, _ = sweep(store, plugins, "model=fast", "seed=3,4", "--dry-run")
    assert "2 runs of it in the store" in out and "2 at a time" not in out
    assert "estimate:" in out and "1 at a time" in out
    _, out, _ = run_quintain("status", f"store={store}", **environment)
    assert f"plan: {file}" in out

    _, out, _ = run_quintain("status", str(file), "--format", "json", **environment)
    status = json.loads(out)
    assert (status["cells"], status["done"], status["failed"]) == (4, 2, 2)
    assert (status["waiting"], status["running"]) == (0, [])
    assert status["failures"][0]["label"].startswith("digits/bad/cpu")
    _, out, _ = run_quintain("status", f"store={store}", "--watch", str(file), **environment)
    assert "2 of 4 cells done, 0 running, 0 waiting, 2 failed" in out

    code, out, err = run_quintain(*resume, str(file), "model=slow", **environment)
    assert code == 2 and "the cells of a plan are fixed" in err


def test_a_limit_makes_a_probe_and_refuses_the_plan(tmp_path, plugins):
    store = tmp_path / "store"
    overrides = ("model=slow", "seed=1,2", "budget.steps=1000000")
    code, _, err = sweep(store, plugins, *overrides, "max_hours=0.5")
    assert code == 2 and "estimated from a probe of 20 steps" in err and "budget.steps" in err
    hours = float(err.partition("2 cells take about ")[2].partition(" h")[0])
    assert 40 < hours < 20_000  # two million steps of at least 0.15 s, were they all slow
    assert not list(store.glob("records/*/*.json"))
    code, _, err = sweep(store, plugins, "model=fast", "max_kwh=1", "max_hours=-1")
    assert code == 2 and "max_hours must be a number above 0" in err


def test_status_shows_a_running_sweep_from_another_process(tmp_path, plugins):
    store = tmp_path / "store"
    overrides = [
        "sweep",
        *OVERRIDES,
        f"store={store}",
        "model=slow",
        "seed=1,2",
        f"plugins_dir={plugins}",
    ]
    process = subprocess.Popen([sys.executable, "-m", "quintain", *overrides], cwd=tmp_path)
    try:
        deadline = time.monotonic() + 300
        while not list(store.glob("running/*.json")):
            assert time.monotonic() < deadline and process.poll() is None
            time.sleep(0.05)
        _, out, _ = run_quintain("status", f"store={store}", "--format", "json", cwd=tmp_path)
    finally:
        assert process.wait(300) == 0
    status = json.loads(out)
    (run,) = status["running"]
    assert run["label"] == "digits/slow/cpu/s1" and not run["stale"]
    assert (status["done"], status["waiting"]) == (0, 1)
    assert not list(store.glob("running/*.json"))


def test_a_plan_is_not_resumed_with_changed_code(tmp_path):
    folder = failing_plugins.write_models(tmp_path / "mine", fast="Good")
    store = tmp_path / "store"
    sweep(store, folder, "model=fast", "--dry-run")
    file, content = read_plan(store)
    (folder / "plugins" / "model" / "more.py").write_text("CHANGED = 1\n")
    environment = {"cwd": tmp_path, "QUINTAIN_PLUGINS": str(folder)}
    code, _, err = run_quintain("sweep", "--resume", str(file), **environment)
    assert code == 2 and "has changed since the plan was made" in err
    assert "make a new plan: quintain sweep dataset=digits" in err

    content["quintain"] = "0.0.1"
    file.write_text(json.dumps(content))
    code, _, err = run_quintain("sweep", "--resume", str(file), **environment)
    assert code == 2 and "was made by Quintain 0.0.1" in err and "make a new plan" in err


def test_changed_code_during_a_sweep_stops_only_its_cells(tmp_path):
    valid, stale = build_cell(seed=1), build_cell("digits", "rnn")
    stale = replace(stale, sources=dict.fromkeys(stale.sources, "0" * 64))
    settings = Settings(tmp_path, 1, None, {"mode": "disabled"})
    plan = Plan(settings, [PlannedCell(stale, "run"), PlannedCell(valid, "run")])
    outcome = run_plan(plan, Console(quiet=True))
    assert outcome.exit_code == 1
    assert outcome.endings == {stale.key: "unwritten", valid.key: "ok"}
    ((_, message),) = outcome.failures.values()
    assert "has changed since the plan was made" in message
    assert Store(tmp_path).status(stale.key) is None


def test_a_plan_is_not_resumed_with_changed_data(tmp_path):
    table, store = tmp_path / "mine.csv", tmp_path / "store"
    rows = [f"{('bad', 'good')[i % 2]} word{i % 7} {i},{('no', 'yes')[i % 2]}" for i in range(60)]
    table.write_text("\n".join(["text,label", *rows]))
    overrides = ["dataset=text_csv", f"dataset.path={table}", "dataset.text=text"]
    overrides += ["dataset.label=label", "model=mlp", *OVERRIDES[1:], f"store={store}"]
    overrides += ["budget.params=5000"]
    code, _, err = run_quintain("sweep", *overrides, "--dry-run", cwd=tmp_path)
    assert code == 0, err
    table.write_text(table.read_text().replace("good", "fine"))
    resume = ["sweep", "--resume", str(read_plan(store)[0]), "launch.slurm.time=9"]
    code, _, err = run_quintain(*resume, cwd=tmp_path)
    assert code == 2 and "the files of dataset=text_csv have changed since the plan was made" in err
