"""Sweeps on a real Slurm: arrays, jobs that are killed or pre-empted, clusters that say no."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import bad_plugins
import pytest
from words import QUIET, hear_ctrl_c, numbers, quintain

from quintain.records.store import Store

pytest_plugins = ["slurm_cluster"]

WORDS = ("dataset=digits", "hardware=cpu", "wandb.mode=disabled", "--no-references")
ON_SLURM = "launch.executor=slurm"
LONG = 600  # seconds: each job imports torch, on machines that others use too


class Sweep:
    """A `quintain sweep` in a process of its own."""

    def __init__(self, store: Path, cluster: dict[str, str], *words: str, plugins: Path) -> None:
        self.cluster = os.environ | cluster | {"QUINTAIN_PLUGINS": str(plugins)}
        self.output = store.parent / f"{store.name}-{time.monotonic_ns()}.out"
        command = ("sweep", *WORDS, ON_SLURM, f"store={store}", *words)
        with self.output.open("wb") as output:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "quintain", *command],
                env=self.cluster,
                cwd=store.parent,
                stdout=output,
                stderr=output,
                preexec_fn=hear_ctrl_c,
            )

    def end(self) -> tuple[int, str]:
        code = self.process.wait(timeout=LONG)
        return code, self.output.read_text()

    def says(self, words: str) -> bool:
        return words in self.output.read_text()

    def ask(self, *command: str) -> str:
        return subprocess.run(command, env=self.cluster, capture_output=True, text=True).stdout

    def jobs(self, state: str = "all") -> list[str]:
        return self.ask("squeue", "-h", "-r", "-o", "%i", f"--states={state}").split()

    def until(self, reached) -> None:
        deadline = time.monotonic() + LONG
        while not reached():
            assert self.process.poll() is None, self.output.read_text()
            assert time.monotonic() < deadline
            time.sleep(0.2)


@pytest.fixture
def plugins(tmp_path) -> Path:
    return bad_plugins.write(tmp_path / "mine", slow="Good pause=0.25", stuck="Good pause=600")


def test_an_array_leaves_the_records_of_this_machine(tmp_path, slurm, plugins):
    words = (*QUIET, "model=mlp", "seed=1,2", "launch.workers=2")
    code, out, err = quintain("sweep", *WORDS, *words, "store=here", cwd=tmp_path)
    assert code == 0, err
    code, out = Sweep(tmp_path / "there", slurm, *words, plugins=plugins).end()
    assert code == 0, out
    assert "2 cells, 1 CPU and 0 GPUs each" in out and "2 cells: 2 ran" in out
    here, there = (Store(tmp_path / name).all() for name in ("here", "there"))
    assert [r.key for r in here] == [r.key for r in there] and len(here) == 2
    assert [*map(numbers, here)] == [*map(numbers, there)]
    assert not list(tmp_path.glob("there/slurm/*/*.pkl"))
    assert not list(tmp_path.glob("there/slurm/jobs/*"))


def test_a_cell_that_runs_alone_has_a_node_of_its_own(tmp_path, slurm, plugins):
    words = ("model=slow", "budget.params=null", "budget.steps=8", "budget.validations=1")
    sweep = Sweep(tmp_path / "store", slurm, *words, "measure=speed", plugins=plugins)
    sweep.until(lambda: sweep.jobs("running"))
    told = sweep.ask("scontrol", "show", "job", sweep.jobs("running")[0])
    assert "OverSubscribe=NO" in told, told  # what --exclusive sets
    code, out = sweep.end()
    assert code == 0 and "alone on the machine" in out, out


@pytest.mark.slow
def test_pre_empted_queued_again_and_the_same_numbers(tmp_path, slurm, plugins):
    words = ("model=slow", "budget.params=null", "budget.steps=60", "budget.validations=2")
    sweep = Sweep(tmp_path / "store", slurm, *words, plugins=plugins)
    beats = tmp_path / "store" / "running"
    sweep.until(lambda: any(json.loads(f.read_text())["step"] > 3 for f in beats.glob("*.json")))
    (job,) = sweep.jobs("running")
    sweep.ask("scancel", "--signal=USR2", job)
    sweep.until(lambda: "Restarts=1" in sweep.ask("scontrol", "show", "job", job))
    sweep.until(lambda: sweep.jobs("pending"))
    assert Store(tmp_path / "store").all() == []
    sweep.ask("scontrol", "update", f"JobId={job}", "StartTime=now")  # Slurm waits two minutes
    code, out = sweep.end()
    assert code == 0, out
    straight = ("sweep", *WORDS, "store=straight", *words)
    assert quintain(*straight, cwd=tmp_path, QUINTAIN_PLUGINS=str(plugins))[0] == 0
    (resumed,), (whole,) = (Store(tmp_path / name).all() for name in ("store", "straight"))
    assert numbers(resumed) == numbers(whole) and resumed.cost.resumed == 1


@pytest.mark.slow
def test_left_alone_taken_up_again_cancelled(tmp_path, slurm, plugins):
    """Detached; the same command watches the same jobs; one is cancelled by hand."""
    store, words = tmp_path / "store", ("model=stuck", "budget.params=null", "seed=1,2")
    left = Sweep(store, slurm, *words, "launch.detach=true", plugins=plugins)
    code, out = left.end()
    assert code == 0 and "2 left to the cluster" in out, out
    jobs = left.jobs("pending,running")
    again = Sweep(store, slurm, *words, plugins=plugins)
    again.until(lambda: again.says("2 of the cells are in the queue"))
    again.until(lambda: set(left.jobs("running")) == set(jobs))
    left.ask("scancel", jobs[0])
    again.until(lambda: len(Store(store).all()) == 1)
    (record,) = Store(store).all()
    assert record.status == "failed" and record.error.kind == "killed"
    assert f"Slurm job {jobs[0]} was cancelled" in record.error.message
    again.process.send_signal(signal.SIGINT)
    code, out = again.end()
    assert code == 130, out
    assert "interrupted" in out
    again_running = time.monotonic() + 60
    while left.jobs("pending,running,completing"):
        assert time.monotonic() < again_running
        time.sleep(0.5)
    assert len(Store(store).all()) == 1  # what was interrupted has not failed
    assert set(left.jobs()) >= set(jobs) and not list(store.glob("slurm/jobs/*"))


def test_what_slurm_refuses_is_one_sentence(tmp_path, slurm):
    words = ("sweep", *WORDS, *QUIET, "model=mlp", "store=store", ON_SLURM)
    code, _, err = quintain(*words, "launch.slurm.partition=mian", cwd=tmp_path, **slurm)
    assert code == 2
    assert "launch.slurm.partition: there is no mian; did you mean main? Known: main, spare" in err
    code, _, err = quintain(*words, "launch.slurm.memory=900G", cwd=tmp_path, **slurm)
    assert code == 2 and "Slurm refused the job: " in err and "not available" in err
    assert not list(tmp_path.glob("store/records/*/*"))
    away = re.sub(r"(SlurmctldPort=).*", r"\g<1>1\nMessageTimeout=2",
                  Path(slurm["SLURM_CONF"]).read_text())  # fmt: skip
    (tmp_path / "away.conf").write_text(away)
    code, _, err = quintain(
        *words, cwd=tmp_path, **slurm | {"SLURM_CONF": str(tmp_path / "away.conf")}
    )
    assert code == 2 and "Slurm does not answer: " in err


def test_a_machine_without_slurm(tmp_path):
    words = ("sweep", *WORDS, *QUIET, "model=mlp", "store=store", ON_SLURM)
    code, _, err = quintain(*words, cwd=tmp_path, PATH=str(tmp_path))
    assert code == 2
    assert "launch.executor=slurm needs sbatch, srun, squeue, scancel, sinfo on PATH" in err
