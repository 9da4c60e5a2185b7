"""Planning ten thousand cells, and asking how far they are.

    python benchmarks/planning.py

Nine datasets × eight architectures × ten learning rates × seeds, with the reference rows, planned
into an empty store as `quintain sweep --dry-run` does it: composing, preflight, the plan's file.
Then the store gets a record under every second key, copies of one real record, and `quintain
status` and the plan again are timed. Memory is the peak of the planning process, for 100, 1,000 and
10,000 cells of the same 90 groups.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import _common
from _common import Reading

from quintain.records.store import Store

DATASETS = "digits,shape_captions,moving_digits,driving,spoken_words,pydoc,stdlib_docs"
MODELS = "mlp,cnn,rnn,lstm,gru,transformer,cnn_lstm,cnn_transformer"
RATES = "1e-4,2e-4,3e-4,5e-4,1e-3,2e-3,3e-3,5e-3,1e-2,2e-2"
GRID = [f"dataset={DATASETS},number_words,sunspots", f"model={MODELS}", f"optimizer.lr={RATES}"]
FEW = ["dataset=digits,sunspots,pydoc", "model=mlp,rnn,lstm", f"optimizer.lr={RATES}"]
COMMON = ["hardware=cpu", "wandb.mode=disabled", "launch.workers=2"]


def main() -> None:
    asked = _common.arguments(__doc__, repeats=3)
    planned, planned_cpu, looked, again, peaks = [], [], [], [], {}
    for _ in range(asked.repeats):
        with _common.scratch() as store:
            words = [*GRID, "seed=range(1,15)", *COMMON, f"store={store}"]
            seconds, cpu, _ = dry_run(words)
            planned.append(seconds)
            planned_cpu.append(cpu)
            fill(store)
            began = time.perf_counter()
            ask(store)
            looked.append(time.perf_counter() - began)
            again.append(dry_run(words)[0])
    for seeds in (1, 11, 112):
        with _common.scratch() as store:
            words = [*FEW, f"seed=range(1,{seeds + 1})", *COMMON, f"store={store}"]
            peaks[90 * seeds] = dry_run([*words, "--no-references"])[2]
    more = max(peaks.values()) - min(peaks.values())
    readings = [
        Reading("plan of 10,099 cells, 739 groups", "s", planned, at_most=20),
        Reading("the same: CPU of all its processes", "s", planned_cpu),
        Reading("status of them, half of them done", "s", looked, at_most=1),
        Reading("the plan again, half of it in the store", "s", again, at_most=20),
    ]
    readings += [
        Reading(f"peak memory of planning {cells:,} cells of 90 groups", "MiB", [peak])
        for cells, peak in peaks.items()
    ]
    note = "keys and actions; configurations are shared"
    readings.append(Reading("growth from 90 to 10,080 cells", "MiB", [more], note=note))
    _common.publish("planning", readings, asked.out)


def dry_run(words: list[str]) -> tuple[float, float, float]:
    """Seconds, CPU seconds of the process and its children, and MiB of the process at its peak."""
    command = [*_common.QUINTAIN, "sweep", *words, "--dry-run"]
    began, before = time.perf_counter(), os.times()
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as process:
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    after = os.times()
    if process.returncode:
        sys.exit(f"{' '.join(command)} ended with {process.returncode}")
    cpu = sum(after[2:4]) - sum(before[2:4])
    return time.perf_counter() - began, cpu, usage.ru_maxrss / 1024


def fill(store: Path) -> None:
    """A record under every second key of the plan: copies of a real one."""
    with _common.scratch() as other:
        words = ["dataset=digits", "model=mlp", "budget.steps=300", *COMMON, f"store={other}"]
        subprocess.run([*_common.QUINTAIN, "run", *words], check=True, capture_output=True)
        (record,) = Store(other).all()
    (file,) = (store / "plans").glob("*.json")
    target = Store(store)
    for entry in json.loads(file.read_text())["cells"][::2]:
        copy = record.model_copy(update={"key": entry["key"], "group": entry["group"]})
        place = target.file(entry["key"])
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(copy.to_json())


def ask(store: Path) -> None:
    found = _common.quintain_json("status", f"store={store}")
    assert found["done"] > 5000 and found["waiting"] > 5000, found


if __name__ == "__main__":
    main()
