"""A whole `quintain sweep` whose ranks are killed and preempted."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
from helpers import failing_plugins

from quintain.records.store import Store

TIMEOUT = 600.0  # seconds, on a machine under load; each wait ends when the thing has happened
STEPS = 60
EXIT_TIMEOUT = 60.0  # seconds in which the remaining ranks must end


class Sweep:
    """Two cells of two ranks, one after the second; each training step takes 0.1 s and more."""

    def __init__(self, folder: Path) -> None:
        self.store = Store(folder / "store")
        plugins = failing_plugins.write_models(folder / "mine", slow="Good pause=0.1")
        command = ["sweep", "dataset=digits", "model=slow", "hardware=cpu_ddp", "seed=1,2"]
        command += [
            f"budget.steps={STEPS}",
            f"budget.validations={STEPS // 2}",
            "budget.params=null",
        ]
        command += [f"store={self.store.path}", "launch.workers=1", "wandb.mode=disabled"]
        self.output = folder / "output"
        with self.output.open("w") as out:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "quintain", *command],
                env=os.environ | {"QUINTAIN_PLUGINS": str(plugins)},
                stdout=out,
                stderr=out,
            )

    def wait_for_training(self, seed: int) -> tuple[str, psutil.Process, psutil.Process]:
        """Key, rank 0 and rank 1 of the cell of this seed, as soon as it trains."""
        end = time.monotonic() + TIMEOUT
        while time.monotonic() < end:
            assert self.process.poll() is None, self.output.read_text()
            for file in (self.store.path / "running").glob("*.json"):
                heartbeat = json.loads(file.read_text())
                if heartbeat["step"] > 0 and heartbeat["label"].endswith(f"/s{seed}"):
                    first = psutil.Process(heartbeat["pid"])
                    (second,) = (p for p in first.children() if "--rank" in p.cmdline())
                    return heartbeat["key"], first, second
            time.sleep(0.05)
        raise AssertionError(f"seed {seed} does not train:\n{self.output.read_text()}")

    def wait_for_record(self, key: str):
        end = time.monotonic() + TIMEOUT
        while (record := self.store.read(key)) is None:
            assert time.monotonic() < end, self.output.read_text()
            time.sleep(0.05)
        return record


@pytest.fixture(scope="module")
def sweep(tmp_path_factory):
    sweep = Sweep(tmp_path_factory.mktemp("sweep"))
    yield sweep
    sweep.process.kill()
    sweep.process.wait()


def test_a_killed_rank_fails_its_cell_and_the_sweep_continues(sweep):
    key, first, second = sweep.wait_for_training(seed=1)
    second.send_signal(signal.SIGKILL)
    _, alive = psutil.wait_procs([first, second], timeout=EXIT_TIMEOUT)
    assert alive == []
    record = sweep.wait_for_record(key)
    assert record.status == "failed" and record.error.kind == "killed"
    assert "rank 1 of 2 ended by SIGKILL" in record.error.message


def test_preempted_ranks_save_their_state_and_are_resumed(sweep):
    """All are signalled at once, as a cluster does; the sweep then starts the cell again."""
    key, first, second = sweep.wait_for_training(seed=2)
    for rank in (second, first):
        rank.send_signal(signal.SIGTERM)
    assert sweep.process.wait(TIMEOUT) == 1, sweep.output.read_text()  # for the cell that failed
    record = sweep.wait_for_record(key)
    assert record.status == "ok", record.error
    assert record.cost.resumed == 1 and record.cost.steps == STEPS
    assert "resumed 1 time, last at step" in record.trust["interruptions"].note
    assert [len(steps) for steps in record.cost.ranks.step_ms] == [STEPS, STEPS]
