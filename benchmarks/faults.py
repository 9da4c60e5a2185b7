"""What a sweep keeps when its processes are killed: records, claims, and nothing left running.

Runs: a 20-cell sweep whose runs are killed with SIGKILL at random moments; the same command again
until every cell is `ok`; a new store as soon as there is nothing left to kill. After each kill
every record is read. Sweeps: the sweep itself is killed at a random moment, and its processes,
which are known by a variable of their environment, are counted until none is left.
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
from _common import QUINTAIN, Reading, arguments, publish

MARK = "QUINTAIN_SOAK"
WORDS = ["dataset=digits", "model=mlp,cnn", "budget.params=9000", "hardware=cpu"]
WORDS += ["wandb.mode=disabled", "--no-references"]
WAIT = 120.0  # seconds for anything that must happen
GONE = 5.0  # seconds within which a killed sweep's processes have to end


def main() -> None:
    asked = arguments(__doc__, kills=50, cells=20, steps=60, parents=10, workers=2, seed=1)
    chance = random.Random(asked.seed)
    settings = [f"budget.steps={asked.steps}", f"launch.workers={asked.workers}"]
    settings.append(f"seed={','.join(str(seed) for seed in range(1, asked.cells // 2 + 1))}")
    with tempfile.TemporaryDirectory() as folder:
        runs = kill_runs(Path(folder), settings, asked.kills, chance, progress=True)
        sweeps = kill_sweeps(Path(folder), settings, asked.parents, chance)
    publish("faults", readings(runs, sweeps, asked.cells), asked.out)


@dataclass
class Runs:
    """What was seen while runs were killed; one value a kill, or one a store."""

    damaged: list[int] = field(default_factory=list)  # records lost or unreadable after a kill
    complete: list[int] = field(default_factory=list)  # `ok` records at the end, a store
    commands: list[int] = field(default_factory=list)  # until a store was complete
    killed: list[int] = field(default_factory=list)  # cells that a kill turned into a failure


@dataclass
class Sweeps:
    """What was seen after a sweep itself was killed; one value a kill."""

    orphans: list[int] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)  # until the last process was gone
    damaged: list[int] = field(default_factory=list)
    held: list[int] = field(default_factory=list)  # claims that are still held
    alive: list[int] = field(default_factory=list)  # processes at the moment of the kill


class Sweep:
    """A `quintain sweep` of its own session, all its descendants marked in their environment."""

    def __init__(self, store: Path, settings: list[str]) -> None:
        self.mark = uuid.uuid4().hex
        self.log = store.with_suffix(".log").open("a")
        self.process = subprocess.Popen(
            [*QUINTAIN, "sweep", *WORDS, *settings, f"store={store}"],
            env=os.environ | {MARK: self.mark, "OMP_NUM_THREADS": "1"},
            stdout=self.log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )

    def processes(self) -> list[psutil.Process]:
        """All that carry the mark and are alive, the sweep itself too."""
        return [process for process in psutil.process_iter() if self._is_ours(process)]

    def runs(self) -> list[psutil.Process]:
        """Processes that run a cell: each leads a session of its own, unlike the preflight."""
        found = psutil.Process(self.process.pid).children(recursive=True)
        return [process for process in found if _leads(process.pid)]

    def end(self) -> int:
        code = self.process.wait(timeout=WAIT)
        self.log.close()
        return code

    def _is_ours(self, process: psutil.Process) -> bool:
        try:
            if process.status() == psutil.STATUS_ZOMBIE:
                return False
            return process.environ().get(MARK) == self.mark
        except psutil.Error:
            return False


def _leads(pid: int) -> bool:
    try:
        return os.getsid(pid) == pid
    except ProcessLookupError:
        return False


def kill_runs(
    folder: Path, settings: list[str], kills: int, chance: random.Random, progress: bool = False
) -> Runs:
    """Kill `kills` runs over as many stores as it takes, and finish every store."""
    seen = Runs()
    while len(seen.damaged) < kills:
        store = folder / f"store{len(seen.complete)}"
        commands, finished = 0, set[str]()
        code = 1
        while code != 0:
            sweep, commands = Sweep(store, settings), commands + 1
            _kill_some(sweep, store, kills, chance, seen, finished)
            code = sweep.end()
            if code not in (0, 1):
                sys.exit(f"the sweep ended with {code}:\n{store.with_suffix('.log').read_text()}")
        seen.commands.append(commands)
        seen.complete.append(len(check(store)[0]))
        if progress:
            print(f"{len(seen.damaged)} kills, {len(seen.complete)} stores", flush=True)
    return seen


def _kill_some(
    sweep: Sweep, store: Path, kills: int, chance: random.Random, seen: Runs, finished: set[str]
) -> None:
    """Kill runs of one command at random moments until it ends or there were enough."""
    while sweep.process.poll() is None and len(seen.damaged) < kills:
        time.sleep(chance.uniform(0.1, 2))
        try:
            victim = chance.choice(sweep.runs())
            os.kill(victim.pid, signal.SIGKILL)
        except (IndexError, psutil.NoSuchProcess, ProcessLookupError):
            continue  # none runs at this moment
        before = set(finished)
        ok, failed, bad = check(store)
        finished |= ok
        seen.damaged.append(bad + len(before - ok))
        seen.killed.append(len(failed))


def check(store: Path) -> tuple[set[str], set[str], int]:
    """Keys of `ok` and of other records, and how many files are neither."""
    from quintain.records.store import Store

    opened = Store(store)
    records = opened.all()
    ok = {record.key for record in records if record.status == "ok"}
    return ok, {record.key for record in records} - ok, len(opened.problems)


def kill_sweeps(folder: Path, settings: list[str], times: int, chance: random.Random) -> Sweeps:
    """Kill whole sweeps, each at a moment between its first sign of life and its end."""
    from quintain.records.store import Store

    seen = Sweeps()
    for trial in range(times):
        store = folder / f"parent{trial}"
        sweep = Sweep(store, settings)
        _until_running(sweep)
        time.sleep(chance.uniform(0, 4))
        seen.alive.append(len(sweep.processes()))
        os.kill(sweep.process.pid, signal.SIGKILL)
        began = time.monotonic()
        sweep.end()
        while (left := sweep.processes()) and time.monotonic() - began < WAIT:
            time.sleep(0.02)
        seen.seconds.append(time.monotonic() - began)
        seen.orphans.append(len(left))
        _, _, bad = check(store)
        seen.damaged.append(bad)
        claims = [Store(store).claim(lock.stem) for lock in (store / "claims").glob("*.lock")]
        seen.held.append(claims.count(None))
        for claim in claims:
            if claim is not None:
                claim.release()
    return seen


def _until_running(sweep: Sweep) -> None:
    end = time.monotonic() + WAIT
    while not sweep.runs():
        if sweep.process.poll() is not None or time.monotonic() > end:
            sys.exit(f"no cell was started:\n{Path(sweep.log.name).read_text()}")
        time.sleep(0.02)


def readings(runs: Runs, sweeps: Sweeps, cells: int) -> list[Reading]:
    many = f"{len(runs.complete)} sweeps of {cells} cells"
    alive = f"{min(sweeps.alive)} to {max(sweeps.alive)} processes at the kill"
    return [
        Reading("run killed: records lost or half-written", "", _floats(runs.damaged), 0,
                judged="worst", note=f"one reading a kill, over {many}"),
        Reading("the same command again: cells that are ok", "", _floats(runs.complete),
                at_least=cells, judged="worst", note="one reading a sweep"),
        Reading("commands until complete", "", _floats(runs.commands),
                note=f"{max(runs.killed, default=0)} cells at most had failed at a time"),
        Reading("sweep killed: processes that never ended", "", _floats(sweeps.orphans), 0,
                judged="worst", note=alive),
        Reading("sweep killed: until its last process ended", "s", sweeps.seconds, GONE,
                judged="worst"),
        Reading("sweep killed: records half-written", "", _floats(sweeps.damaged), 0,
                judged="worst"),
        Reading("sweep killed: claims not given back", "", _floats(sweeps.held), 0,
                judged="worst"),
    ]  # fmt: skip


def _floats(values: list[int]) -> list[float]:
    return [float(value) for value in values]


if __name__ == "__main__":
    main()
