"""Time and memory to plan ten thousand cells, and to show their status.

`quintain sweep --dry-run` plans nine datasets × eight architectures × ten learning rates × seeds,
and the baselines, for an empty store: it composes and checks the cells and writes the plan. Then
every second cell gets a record, a copy of a real one, and `quintain status` and a second plan are
timed. Memory is the peak of the planning process, for 90, 990 and 10,080 cells of 90 groups.
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
SMALL_GRID = ["dataset=digits,sunspots,pydoc", "model=mlp,rnn,lstm", f"optimizer.lr={RATES}"]
COMMON = ["hardware=cpu", "wandb.mode=disabled", "launch.workers=2"]


def main() -> None:
    options = _common.parse_arguments(__doc__, repeats=3)
    plan_seconds, plan_cpu, status_seconds, second_plan, peaks = [], [], [], [], {}
    for _ in range(options.repeats):
        with _common.temporary_store() as store:
            overrides = [*GRID, "seed=range(1,15)", *COMMON, f"store={store}"]
            seconds, cpu, _ = dry_run(overrides)
            plan_seconds.append(seconds)
            plan_cpu.append(cpu)
            write_records(store)
            began = time.perf_counter()
            check_status(store)
            status_seconds.append(time.perf_counter() - began)
            second_plan.append(dry_run(overrides)[0])
    for seeds in (1, 11, 112):
        with _common.temporary_store() as store:
            overrides = [*SMALL_GRID, f"seed=range(1,{seeds + 1})", *COMMON, f"store={store}"]
            peaks[90 * seeds] = dry_run([*overrides, "--no-baselines"])[2]
    growth = max(peaks.values()) - min(peaks.values())
    readings = [
        Reading("plan of 10,099 cells, 739 groups", "s", plan_seconds, at_most=20),
        Reading("the same: CPU of all its processes", "s", plan_cpu),
        Reading("status of these cells, half of them with records", "s", status_seconds, at_most=1),
        Reading("the plan again, half of the cells in the store", "s", second_plan, at_most=20),
    ]
    readings += [
        Reading(f"peak memory of planning {cells:,} cells of 90 groups", "MiB", [peak])
        for cells, peak in peaks.items()
    ]
    note = "keys and actions; configurations are shared"
    readings.append(Reading("growth from 90 to 10,080 cells", "MiB", [growth], note=note))
    _common.write_results("planning", readings, options.out)


def dry_run(overrides: list[str]) -> tuple[float, float, float]:
    """Return seconds, CPU seconds with all children, and the peak memory of the process in MiB."""
    command = [*_common.QUINTAIN, "sweep", *overrides, "--dry-run"]
    began, before = time.perf_counter(), os.times()
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as process:
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    after = os.times()
    if process.returncode:
        sys.exit(f"{' '.join(command)} ended with {process.returncode}")
    cpu = sum(after[2:4]) - sum(before[2:4])
    return time.perf_counter() - began, cpu, usage.ru_maxrss / 1024


def write_records(store: Path) -> None:
    """Write a record for every second key of the plan: copies of a real one."""
    with _common.temporary_store() as source:
        overrides = ["dataset=digits", "model=mlp", "budget.steps=300", *COMMON, f"store={source}"]
        subprocess.run([*_common.QUINTAIN, "run", *overrides], check=True, capture_output=True)
        (record,) = Store(source).all()
    (file,) = (store / "plans").glob("*.json")
    target = Store(store)
    for entry in json.loads(file.read_text())["cells"][::2]:
        copied = record.model_copy(update={"key": entry["key"], "group": entry["group"]})
        path = target.file(entry["key"])
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(copied.to_json())


def check_status(store: Path) -> None:
    status = _common.read_json("status", f"store={store}")
    assert status["done"] > 5000 and status["waiting"] > 5000, status


if __name__ == "__main__":
    main()
