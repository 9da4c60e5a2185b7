"""Sweeps on a real Slurm: arrays, killed and preempted jobs, refusals."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from helpers import failing_plugins
from helpers.commands import SHORT_RUN, comparable_quality, enable_ctrl_c, run_quintain

from quintain.records.store import Store

COMMON = ("dataset=digits", "hardware=cpu", "wandb.mode=disabled", "--no-baselines")
ON_SLURM = "launch.executor=slurm"
TIMEOUT = 600  # seconds: each job imports torch, on machines that others use too


class Sweep:
    """A `quintain sweep` in a process of its own."""

    def __init__(
        self, store: Path, cluster: dict[str, str], *arguments: str, plugins: Path
    ) -> None:
        self.cluster = os.environ | cluster | {"QUINTAIN_PLUGINS": str(plugins)}
        self.output = store.parent / f"{store.name}-{time.monotonic_ns()}.out"
        command = ("sweep", *COMMON, ON_SLURM, f"store={store}", *arguments)
        with self.output.open("wb") as output:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "quintain", *command],
                env=self.cluster,
                cwd=store.parent,
                stdout=output,
                stderr=output,
                preexec_fn=enable_ctrl_c,
            )

    def end(self) -> tuple[int, str]:
        code = self.process.wait(timeout=TIMEOUT)
        return code, self.output.read_text()

    def has_printed(self, text: str) -> bool:
        return text in self.output.read_text()

    def run_command(self, *command: str) -> str:
        return subprocess.run(command, env=self.cluster, capture_output=True, text=True).stdout

    def jobs(self, state: str = "all") -> list[str]:
        return self.run_command("squeue", "-h", "-r", "-o", "%i", f"--states={state}").split()

    def wait_until(self, condition) -> None:
        deadline = time.monotonic() + TIMEOUT
        while not condition():
            assert self.process.poll() is None, self.output.read_text()
            assert time.monotonic() < deadline
            time.sleep(0.2)


@pytest.fixture
def plugins(tmp_path) -> Path:
    return failing_plugins.write_models(
        tmp_path / "mine", slow="Good pause=0.25", stuck="Good pause=600"
    )


def test_an_array_writes_the_same_records_as_this_machine(tmp_path, slurm, plugins):
    arguments = (*SHORT_RUN, "model=mlp", "seed=1,2", "launch.workers=2")
    code, out, err = run_quintain("sweep", *COMMON, *arguments, "store=here", cwd=tmp_path)
    assert code == 0, err
    code, out = Sweep(tmp_path / "there", slurm, *arguments, plugins=plugins).end()
    assert code == 0, out
    assert "2 cells, 1 CPU and 0 GPUs each" in out and "2 cells: 2 ran" in out
    local_records, slurm_records = (Store(tmp_path / name).all() for name in ("here", "there"))
    assert [r.key for r in local_records] == [r.key for r in slurm_records] and len(
        local_records
    ) == 2
    assert [*map(comparable_quality, local_records)] == [*map(comparable_quality, slurm_records)]
    assert not list(tmp_path.glob("there/slurm/*/*.pkl"))
    assert not list(tmp_path.glob("there/slurm/jobs/*"))


def test_an_exclusive_cell_has_a_node_for_itself(tmp_path, slurm, plugins):
    arguments = ("model=slow", "budget.params=null", "budget.steps=8", "budget.validations=1")
    sweep = Sweep(tmp_path / "store", slurm, *arguments, "measure=speed", plugins=plugins)
    sweep.wait_until(lambda: sweep.jobs("running"))
    description = sweep.run_command("scontrol", "show", "job", sweep.jobs("running")[0])
    assert "OverSubscribe=NO" in description, description  # what --exclusive sets
    code, out = sweep.end()
    assert code == 0 and "alone on the machine" in out, out


@pytest.mark.slow
def test_a_preempted_job_is_queued_again_and_has_the_same_quality(tmp_path, slurm, plugins):
    arguments = ("model=slow", "budget.params=null", "budget.steps=60", "budget.validations=2")
    sweep = Sweep(tmp_path / "store", slurm, *arguments, plugins=plugins)
    heartbeats = tmp_path / "store" / "running"
    sweep.wait_until(
        lambda: any(json.loads(f.read_text())["step"] > 3 for f in heartbeats.glob("*.json"))
    )
    (job,) = sweep.jobs("running")
    sweep.run_command("scancel", "--signal=USR2", job)
    sweep.wait_until(lambda: "Restarts=1" in sweep.run_command("scontrol", "show", "job", job))
    sweep.wait_until(lambda: sweep.jobs("pending"))
    assert Store(tmp_path / "store").all() == []
    sweep.run_command(
        "scontrol", "update", f"JobId={job}", "StartTime=now"
    )  # Slurm waits two minutes
    code, out = sweep.end()
    assert code == 0, out
    uninterrupted = ("sweep", *COMMON, "store=uninterrupted", *arguments)
    assert run_quintain(*uninterrupted, cwd=tmp_path, QUINTAIN_PLUGINS=str(plugins))[0] == 0
    (resumed,), (uninterrupted_record,) = (
        Store(tmp_path / name).all() for name in ("store", "uninterrupted")
    )
    assert (
        comparable_quality(resumed) == comparable_quality(uninterrupted_record)
        and resumed.cost.resumed == 1
    )


@pytest.mark.slow
def test_detached_jobs_are_watched_again_and_can_be_cancelled(tmp_path, slurm, plugins):
    """A second command watches the jobs of a detached one; scancel cancels one of them."""
    store, arguments = tmp_path / "store", ("model=stuck", "budget.params=null", "seed=1,2")
    detached = Sweep(store, slurm, *arguments, "launch.detach=true", plugins=plugins)
    code, out = detached.end()
    assert code == 0 and "2 submitted to the cluster" in out, out
    jobs = detached.jobs("pending,running")
    second = Sweep(store, slurm, *arguments, plugins=plugins)
    second.wait_until(lambda: second.has_printed("2 of the cells are in the queue"))
    second.wait_until(lambda: set(detached.jobs("running")) == set(jobs))
    detached.run_command("scancel", jobs[0])
    second.wait_until(lambda: len(Store(store).all()) == 1)
    (record,) = Store(store).all()
    assert record.status == "failed" and record.error.kind == "killed"
    assert f"Slurm job {jobs[0]} was cancelled" in record.error.message
    second.process.send_signal(signal.SIGINT)
    code, out = second.end()
    assert code == 130, out
    assert "interrupted" in out
    deadline = time.monotonic() + 60
    while detached.jobs("pending,running,completing"):
        assert time.monotonic() < deadline
        time.sleep(0.5)
    assert len(Store(store).all()) == 1  # an interrupted cell has not failed
    assert set(detached.jobs()) >= set(jobs) and not list(store.glob("slurm/jobs/*"))


def test_a_refusal_of_slurm_is_one_message(tmp_path, slurm):
    arguments = ("sweep", *COMMON, *SHORT_RUN, "model=mlp", "store=store", ON_SLURM)
    code, _, err = run_quintain(*arguments, "launch.slurm.partition=mian", cwd=tmp_path, **slurm)
    assert code == 2
    assert "launch.slurm.partition: there is no mian; did you mean main? Known: main, spare" in err
    code, _, err = run_quintain(*arguments, "launch.slurm.memory=900G", cwd=tmp_path, **slurm)
    assert code == 2 and "Slurm refused the job: " in err and "not available" in err
    assert not list(tmp_path.glob("store/records/*/*"))
    unreachable = re.sub(r"(SlurmctldPort=).*", r"\g<1>1\nMessageTimeout=2",
                  Path(slurm["SLURM_CONF"]).read_text())  # fmt: skip
    (tmp_path / "unreachable.conf").write_text(unreachable)
    code, _, err = run_quintain(
        *arguments, cwd=tmp_path, **slurm | {"SLURM_CONF": str(tmp_path / "unreachable.conf")}
    )
    assert code == 2 and "Slurm does not answer: " in err


def test_a_machine_without_slurm_is_refused(tmp_path):
    arguments = ("sweep", *COMMON, *SHORT_RUN, "model=mlp", "store=store", ON_SLURM)
    code, _, err = run_quintain(*arguments, cwd=tmp_path, PATH=str(tmp_path))
    assert code == 2
    assert "launch.executor=slurm needs sbatch, srun, squeue, scancel, sinfo on PATH" in err
