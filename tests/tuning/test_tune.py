"""`quintain tune` as a user runs it: searches with Optuna, interrupted, shared and failing."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from helpers.commands import enable_ctrl_c, run_quintain, write_file

from quintain.records.store import Store

optuna = pytest.importorskip("optuna")

BUDGET = ("budget.steps=20", "budget.validations=2", "budget.params=3000", "hardware=cpu")
OVERRIDES = (*BUDGET, "model=mlp", "wandb.mode=disabled", "store=store", "tune.startup=2")
SINGLE_WORKER = ("launch.workers=1", "tune.trials=4", "--no-baselines")

GUARDED = """
from quintain.plugins.dataset.digits import Digits

class Guarded(Digits):
    def batch(self, split, indices):
        if split == "test":
            raise RuntimeError("the test split was read")
        return super().batch(split, indices)

    def fingerprint(self):
        raise RuntimeError("all splits were read")
"""
GUARDED_YAML = """# @package _global_
defaults: [override /stem: image, override /head: classify]
dataset:
  _target_: quintain_local.dataset.guarded.Guarded
  card: {about: its test split raises}
"""
GUARDED_OVERRIDES = ("dataset=guarded", "plugins_dir=mine")


def write_guarded(folder: Path) -> Path:
    write_file(folder / "mine" / "plugins" / "dataset" / "guarded.py", GUARDED)
    write_file(folder / "mine" / "conf" / "dataset" / "guarded.yaml", GUARDED_YAML)
    return folder


def studies(folder: Path):
    """Return every study in a store, loaded by Optuna."""
    from quintain.run.optuna_storage import open_storage

    files = sorted((folder / "store" / "tune").glob("*/journal.log"))
    return [optuna.load_study(study_name=f.parent.name, storage=open_storage(f)) for f in files]


def comparable(study):
    """Return the results that must be equal in two searches."""
    return [(t.state.name, t.user_attrs["values"], t.value) for t in study.trials]


@pytest.fixture(scope="module")
def guarded(tmp_path_factory):
    """A search over a dataset whose test split raises, run without interruption."""
    folder = write_guarded(tmp_path_factory.mktemp("guarded"))
    return folder, run_quintain(
        "tune", *OVERRIDES, *SINGLE_WORKER, *GUARDED_OVERRIDES, "seed=1,2", cwd=folder
    )


def test_trials_do_not_read_the_test_split_but_the_best_settings_do(guarded):
    folder, (code, out, err) = guarded
    (study,) = studies(folder)
    states = [trial.state.name for trial in study.trials]
    assert len(states) == 4 and set(states) <= {"COMPLETE", "PRUNED"}, out + err
    for record in Store(folder / "store" / "tune").all():
        assert record.trial.study == study.study_name
        assert all(score.test is None for score in record.quality.scores.values())
        assert record.data.fingerprint.startswith("not computed")
        assert record.cost.seconds.test == 0
    records = Store(folder / "store").all()
    assert code == 1 and {record.seed for record in records} == {1, 2}
    assert all("the test split was read" in record.error.message for record in records)


def test_the_first_trial_has_the_default_settings_and_the_best_one_is_chosen(guarded):
    folder, _ = guarded
    (study,) = studies(folder)
    assert study.trials[0].user_attrs["values"] == {
        "optimizer.lr": 3e-3,
        "optimizer.weight_decay": 0.01,
        "optimizer.warmup": 0.1,
    }
    best = max((t for t in study.trials if t.state.name == "COMPLETE"), key=lambda t: t.value)
    for record in Store(folder / "store").all():
        tuned = record.tuned
        assert (tuned.trials, tuned.failed, tuned.best_trial) == (4, 0, best.number)
        assert tuned.best == best.user_attrs["values"] and tuned.best_value == best.value
        assert record.cell["optimizer"]["lr"] == tuned.best["optimizer.lr"]
        assert record.changed["optimizer.lr"] == tuned.best["optimizer.lr"] or best.number == 0
        assert tuned.steps == sum(trial.user_attrs["steps"] for trial in study.trials)
    trials = Store(folder / "store" / "tune").all()
    assert best.value in [r.quality.scores["accuracy"].val for r in trials]


def test_an_interrupted_search_equals_an_uninterrupted_one(guarded, tmp_path):
    folder = write_guarded(tmp_path)
    command = [
        sys.executable,
        "-m",
        "quintain",
        "tune",
        *OVERRIDES,
        *SINGLE_WORKER,
        *GUARDED_OVERRIDES,
        "seed=1,2",
    ]
    process = subprocess.Popen(
        command,
        cwd=folder,
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        start_new_session=True,
        preexec_fn=enable_ctrl_c,
    )
    for line in process.stdout:
        if "trial 2/4" in line:
            os.killpg(process.pid, signal.SIGINT)
            break
    output = process.communicate(timeout=900)[0]
    assert process.returncode == 130 and "the same command runs the rest" in output
    (study,) = studies(folder)
    assert sum(trial.state.is_finished() for trial in study.trials) < 4

    _, out, _ = run_quintain(
        "tune", *OVERRIDES, *SINGLE_WORKER, *GUARDED_OVERRIDES, "seed=1,2", "--dry-run", cwd=folder
    )
    assert "4 trials, 2 done" in out and "2 trials to run, then 2 cells" in out
    run_quintain("tune", *OVERRIDES, *SINGLE_WORKER, *GUARDED_OVERRIDES, "seed=1,2", cwd=folder)
    (study,) = studies(folder)
    (uninterrupted,) = studies(guarded[0])
    assert (
        comparable(study) == comparable(uninterrupted)
        and study.study_name == uninterrupted.study_name
    )


def test_two_processes_share_a_search(tmp_path):
    overrides = (
        "dataset=digits",
        "tune.trials=5",
        "launch.workers=1",
        "tune.pruner=none",
        *OVERRIDES,
    )
    command = [sys.executable, "-m", "quintain", "tune", *overrides, "--no-baselines"]
    processes = [
        subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, text=True) for _ in "ab"
    ]
    outputs = [process.communicate(timeout=900)[0] for process in processes]
    assert [process.returncode for process in processes] == [0, 0], outputs
    (study,) = studies(tmp_path)
    assert [trial.state.name for trial in study.trials] == ["COMPLETE"] * 5
    assert all("best of 5 trials" in output for output in outputs)
    assert len(Store(tmp_path / "store" / "tune").all()) == 5
    (record,) = Store(tmp_path / "store").all()
    assert record.tuned.trials == 5 and record.main_test_score() is not None
    _, out, _ = run_quintain("leaderboard", "store=store", cwd=tmp_path)
    assert "tuned: best of 5 trials (100 steps) over optimizer.lr" in out


def test_settings_of_a_sweep_are_refused(tmp_path):
    refused = ("launch.executor=slurm", "max_hours=1", "max_kwh=2")
    code, _, err = run_quintain(
        "tune", "dataset=digits", *OVERRIDES, *SINGLE_WORKER, *refused, cwd=tmp_path
    )
    assert code == 2
    messages = ("launch.executor=slurm: a search runs", "max_hours: the cost", "max_kwh: the cost")
    assert all(message in err for message in messages)


def test_a_search_whose_trials_all_fail_gives_one_message(tmp_path):
    overrides = (
        "optimizer.lr=interval(1e36,1e37)",
        "tune.trials=2",
        "launch.workers=2",
        *OVERRIDES,
    )
    more_overrides = (
        "optimizer.clip_norm=null",
        "tune.pruner=none",
        "tune.space.optimizer.warmup=null",
    )
    code, out, err = run_quintain(
        "tune", "dataset=digits", *overrides, *more_overrides, cwd=tmp_path
    )
    assert code == 1, out + err
    assert out.count("all 2 trials failed; the first: nan:") == 1
    (study,) = studies(tmp_path)
    assert [trial.state.name for trial in study.trials] == ["FAIL", "FAIL"]
    assert all("try a lower learning rate" in trial.user_attrs["reason"] for trial in study.trials)
    assert not Store(tmp_path / "store").all()
