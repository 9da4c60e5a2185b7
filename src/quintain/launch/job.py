"""One cell on a machine of a cluster: claim it, run its command in a process, leave a record.

The command is `python -m quintain.run CELL --store STORE`. Exit code 75 means that the run was told
to end, has kept its state in the store, and goes on when it is started again.
"""

from __future__ import annotations

import contextlib
import json
import math
import os
import signal
import subprocess
import sys
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

from quintain.compose.cells import Cell
from quintain.compose.errors import UsageError
from quintain.records import faults
from quintain.records.schema import Record, utc_now
from quintain.records.scrub import scrub
from quintain.records.store import Claim, Store
from quintain.run.attempt import scrub_log, tail
from quintain.run.identity import failed

AGAIN = 75  # EX_TEMPFAIL of sysexits.h: try again
SIGNALS = [getattr(signal, name) for name in ("SIGTERM", "SIGUSR2") if hasattr(signal, name)]
ASKED = (AGAIN, *(-number for number in SIGNALS))  # how a run ends that was told to end
TOLD = (*ASKED, -signal.SIGKILL)  # and one that took longer than `LINGER`
HEARD = 3.0  # seconds in which a signal to all of a job's processes has reached each of them
PATIENCE = 120.0  # seconds to wait for a claim: an earlier job of the cell may still be ending
LOOK = 0.1  # seconds between two looks at a process
LINGER = 60.0  # seconds that a run may take to keep its state


@dataclass(frozen=True)
class Order:
    """What a job has to do; it lies on the cluster's disks, so it holds no secrets.

    Attributes:
        cell: the frozen cell, as JSON.
        file: the same as a file, for the command.
        store: takes the record, the log and the state of an interrupted run.
        time_limit: seconds that the run may take; None: no limit.
        checkpoint_every: seconds between two checkpoints; None: only when told to end.
        environment: variables that the run needs, where the cluster does not pass them on.
    """

    cell: str
    file: str
    store: str
    time_limit: float | None = None
    checkpoint_every: float | None = None
    environment: dict[str, str] = field(default_factory=dict)


def write_orders(
    store: Store,
    cells: list[Cell],
    time_limit: float | None = None,
    checkpoint_every: float | None = None,
) -> list[Order]:
    """Freeze the cells as files of the store, one a key, and make their orders.

    A file of its own, not the plan's: a plan may be made anew while its jobs still wait, and
    what a key stands for never changes.
    """
    files = [_freeze(store, cell) for cell in cells]
    given = {k: v for k, v in os.environ.items() if k in ("QUINTAIN_DATA", "QUINTAIN_PLUGINS")}
    given |= {"PYTHONPATH": os.environ["PYTHONPATH"]} if "PYTHONPATH" in os.environ else {}
    place, limits = str(store.path.absolute()), (time_limit, checkpoint_every)
    return [Order(text, file, place, *limits, given) for text, file in files]


def _freeze(store: Store, cell: Cell) -> tuple[str, str]:
    """The cell as JSON, and the name of the file that holds it."""
    file = store.path.absolute() / "cells" / f"{cell.key}.json"
    plain = json.loads(cell.to_json())
    if scrub(plain) != plain:
        raise UsageError(
            f"{cell.label}: a setting holds a secret (the value of a variable of the environment"
            " that is named like one, or a URL with a password), and a cluster's cells are files"
            " of the store: let the plugin read it from the environment"
        )
    text = json.dumps(plain, indent=1)
    temporary = file.with_suffix(f".{os.getpid()}.tmp")
    with faults.explained(store.path):
        file.parent.mkdir(parents=True, exist_ok=True)
        temporary.write_text(text)
        temporary.replace(file)
    return text, str(file)


class Run:
    """A cell's run in a process group of its own, which may be told to end.

    `end` may be called from a signal handler, in the middle of `wait`: so there are no locks, and
    the process is looked at without taking its exit code away.
    """

    def __init__(self, order: Order) -> None:
        self.cell, self._order = Cell.from_json(order.cell), order
        self.log = Path(order.store) / "logs" / f"{self.cell.key}.log"
        self._process: subprocess.Popen[bytes] | None = None
        self._code: int | None = None
        self.timed_out = False

    def start(self) -> None:
        """Start the command; what it prints goes into the cell's log."""
        command = [sys.executable, "-m", "quintain.run.follow", sys.executable]
        command += ["-m", "quintain.run", self._order.file, "--store", self._order.store]
        every = self._order.checkpoint_every  # 0 is after each chunk of steps
        command += ["--checkpoint-every", str(math.inf if every is None else every)]
        self.log.parent.mkdir(parents=True, exist_ok=True)
        self._code = None
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                command,
                env=_environment(self._order),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def wait(self) -> int:
        """Exit code, or minus the signal's number."""
        assert self._process is not None
        limit = self._order.time_limit
        timer = threading.Timer(limit, self._expire) if limit else None
        if timer:
            timer.daemon = True
            timer.start()
        while (code := self._exit_code()) is None:
            time.sleep(LOOK)  # short, because Ray's cancelling does not wake a sleeper
        if timer:
            timer.cancel()
        self._end_group(signal.SIGKILL)  # what it may have left behind
        self._process.wait()
        return code

    def end(self, number: int = signal.SIGTERM) -> int:
        """Tell the run to keep its state and end; its code, or that of killing it if it lingers."""
        if self._process is None:
            return AGAIN
        with contextlib.suppress(ProcessLookupError):
            os.kill(self._process.pid, number)
        deadline = time.monotonic() + LINGER
        while (code := self._exit_code()) is None:
            if time.monotonic() > deadline:
                self.kill()
            time.sleep(LOOK)
        return code

    def kill(self) -> None:
        """End the run and whatever it started, now."""
        self._end_group(signal.SIGKILL)

    def _expire(self) -> None:
        self.timed_out = True
        self.kill()

    def _end_group(self, number: int) -> None:
        assert self._process is not None
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, number)

    def _exit_code(self) -> int | None:
        """The code with which the process has ended; None while it lives."""
        assert self._process is not None
        if self._code is None and hasattr(os, "waitid"):
            self._code = _look(self._process.pid)
        elif self._code is None:  # macOS before Python 3.13: taken away, and kept here
            self._code = _take(self._process.pid)
        return self._code


def carry_out(order: Order, run: Run, told: threading.Event) -> str:
    """Run an order to its record; says how it ended. `told`: somebody has told the run to end."""
    store, key = Store(order.store), run.cell.key
    claim = _claim(store, key)
    if claim is None:
        return f"another process has run the cell for the last {PATIENCE:g} s"
    with claim:
        before, started = store.read(key), utc_now()
        if before is not None and before.status == "ok":
            return "the record is in the store"
        if not os.environ.get("SLURM_RESTART_COUNT", "").strip("0"):
            run.log.unlink(missing_ok=True)
        code = _run_on(run, told)
        scrub_log(run.log)
        if ended(store, key, before) is not None:
            return "the record is in the store"
        if code in TOLD and told.is_set():
            return "told to end; the state is kept, and the same command goes on"
        kind, sentence = _how(run, code)
        write_failure(store, run.cell, kind, sentence, started, tail(run.log))
        return sentence


def _run_on(run: Run, told: threading.Event) -> int:
    """Run until there is a record, it fails, or we are told to end."""
    try:
        while True:
            run.start()
            code = run.wait()
            if code not in ASKED or told.wait(HEARD) or code != AGAIN:
                return code
    except KeyboardInterrupt:  # Ray's way to cancel
        told.set()
        return run.end()


def ended(store: Store, key: str, before: Record | None) -> Record | None:
    """The record that a run has left since `before` was read, or None."""
    now = store.read(key)
    return now if now != before else None


def write_failure(
    store: Store, cell: Cell, kind: str, sentence: str, started: str, log_tail: str
) -> bool:
    """The record of a run that ended without one; False where a finished one is there."""
    error = {"kind": kind, "type": "Process", "message": sentence, "log_tail": log_tail}
    return store.write(failed(cell, error, started))


def _how(run: Run, code: int) -> tuple[str, str]:
    if run.timed_out:
        limit = run._order.time_limit
        return "timeout", f"the run took longer than its limit of {limit:g} s (launch.time_limit)"
    if code >= 0:
        last = next(iter(reversed(tail(run.log).strip().splitlines())), "")
        how = f"exit code {code}" + (f" ({last})" if last else "")
    else:
        how = f"signal {_signal_name(-code)}"
    sentence = f"the run's process ended by {how} before it wrote its record"
    return "killed", sentence + (
        "; the machine may have run out of memory" if code == -signal.SIGKILL else ""
    )


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:  # a real-time signal
        return str(number)


def _claim(store: Store, key: str) -> Claim | None:
    deadline = time.monotonic() + PATIENCE
    while (claim := store.claim(key)) is None and time.monotonic() < deadline:
        time.sleep(0.5)
    return claim


def _environment(order: Order) -> dict[str, str]:
    """Ours and the order's, without what would make Lightning believe that Slurm starts its ranks.

    (It looks for SLURM_NTASKS, and would then take the signals that tell the run to end.)
    """
    ours = {k: v for k, v in os.environ.items() if k not in ("SLURM_NTASKS", "SLURM_NPROCS")}
    one = {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}  # a run may ask for more
    return one | ours | order.environment | {"QUINTAIN_PARENT": str(os.getpid())}


def _look(pid: int) -> int | None:
    """The code with which a child has ended, left there for others to ask; None while it lives."""
    found = os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT | os.WNOHANG)
    if found is None:
        return None
    return found.si_status if found.si_code == os.CLD_EXITED else -found.si_status


def _take(pid: int) -> int | None:
    """The same where one can only take the code away.

    A signal handler may ask between the moment at which the code is taken and that at which it is
    kept. It is told what a run says that goes on: who goes on finds the record, if there is one.
    """
    try:
        ended, status = os.waitpid(pid, os.WNOHANG)
    except ChildProcessError:
        return AGAIN
    return os.waitstatus_to_exitcode(status) if ended else None
