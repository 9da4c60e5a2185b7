"""`quintain tune` as a user runs it: searches with Optuna, interrupted, shared and failing."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from words import hear_ctrl_c, quintain, write

from quintain.records.store import Store

optuna = pytest.importorskip("optuna")

BUDGET = ("budget.steps=20", "budget.validations=2", "budget.params=3000", "hardware=cpu")
WORDS = (*BUDGET, "model=mlp", "wandb.mode=disabled", "store=store", "tune.startup=2")
ONE = ("launch.workers=1", "tune.trials=4", "--no-references")

GUARDED = """
from quintain.plugins.dataset.digits import Digits

class Guarded(Digits):
    def take(self, split, indices):
        if split == "test":
            raise RuntimeError("somebody reads the test split")
        return super().take(split, indices)

    def fingerprint(self):
        raise RuntimeError("somebody reads all splits")
"""
GUARDED_YAML = """# @package _global_
defaults: [override /stem: image, override /head: classify]
dataset:
  _target_: quintain_local.dataset.guarded.Guarded
  card: {about: its test split raises}
"""
MINE = ("dataset=guarded", "plugins_dir=mine")


def place(folder: Path) -> Path:
    write(folder / "mine" / "plugins" / "dataset" / "guarded.py", GUARDED)
    write(folder / "mine" / "conf" / "dataset" / "guarded.yaml", GUARDED_YAML)
    return folder


def studies(folder: Path):
    """Every study below a store, as Optuna itself reads it."""
    from quintain.run.journal import open_journal

    files = sorted((folder / "store" / "tune").glob("*/journal.log"))
    return [optuna.load_study(study_name=f.parent.name, storage=open_journal(f)) for f in files]


def plain(study):
    """What must be the same in two searches."""
    return [(t.state.name, t.user_attrs["values"], t.value) for t in study.trials]


@pytest.fixture(scope="module")
def guarded(tmp_path_factory):
    """A search over a dataset whose test split raises, run without a break."""
    folder = place(tmp_path_factory.mktemp("guarded"))
    return folder, quintain("tune", *WORDS, *ONE, *MINE, "seed=1,2", cwd=folder)


def test_no_trial_reads_the_test_split_and_the_best_does(guarded):
    folder, (code, out, err) = guarded
    (study,) = studies(folder)
    states = [trial.state.name for trial in study.trials]
    assert len(states) == 4 and set(states) <= {"COMPLETE", "PRUNED"}, out + err
    for record in Store(folder / "store" / "tune").all():
        assert record.trial.study == study.study_name
        assert all(score.test is None for score in record.quality.scores.values())
        assert record.data.fingerprint.startswith("not read")
        assert record.cost.seconds.test == 0
    final = Store(folder / "store").all()
    assert code == 1 and {record.seed for record in final} == {1, 2}
    assert {r.error.message for r in final} == {"somebody reads the test split"}


def test_the_first_trial_is_the_setting_as_it_stands_and_the_best_is_the_best(guarded):
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
    trial = Store(folder / "store" / "tune").all()
    assert best.value in [r.quality.scores["accuracy"].val for r in trial]


def test_an_interrupted_search_ends_as_one_that_was_not(guarded, tmp_path):
    folder = place(tmp_path)
    command = [sys.executable, "-m", "quintain", "tune", *WORDS, *ONE, *MINE, "seed=1,2"]
    process = subprocess.Popen(
        command,
        cwd=folder,
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        start_new_session=True,
        preexec_fn=hear_ctrl_c,
    )
    for line in process.stdout:
        if "trial 2/4" in line:
            os.killpg(process.pid, signal.SIGINT)
            break
    rest = process.communicate(timeout=900)[0]
    assert process.returncode == 130 and "the same command goes on" in rest
    (study,) = studies(folder)
    assert sum(trial.state.is_finished() for trial in study.trials) < 4

    _, out, _ = quintain("tune", *WORDS, *ONE, *MINE, "seed=1,2", "--dry-run", cwd=folder)
    assert "4 trials, 2 done" in out and "2 trials to run, then 2 cells" in out
    quintain("tune", *WORDS, *ONE, *MINE, "seed=1,2", cwd=folder)
    (study,) = studies(folder)
    (whole,) = studies(guarded[0])
    assert plain(study) == plain(whole) and study.study_name == whole.study_name


def test_two_processes_share_a_search_and_its_winner_says_so(tmp_path):
    words = ("dataset=digits", "tune.trials=5", "launch.workers=1", "tune.pruner=none", *WORDS)
    command = [sys.executable, "-m", "quintain", "tune", *words, "--no-references"]
    both = [
        subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, text=True) for _ in "ab"
    ]
    told = [process.communicate(timeout=900)[0] for process in both]
    assert [process.returncode for process in both] == [0, 0], told
    (study,) = studies(tmp_path)
    assert [trial.state.name for trial in study.trials] == ["COMPLETE"] * 5
    assert all("best of 5 trials" in words for words in told)
    assert len(Store(tmp_path / "store" / "tune").all()) == 5
    (record,) = Store(tmp_path / "store").all()
    assert record.tuned.trials == 5 and record.main_test() is not None
    _, out, _ = quintain("leaderboard", "store=store", cwd=tmp_path)
    assert "tuned: best of 5 trials (100 steps) over optimizer.lr" in out


def test_what_holds_of_a_sweep_only_is_refused(tmp_path):
    more = ("launch.executor=slurm", "max_hours=1", "max_kwh=2")
    code, _, err = quintain("tune", "dataset=digits", *WORDS, *ONE, *more, cwd=tmp_path)
    assert code == 2
    for told in ("launch.executor=slurm: a search runs", "max_hours: what a", "max_kwh: what a"):
        assert told in err


def test_a_search_whose_trials_all_fail_is_one_sentence(tmp_path):
    words = ("optimizer.lr=interval(1e36,1e37)", "tune.trials=2", "launch.workers=2", *WORDS)
    own = ("optimizer.clip_norm=null", "tune.pruner=none", "tune.space.optimizer.warmup=null")
    code, out, err = quintain("tune", "dataset=digits", *words, *own, cwd=tmp_path)
    assert code == 1, out + err
    assert out.count("all 2 trials failed; the first: nan:") == 1
    (study,) = studies(tmp_path)
    assert [trial.state.name for trial in study.trials] == ["FAIL", "FAIL"]
    assert all("try a lower learning rate" in trial.user_attrs["why"] for trial in study.trials)
    assert not Store(tmp_path / "store").all()
