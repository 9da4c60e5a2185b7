"""Effects of SIGKILL on a sweep: damaged records, claims that are still held, orphan processes.

Runs: runs of a sweep of 20 cells are killed at random moments, and the same command is repeated
until every cell is `ok`; then the next store is filled in the same way. After each kill all records
are read. Sweeps: the sweep itself is killed at a random moment, and its descendants, which an
environment variable marks, are counted until all have ended.
"""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import tempfile
import time
import uuid
from dataclasses import dataclass, field
from pathlib import Path

import psutil
from _common import QUINTAIN, Reading, parse_arguments, write_results

MARK = "QUINTAIN_FAULTS"  # environment variable
OVERRIDES = ["dataset=digits", "model=mlp,cnn", "budget.params=9000", "hardware=cpu"]
OVERRIDES += ["wandb.mode=disabled", "--no-baselines"]
TIMEOUT = 120.0  # seconds
MAX_END_SECONDS = 5.0  # until all descendants of a killed sweep have ended


def main() -> None:
    options = parse_arguments(__doc__, kills=50, cells=20, steps=60, parents=10, workers=2, seed=1)
    generator = random.Random(options.seed)
    settings = [f"budget.steps={options.steps}", f"launch.workers={options.workers}"]
    settings.append(f"seed={','.join(str(seed) for seed in range(1, options.cells // 2 + 1))}")
    with tempfile.TemporaryDirectory() as folder:
        runs = kill_runs(Path(folder), settings, options.kills, generator, progress=True)
        sweeps = kill_sweeps(Path(folder), settings, options.parents, generator)
    write_results("faults", make_readings(runs, sweeps, options.cells), options.out)


@dataclass
class RunKills:
    """Observations while runs were killed: one value per kill, or one per store."""

    damaged: list[int] = field(default_factory=list)  # records lost or unreadable after a kill
    complete: list[int] = field(default_factory=list)  # `ok` records at the end, per store
    commands: list[int] = field(default_factory=list)  # until a store was complete
    killed: list[int] = field(default_factory=list)  # cells that a kill turned into a failure


@dataclass
class SweepKills:
    """Observations after a sweep itself was killed: one value per kill."""

    orphans: list[int] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)  # until the last process was gone
    damaged: list[int] = field(default_factory=list)
    held: list[int] = field(default_factory=list)  # claims that are still held
    alive: list[int] = field(default_factory=list)  # processes at the moment of the kill


class Sweep:
    """A `quintain sweep` in its own session; an environment variable marks all its descendants."""

    def __init__(self, store: Path, settings: list[str]) -> None:
        self.mark = uuid.uuid4().hex
        self.log = store.with_suffix(".log").open("a")
        self.process = subprocess.Popen(
            [*QUINTAIN, "sweep", *OVERRIDES, *settings, f"store={store}"],
            env=os.environ | {MARK: self.mark, "OMP_NUM_THREADS": "1"},
            stdout=self.log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )

    def processes(self) -> list[psutil.Process]:
        """Return all marked processes that are alive, including the sweep itself."""
        return [process for process in psutil.process_iter() if self._is_marked(process)]

    def runs(self) -> list[psutil.Process]:
        """Return the processes that run a cell: forked by a fork server, each leads a session."""
        servers = psutil.Process(self.process.pid).children()
        children = [process for server in servers for process in server.children(recursive=True)]
        return [process for process in children if _leads_session(process.pid)]

    def end(self) -> int:
        code = self.process.wait(timeout=TIMEOUT)
        self.log.close()
        return code

    def _is_marked(self, process: psutil.Process) -> bool:
        try:
            if process.status() == psutil.STATUS_ZOMBIE:
                return False
            return process.environ().get(MARK) == self.mark
        except psutil.Error:
            return False


def _leads_session(pid: int) -> bool:
    try:
        return os.getsid(pid) == pid
    except ProcessLookupError:
        return False


def kill_runs(
    folder: Path, settings: list[str], kills: int, generator: random.Random, progress: bool = False
) -> RunKills:
    """Kill `kills` runs in one store after another, and complete every store."""
    observed = RunKills()
    while len(observed.damaged) < kills:
        store = folder / f"store{len(observed.complete)}"
        commands, finished = 0, set[str]()
        code = 1
        while code != 0:
            sweep, commands = Sweep(store, settings), commands + 1
            _kill_some(sweep, store, kills, generator, observed, finished)
            code = sweep.end()
            if code not in (0, 1):
                sys.exit(f"the sweep ended with {code}:\n{store.with_suffix('.log').read_text()}")
        observed.commands.append(commands)
        observed.complete.append(len(check(store)[0]))
        if progress:
            print(f"{len(observed.damaged)} kills, {len(observed.complete)} stores", flush=True)
    return observed


def _kill_some(
    sweep: Sweep,
    store: Path,
    kills: int,
    generator: random.Random,
    observed: RunKills,
    finished: set[str],
) -> None:
    """Kill runs of one sweep at random moments, until it ends or `kills` runs are killed."""
    while sweep.process.poll() is None and len(observed.damaged) < kills:
        time.sleep(generator.uniform(0.1, 2))
        try:
            process = generator.choice(sweep.runs())
            os.kill(process.pid, signal.SIGKILL)
        except (IndexError, psutil.NoSuchProcess, ProcessLookupError):
            continue  # no cell is running
        earlier = set(finished)
        ok, failed, unreadable = check(store)
        finished |= ok
        observed.damaged.append(unreadable + len(earlier - ok))
        observed.killed.append(len(failed))


def check(store: Path) -> tuple[set[str], set[str], int]:
    """Return the keys of `ok` and of other records, and the number of unreadable files."""
    from quintain.records.store import Store

    opened = Store(store)
    records = opened.all()
    ok = {record.key for record in records if record.status == "ok"}
    return ok, {record.key for record in records} - ok, len(opened.problems)


def kill_sweeps(
    folder: Path, settings: list[str], times: int, generator: random.Random
) -> SweepKills:
    """Kill whole sweeps, each at a random moment after its first run has started."""
    from quintain.records.store import Store

    observed = SweepKills()
    for trial in range(times):
        store = folder / f"parent{trial}"
        sweep = Sweep(store, settings)
        _wait_for_run(sweep)
        time.sleep(generator.uniform(0, 4))
        observed.alive.append(len(sweep.processes()))
        os.kill(sweep.process.pid, signal.SIGKILL)
        began = time.monotonic()
        sweep.end()
        while (alive := sweep.processes()) and time.monotonic() - began < TIMEOUT:
            time.sleep(0.02)
        observed.seconds.append(time.monotonic() - began)
        observed.orphans.append(len(alive))
        _, _, unreadable = check(store)
        observed.damaged.append(unreadable)
        claims = [Store(store).claim(lock.stem) for lock in (store / "claims").glob("*.lock")]
        observed.held.append(claims.count(None))
        for claim in claims:
            if claim is not None:
                claim.release()
    return observed


def _wait_for_run(sweep: Sweep) -> None:
    end = time.monotonic() + TIMEOUT
    while not sweep.runs():
        if sweep.process.poll() is not None or time.monotonic() > end:
            sys.exit(f"no cell was started:\n{Path(sweep.log.name).read_text()}")
        time.sleep(0.02)


def make_readings(runs: RunKills, sweeps: SweepKills, cells: int) -> list[Reading]:
    sweep_count = f"{len(runs.complete)} sweeps of {cells} cells"
    processes = f"{min(sweeps.alive)} to {max(sweeps.alive)} processes at the kill"
    return [
        Reading("run killed: records lost or half-written", "", _floats(runs.damaged), 0,
                judged="worst", note=f"one value per kill, over {sweep_count}"),
        Reading("the same command again: cells that are ok", "", _floats(runs.complete),
                at_least=cells, judged="worst", note="one value per sweep"),
        Reading("commands until complete", "", _floats(runs.commands),
                note=f"at most {max(runs.killed, default=0)} cells were failed at the same time"),
        Reading("sweep killed: processes that never ended", "", _floats(sweeps.orphans), 0,
                judged="worst", note=processes),
        Reading("sweep killed: until its last process ended", "s", sweeps.seconds, MAX_END_SECONDS,
                judged="worst"),
        Reading("sweep killed: records half-written", "", _floats(sweeps.damaged), 0,
                judged="worst"),
        Reading("sweep killed: claims not released", "", _floats(sweeps.held), 0,
                judged="worst"),
    ]  # fmt: skip


def _floats(values: list[int]) -> list[float]:
    return [float(value) for value in values]


if __name__ == "__main__":
    main()
