"""The run of a cell on a cluster node: its specification, process and record."""

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
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from quintain.compose.settings import Settings
from quintain.errors import ExitCode, StoreError, UsageError
from quintain.launch.events import Ending
from quintain.launch.limits import AwakeClock
from quintain.launch.process_tree import kill_process_tree
from quintain.launch.signals import describe_exit
from quintain.plan.cell import Cell
from quintain.records.filesystem import replace_text, translate_os_errors
from quintain.records.redact import redact
from quintain.records.schema import Record, utc_now
from quintain.records.store import Store
from quintain.run.environment import PARENT_VARIABLE, make_run_environment
from quintain.run.preemption_signals import SIGNALS
from quintain.run.record.identity import build_failed_record
from quintain.run.runner import read_log_tail, redact_log

POLL = 0.1  # seconds; short, because cancelling a Ray task does not wake a sleeping thread
SAVE_TIMEOUT = 60.0  # seconds that a run may take to save its state
FORWARDED_VARIABLES = ("QUINTAIN_DATA", "QUINTAIN_PLUGINS", "PYTHONPATH")
PREEMPTED_CODES = (ExitCode.PREEMPTED, *(-number for number in SIGNALS))
"""Exit codes of a preempted run; minus a signal that came before the run could handle it."""
STOPPED_CODES = (*PREEMPTED_CODES, -signal.SIGKILL)
"""The same, and the exit code of a run that took too long to save its state."""
SIGNAL_DELAY = 3.0  # seconds until a signal to a job has reached each of its processes
CLAIM_TIMEOUT = 120.0  # seconds; an earlier job of the cell may still be ending


@dataclass(frozen=True)
class RunSpec:
    """What a node needs to run one cell; it is stored on disk, so it must contain no secrets.

    Attributes:
        cell: the cell as JSON.
        file: path of a file with the same JSON, for the command line of the run.
        store: folder of the store.
        time_limit: seconds that the run may take; None: no limit.
        checkpoint_every: seconds between two checkpoints; None: only when preempted.
        environment: environment variables that the run needs and the cluster may not forward.
    """

    cell: str
    file: str
    store: str
    time_limit: float | None = None
    checkpoint_every: float | None = None
    environment: dict[str, str] = field(default_factory=dict)


def write_specs(store: Store, cells: Iterable[Cell], settings: Settings) -> list[RunSpec]:
    """Write each cell into a file of the store, `cells/<key>.json`, and return the specs.

    Jobs do not read the plan file, because it may be replaced while they are queued.

    Raises:
        UsageError: a setting contains a secret.
        StoreError: the store cannot be written.
    """
    environment = {name: os.environ[name] for name in FORWARDED_VARIABLES if name in os.environ}
    return [
        RunSpec(
            *_write_cell(store, cell),
            store=str(store.path.absolute()),
            time_limit=settings.time_limit,
            checkpoint_every=settings.checkpoint_every,
            environment=environment,
        )
        for cell in cells
    ]


def _write_cell(store: Store, cell: Cell) -> tuple[str, str]:
    """Write a cell into its file; return its JSON and the path."""
    file = store.path.absolute() / "cells" / f"{cell.key}.json"
    content = json.loads(cell.to_json())
    if redact(content) != content:
        raise UsageError(
            f"{cell.label}: a setting contains a secret (a URL with a password, or the value of an"
            " environment variable with a name such as MY_TOKEN). On a cluster settings are written"
            " into the store: let the plugin read the secret from the environment"
        )
    text = json.dumps(content, indent=1)
    with translate_os_errors(store.path):
        replace_text(file, text)
    return text, str(file)


class RunProcess:
    """Runs `python -m quintain.run CELL --store STORE` in a process group of its own.

    A signal handler may call `terminate` in the middle of `wait`, so both poll the exit code
    without reaping the process, and there are no locks.
    """

    def __init__(self, spec: RunSpec) -> None:
        self.cell, self.spec = Cell.from_json(spec.cell), spec
        self.log = Path(spec.store) / "logs" / f"{self.cell.key}.log"
        self.timed_out = False
        self.preempted = threading.Event()
        self._process: subprocess.Popen[bytes] | None = None
        self._exit_code: int | None = None

    def start(self) -> None:
        """Start the process; its output is appended to the log of the cell."""
        spec, every = self.spec, self.spec.checkpoint_every
        command = [
            # The first module ends the run when this process dies (Linux only).
            # -P: no file of the current folder is imported instead of a module of its name.
            *(sys.executable, "-P", "-m", "quintain.run.distributed.pdeathsig"),
            *(sys.executable, "-P", "-m", "quintain.run", spec.file, "--store", spec.store),
            *("--checkpoint-every", str(math.inf if every is None else every)),
        ]
        self.log.parent.mkdir(parents=True, exist_ok=True)
        self._exit_code = None
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                command,
                env=_make_environment(spec),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def wait(self) -> int:
        """Wait for the end of the run; return its exit code, or minus the number of its signal."""
        assert self._process is not None
        clock, limit = AwakeClock(), self.spec.time_limit or math.inf
        while (code := self._poll()) is None:
            if clock.read() > limit:
                self.timed_out = True
                self.kill()
            time.sleep(POLL)
        self.kill()  # descendants that are still alive
        self._process.wait()
        return code

    def terminate(self, number: int = signal.SIGTERM) -> int:
        """Set `preempted`, and signal the run to save its state; kill it after `SAVE_TIMEOUT`.

        Return its exit code, or `ExitCode.PREEMPTED` if it was not started.
        """
        self.preempted.set()
        if self._process is None:
            return ExitCode.PREEMPTED
        with contextlib.suppress(ProcessLookupError):
            os.kill(self._process.pid, number)
        deadline = time.monotonic() + SAVE_TIMEOUT
        while (code := self._poll()) is None:
            if time.monotonic() > deadline:
                self.kill()
            time.sleep(POLL)
        return code

    def kill(self) -> None:
        """End the run and its descendants at once."""
        assert self._process is not None
        kill_process_tree(self._process.pid)

    def _poll(self) -> int | None:
        assert self._process is not None
        if self._exit_code is None:
            poll = _peek_exit_code if hasattr(os, "waitid") else _reap_exit_code
            self._exit_code = poll(self._process.pid)
        return self._exit_code


def _make_environment(spec: RunSpec) -> dict[str, str]:
    """Return our environment with the variables of the spec.

    With SLURM_NTASKS Lightning would expect Slurm to start its ranks and handle our signals.
    """
    own = {k: v for k, v in os.environ.items() if k not in ("SLURM_NTASKS", "SLURM_NPROCS")}
    return make_run_environment(own) | spec.environment | {PARENT_VARIABLE: str(os.getpid())}


def _peek_exit_code(pid: int) -> int | None:
    """Return the exit code of a child without reaping it (see waitid(2)), None while it runs."""
    result = os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT | os.WNOHANG)
    if result is None:
        return None
    return result.si_status if result.si_code == os.CLD_EXITED else -result.si_status


def _reap_exit_code(pid: int) -> int | None:
    """Return the exit code of a child by reaping it, for macOS before Python 3.13.

    If a signal handler polls after the child was reaped and before its code is stored, it gets
    `PREEMPTED`: the run then starts again, and ends at once if its record is in the store.
    """
    try:
        reaped, status = os.waitpid(pid, os.WNOHANG)
    except ChildProcessError:
        return ExitCode.PREEMPTED
    return os.waitstatus_to_exitcode(status) if reaped else None


def execute(run: RunProcess) -> str:
    """Start a run, wait until its record is written, and return a message about how it ended."""
    store, key = Store(run.spec.store), run.cell.key
    deadline = time.monotonic() + CLAIM_TIMEOUT
    while (claim := store.claim(key)) is None and time.monotonic() < deadline:
        time.sleep(0.5)
    if claim is None:
        return f"another process is running the cell, waited {CLAIM_TIMEOUT:g} s for it"
    with claim:
        record_before, started = store.read(key), utc_now()
        if record_before is not None and record_before.status == "ok":
            return "the record is in the store"
        if not os.environ.get("SLURM_RESTART_COUNT", "").strip("0"):
            run.log.unlink(missing_ok=True)
        code = _run_until_end(run)
        redact_log(run.log)
        if read_outcome(store, key, record_before) is not None:
            return "the record is in the store"
        if code in STOPPED_CODES and run.preempted.is_set():
            return "preempted; the state is saved, and the same command resumes the run"
        kind, log_tail = "killed", read_log_tail(run.log)
        message = describe_exit(code, next(iter(reversed(log_tail.strip().splitlines())), ""))
        if run.timed_out:
            kind, limit = "timeout", f"{run.spec.time_limit:g} s (launch.time_limit)"
            message = f"the run took longer than its limit of {limit}"
        ending, message = write_failed_record(store, run.cell, kind, message, started, log_tail)
        if ending == "unwritten":
            raise StoreError(message)
        return message


def _run_until_end(run: RunProcess) -> int:
    """Start the run, again if only the run was preempted and not the job; return its exit code."""
    try:
        while True:
            run.start()
            code = run.wait()
            is_preempted = code in PREEMPTED_CODES and run.preempted.wait(SIGNAL_DELAY)
            if is_preempted or code != ExitCode.PREEMPTED:
                return code
    except KeyboardInterrupt:  # Ray cancels a task by it
        return run.terminate()


def read_outcome(store: Store, key: str, record_before: Record | None) -> tuple[Ending, str] | None:
    """Return ending and message of a cell, None if its record is still `record_before`."""
    record = store.read(key)
    if record is None or record == record_before:
        return None
    return record.status, record.error.message if record.error else record.reason or ""


def write_failed_record(
    store: Store, cell: Cell, kind: str, message: str, started: str, log_tail: str
) -> tuple[Ending, str]:
    """Record a run that ended without a record; return the ending and message of the cell."""
    error = {"kind": kind, "type": "Process", "message": message, "log_tail": log_tail}
    try:
        store.write(build_failed_record(cell, error, started))
    except StoreError as store_error:
        return "unwritten", f"{message}; {store_error}"
    return "failed", message
