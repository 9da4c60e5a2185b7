"""A plan from dry run to end: estimates and limits, status, resume, code that changes meanwhile."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from dataclasses import replace

import bad_plugins
import pytest
from cells_factory import cell
from rich.console import Console
from words import quintain

from quintain.compose.plan import Plan, Planned, Settings
from quintain.launch.sweep import run_plan
from quintain.records.store import Store

WORDS = ["dataset=digits", "budget.steps=12", "budget.params=null", "budget.validations=1"]
WORDS += ["wandb.mode=disabled", "hardware=cpu", "launch.workers=1", "--no-references"]


@pytest.fixture(scope="module")
def plugins(tmp_path_factory):
    folder = tmp_path_factory.mktemp("plugins") / "mine"
    return bad_plugins.write(folder, fast="Good", slow="Good pause=0.15", bad="Raises")


def sweep(store, plugins, *words):
    command = ["sweep", *WORDS, f"store={store}", *words]
    return quintain(*command, cwd=store.parent, QUINTAIN_PLUGINS=str(plugins))


def the_plan(store):
    (file,) = (store / "plans").glob("*.json")
    return file, json.loads(file.read_text())


def actions(store):
    return [entry["action"] for entry in the_plan(store)[1]["cells"]]


def test_a_plans_life(tmp_path, plugins):
    store, cells = tmp_path / "store", ("model=fast,bad", "seed=1,2")
    code, out, _ = sweep(store, plugins, *cells, "--dry-run")
    file, content = the_plan(store)
    assert code == 0 and f"plan: {file}" in out
    assert "no estimate for the 4 to run" in out
    assert actions(store) == ["run"] * 4 and content["totals"]["unknown"] == 4
    assert not list(store.glob("records/*/*.json"))

    code, out, _ = sweep(store, plugins, *cells)
    assert code == 1 and "4 ran" in out and "2 failed" in out

    resume = ["sweep", "--resume", f"store={store}"]
    more = {"cwd": tmp_path, "QUINTAIN_PLUGINS": str(plugins)}
    code, out, _ = quintain(*resume, "--dry-run", **more)
    assert code == 0 and "2 to run, 2 cached" in out
    code, out, _ = quintain(*resume, "--only", "failed", **more)
    assert code == 1 and "2 ran, 2 were in the store" in out

    before = {r.key: r.started for r in Store(store).all() if r.status == "ok"}
    code, out, _ = quintain(*resume, "--force", "launch.workers=2", **more)
    assert code == 1 and "4 ran, 0 were in the store" in out
    after = {r.key: r.started for r in Store(store).all() if r.status == "ok"}
    assert after.keys() == before.keys() and all(after[k] > before[k] for k in before)

    code, out, _ = sweep(store, plugins, "model=fast", "seed=3,4", "--dry-run")
    assert "2 runs of it in the store" in out and "2 at a time" not in out
    assert "estimate:" in out and "1 at a time" in out

    _, out, _ = quintain("status", str(file), "--format", "json", **more)
    found = json.loads(out)
    assert (found["cells"], found["done"], found["failed"]) == (4, 2, 2)
    assert (found["waiting"], found["running"]) == (0, [])
    assert found["failures"][0]["label"].startswith("digits/bad/cpu")
    _, out, _ = quintain("status", f"store={store}", "--watch", str(file), **more)
    assert "2 of 4 cells done, 0 running, 0 waiting, 2 failed" in out

    code, out, err = quintain(*resume, str(file), "model=slow", **more)
    assert code == 2 and "a plan goes on as it was frozen" in err


def test_a_limit_makes_a_probe_and_refuses(tmp_path, plugins):
    store = tmp_path / "store"
    words = ("model=slow", "seed=1,2", "budget.steps=1000000")
    code, _, err = sweep(store, plugins, *words, "max_hours=0.5")
    assert code == 2 and "by a probe of 20 steps" in err and "budget.steps" in err
    hours = float(err.partition("2 cells take about ")[2].partition(" h")[0])
    assert 40 < hours < 20_000  # two million steps of at least 0.15 s, were they all slow
    assert not list(store.glob("records/*/*.json"))
    code, _, err = sweep(store, plugins, "model=fast", "max_kwh=1", "max_hours=-1")
    assert code == 2 and "max_hours must be a number above 0" in err


def test_what_runs_is_seen_from_another_terminal(tmp_path, plugins):
    store = tmp_path / "store"
    words = ["sweep", *WORDS, f"store={store}", "model=slow", "seed=1,2", f"plugins_dir={plugins}"]
    process = subprocess.Popen([sys.executable, "-m", "quintain", *words], cwd=tmp_path)
    try:
        deadline = time.monotonic() + 300
        while not list(store.glob("running/*.json")):
            assert time.monotonic() < deadline and process.poll() is None
            time.sleep(0.05)
        _, out, _ = quintain("status", f"store={store}", "--format", "json", cwd=tmp_path)
    finally:
        assert process.wait(300) == 0
    found = json.loads(out)
    (run,) = found["running"]
    assert run["label"] == "digits/slow/cpu/s1" and not run["stale"]
    assert (found["done"], found["waiting"]) == (0, 1)
    assert not list(store.glob("running/*.json"))


def test_code_that_changed_since_the_plan_is_not_run(tmp_path):
    folder = bad_plugins.write(tmp_path / "mine", fast="Good")
    store = tmp_path / "store"
    sweep(store, folder, "model=fast", "--dry-run")
    file, content = the_plan(store)
    (folder / "plugins" / "model" / "more.py").write_text("CHANGED = 1\n")
    more = {"cwd": tmp_path, "QUINTAIN_PLUGINS": str(folder)}
    code, _, err = quintain("sweep", "--resume", str(file), **more)
    assert code == 2 and "has changed since the plan was made" in err
    assert "make the plan anew: quintain sweep dataset=digits" in err

    content["quintain"] = "0.0.1"
    file.write_text(json.dumps(content))
    code, _, err = quintain("sweep", "--resume", str(file), **more)
    assert code == 2 and "was made by Quintain 0.0.1" in err and "make the plan anew" in err


def test_a_source_that_changes_while_the_sweep_runs_stops_its_cells_only(tmp_path):
    good, stale = cell(seed=1), cell("digits", "rnn")
    stale = replace(stale, sources=dict.fromkeys(stale.sources, "0" * 64))
    settings = Settings(tmp_path, 1, None, {"mode": "disabled"})
    plan = Plan(settings, [Planned(stale, "run"), Planned(good, "run")])
    outcome = run_plan(plan, Console(quiet=True))
    assert outcome.exit_code == 1
    assert outcome.endings == {stale.key: "unwritten", good.key: "ok"}
    ((_, sentence),) = outcome.sentences.values()
    assert "has changed since the plan was made" in sentence
    assert Store(tmp_path).status(stale.key) is None


def test_a_plan_does_not_go_on_with_other_data(tmp_path):
    table, store = tmp_path / "mine.csv", tmp_path / "store"
    rows = [f"{('bad', 'good')[i % 2]} word{i % 7} {i},{('no', 'yes')[i % 2]}" for i in range(60)]
    table.write_text("\n".join(["text,label", *rows]))
    words = ["dataset=text_csv", f"dataset.path={table}", "dataset.text=text"]
    words += ["dataset.label=label", "model=mlp", *WORDS[1:], f"store={store}"]
    words += ["budget.params=5000"]
    code, _, err = quintain("sweep", *words, "--dry-run", cwd=tmp_path)
    assert code == 0, err
    table.write_text(table.read_text().replace("good", "fine"))
    resume = ["sweep", "--resume", f"store={store}", "launch.slurm.time=9"]
    code, _, err = quintain(*resume, cwd=tmp_path)
    assert code == 2 and "the files of dataset=text_csv are others than when it was made" in err
