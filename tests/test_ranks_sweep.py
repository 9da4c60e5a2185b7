"""A whole `quintain sweep` whose ranks are killed and told to leave."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import bad_plugins
import psutil
import pytest

from quintain.records.store import Store

WAIT = 600.0  # seconds, on a machine under load; each wait ends when the thing has happened
STEPS = 60
GONE = 60.0  # seconds in which the ranks that are left must be gone: they notice it, or GRACE ends


class Sweep:
    """Two cells of two ranks, one after the other; each training step takes 0.1 s and more."""

    def __init__(self, folder: Path) -> None:
        self.store = Store(folder / "store")
        plugins = bad_plugins.write(folder / "mine", slow="Good pause=0.1")
        words = ["sweep", "dataset=digits", "model=slow", "hardware=cpu_ddp", "seed=1,2"]
        words += [f"budget.steps={STEPS}", f"budget.validations={STEPS // 2}", "budget.params=null"]
        words += [f"store={self.store.path}", "launch.workers=1", "wandb.mode=disabled"]
        self.output = folder / "output"
        with self.output.open("w") as out:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "quintain", *words],
                env=os.environ | {"QUINTAIN_PLUGINS": str(plugins)},
                stdout=out,
                stderr=out,
            )

    def training(self, seed: int) -> tuple[str, psutil.Process, psutil.Process]:
        """Key, rank 0 and rank 1 of the cell of this seed, as soon as it trains."""
        end = time.monotonic() + WAIT
        while time.monotonic() < end:
            assert self.process.poll() is None, self.output.read_text()
            for file in (self.store.path / "running").glob("*.json"):
                said = json.loads(file.read_text())
                if said["step"] > 0 and said["label"].endswith(f"/s{seed}"):
                    first = psutil.Process(said["pid"])
                    (other,) = (p for p in first.children() if "--rank" in p.cmdline())
                    return said["key"], first, other
            time.sleep(0.05)
        raise AssertionError(f"seed {seed} does not train:\n{self.output.read_text()}")

    def record(self, key: str):
        end = time.monotonic() + WAIT
        while (found := self.store.read(key)) is None:
            assert time.monotonic() < end, self.output.read_text()
            time.sleep(0.05)
        return found


@pytest.fixture(scope="module")
def sweep(tmp_path_factory):
    made = Sweep(tmp_path_factory.mktemp("sweep"))
    yield made
    made.process.kill()
    made.process.wait()


def test_a_killed_rank_fails_its_cell_and_the_sweep_goes_on(sweep):
    key, first, other = sweep.training(seed=1)
    other.send_signal(signal.SIGKILL)
    _, alive = psutil.wait_procs([first, other], timeout=GONE)
    assert alive == []
    record = sweep.record(key)
    assert record.status == "failed" and record.error.kind == "killed"
    assert "rank 1 of 2 ended by SIGKILL" in record.error.message


def test_ranks_that_are_told_to_leave_keep_their_state_and_go_on(sweep):
    """Told all at once, as a cluster does it; the sweep then starts the cell again."""
    key, first, other = sweep.training(seed=2)
    for rank in (other, first):
        rank.send_signal(signal.SIGTERM)
    assert sweep.process.wait(WAIT) == 1, sweep.output.read_text()  # for the cell that failed
    record = sweep.record(key)
    assert record.status == "ok", record.error
    assert record.cost.resumed == 1 and record.cost.steps == STEPS
    assert "resumed 1 time, last at step" in record.trust["interruptions"].note
    assert [len(steps) for steps in record.cost.ranks.step_ms] == [STEPS, STEPS]
