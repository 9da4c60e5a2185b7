"""Sweeps on a real local Ray: the records of this machine, and a worker that is killed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import bad_plugins
import psutil
import pytest
from words import QUIET, hear_ctrl_c, numbers, quintain

from quintain.records.store import Store

pytest.importorskip("ray", reason="Ray is not installed: pip install 'quintain[ray]'")

WORDS = ("dataset=digits", "hardware=cpu", "wandb.mode=disabled", "--no-references")
ON_RAY = ("launch.executor=ray", "launch.workers=1")
LONG = 600  # seconds: Ray starts slowly, on machines that others use too


def sweep(folder: Path, *words: str, plugins: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "quintain", "sweep", *WORDS, *ON_RAY, "store=store", *words],
        env=os.environ | {"QUINTAIN_PLUGINS": str(plugins), "OMP_NUM_THREADS": "1"},
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        preexec_fn=hear_ctrl_c,
    )


def test_the_records_of_this_machine_and_a_worker_that_is_killed(tmp_path):
    """One Ray for all: the first cell hangs until its worker is killed, the others go on."""
    plugins = bad_plugins.write(tmp_path / "mine", good="Good", stuck="Good pause=600")
    words = (*QUIET, "budget.params=null", "model=stuck,good", "seed=1")
    process = sweep(tmp_path, *words, plugins=plugins)
    run = psutil.Process(_until_built(plugins, process))
    run.parent().kill()  # Ray's worker
    assert not psutil.wait_procs([run], timeout=LONG)[1]  # the run ends with it
    out = process.communicate(timeout=LONG)[0]
    assert process.returncode == 1, out
    local = ("sweep", *WORDS, *words[:-2], "model=good", "seed=1", "store=here")
    code, _, err = quintain(*local, cwd=tmp_path, QUINTAIN_PLUGINS=str(plugins))
    assert code == 0, err
    (here,) = Store(tmp_path / "here").all()
    there = {record.status: record for record in Store(tmp_path / "store").all()}
    assert numbers(there["ok"]) == numbers(here) and there["ok"].key == here.key
    assert there["failed"].error.kind == "killed"
    assert "Ray lost the run" in there["failed"].error.message


def test_ctrl_c_keeps_what_a_run_has_reached(tmp_path):
    plugins = bad_plugins.write(tmp_path / "mine", slow="Good pause=0.1")
    more = ("budget.steps=60", "budget.validations=10", "budget.params=null", "model=slow")
    words = (*more, "launch.checkpoint_every=0")
    process = sweep(tmp_path, *words, plugins=plugins)
    deadline = time.monotonic() + LONG
    while not (kept := list(tmp_path.glob("store/checkpoints/*/*.pt"))):
        assert process.poll() is None and time.monotonic() < deadline
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    out = process.communicate(timeout=LONG)[0]
    assert process.returncode == 130, out
    assert list(kept[0].parent.glob("*.pt")) and not Store(tmp_path / "store").all()
    process = sweep(tmp_path, *words, plugins=plugins)
    out = process.communicate(timeout=LONG)[0]
    assert process.returncode == 0, out
    (record,) = Store(tmp_path / "store").all()
    assert record.status == "ok" and record.cost.resumed == 1


def test_an_address_without_a_cluster(tmp_path):
    words = ("sweep", *WORDS, *QUIET, "model=mlp", "store=store", *ON_RAY)
    code, _, err = quintain(*words, "launch.ray.address=127.0.0.1:1", cwd=tmp_path)
    assert code == 2
    assert "no Ray cluster at launch.ray.address=127.0.0.1:1" in err


def test_more_than_this_machine_has(tmp_path):
    words = ("sweep", *WORDS, *QUIET, "model=mlp", "store=store", *ON_RAY, "hardware.threads=3")
    code, _, err = quintain(*words, cwd=tmp_path)
    assert code == 2
    assert "digits/mlp/cpu/s1 needs 3 CPUs and 0 GPUs; Ray on this machine has 1 CPUs" in err


def _until_built(plugins: Path, process: subprocess.Popen[str]) -> int:
    deadline = time.monotonic() + LONG
    while not (built := bad_plugins.built(plugins)):
        if process.poll() is not None or time.monotonic() > deadline:
            process.send_signal(signal.SIGINT)
            raise AssertionError(process.communicate(timeout=LONG)[0])
        time.sleep(0.2)
    return int(built[0][1])
