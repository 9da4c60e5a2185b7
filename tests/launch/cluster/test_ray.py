"""Sweeps on a real local Ray: the same records as on this machine, and a killed worker."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
from helpers import failing_plugins
from helpers.commands import SHORT_RUN, comparable_quality, enable_ctrl_c, run_quintain

from quintain.records.store import Store

pytest.importorskip("ray", reason="Ray is not installed: pip install 'quintain[ray]'")

COMMON = ("dataset=digits", "hardware=cpu", "wandb.mode=disabled", "--no-baselines")
ON_RAY = ("launch.executor=ray", "launch.workers=1")
TIMEOUT = 600  # seconds: Ray starts slowly, on machines that others use too


def start_sweep(folder: Path, *arguments: str, plugins: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "quintain", "sweep", *COMMON, *ON_RAY, "store=store", *arguments],
        env=os.environ | {"QUINTAIN_PLUGINS": str(plugins), "OMP_NUM_THREADS": "1"},
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        preexec_fn=enable_ctrl_c,
    )


def test_records_equal_those_of_this_machine_and_a_killed_worker_fails_its_cell(tmp_path):
    """The first cell hangs until its worker is killed; the others run in the same Ray."""
    plugins = failing_plugins.write_models(tmp_path / "mine", good="Good", stuck="Good pause=600")
    arguments = (*SHORT_RUN, "budget.params=null", "model=stuck,good", "seed=1")
    process = start_sweep(tmp_path, *arguments, plugins=plugins)
    run = psutil.Process(_wait_for_model(plugins, process))
    run.parent().kill()  # Ray's worker
    assert not psutil.wait_procs([run], timeout=TIMEOUT)[1]  # the run ends with it
    out = process.communicate(timeout=TIMEOUT)[0]
    assert process.returncode == 1, out
    local_command = ("sweep", *COMMON, *arguments[:-2], "model=good", "seed=1", "store=here")
    code, _, err = run_quintain(*local_command, cwd=tmp_path, QUINTAIN_PLUGINS=str(plugins))
    assert code == 0, err
    (local_record,) = Store(tmp_path / "here").all()
    ray_records = {record.status: record for record in Store(tmp_path / "store").all()}
    assert (
        comparable_quality(ray_records["ok"]) == comparable_quality(local_record)
        and ray_records["ok"].key == local_record.key
    )
    assert ray_records["failed"].error.kind == "killed"
    assert "Ray lost the run" in ray_records["failed"].error.message


def test_ctrl_c_saves_the_state_of_a_run(tmp_path):
    plugins = failing_plugins.write_models(tmp_path / "mine", slow="Good pause=0.1")
    settings = ("budget.steps=60", "budget.validations=10", "budget.params=null", "model=slow")
    arguments = (*settings, "launch.checkpoint_every=0")
    process = start_sweep(tmp_path, *arguments, plugins=plugins)
    deadline = time.monotonic() + TIMEOUT
    while not (checkpoints := list(tmp_path.glob("store/checkpoints/*/*.pt"))):
        assert process.poll() is None and time.monotonic() < deadline
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    out = process.communicate(timeout=TIMEOUT)[0]
    assert process.returncode == 130, out
    assert list(checkpoints[0].parent.glob("*.pt")) and not Store(tmp_path / "store").all()
    process = start_sweep(tmp_path, *arguments, plugins=plugins)
    out = process.communicate(timeout=TIMEOUT)[0]
    assert process.returncode == 0, out
    (record,) = Store(tmp_path / "store").all()
    assert record.status == "ok" and record.cost.resumed == 1


def test_an_address_without_a_cluster_is_refused(tmp_path):
    arguments = ("sweep", *COMMON, *SHORT_RUN, "model=mlp", "store=store", *ON_RAY)
    code, _, err = run_quintain(*arguments, "launch.ray.address=127.0.0.1:1", cwd=tmp_path)
    assert code == 2
    assert "no Ray cluster at launch.ray.address=127.0.0.1:1" in err


def test_a_cell_too_large_for_this_machine_is_refused(tmp_path):
    arguments = (
        "sweep",
        *COMMON,
        *SHORT_RUN,
        "model=mlp",
        "store=store",
        *ON_RAY,
        "hardware.threads=3",
    )
    code, _, err = run_quintain(*arguments, cwd=tmp_path)
    assert code == 2
    assert "digits/mlp/cpu/s1 needs 3 CPUs and 0 GPUs; Ray on this machine has 1 CPUs" in err


def _wait_for_model(plugins: Path, process: subprocess.Popen[str]) -> int:
    deadline = time.monotonic() + TIMEOUT
    while not (built := failing_plugins.built_models(plugins)):
        if process.poll() is not None or time.monotonic() > deadline:
            process.send_signal(signal.SIGINT)
            raise AssertionError(process.communicate(timeout=TIMEOUT)[0])
        time.sleep(0.2)
    return int(built[0][1])
