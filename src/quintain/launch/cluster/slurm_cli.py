"""Query Slurm with squeue, sinfo and scontrol, which work without Slurm's accounting database.

submitit uses sacct; on a cluster without accounting it would wait for a killed job for ever.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterable
from dataclasses import dataclass

from quintain.errors import UsageError, nearest

TOOLS = ("sbatch", "srun", "squeue", "scancel", "sinfo")
TIMEOUT = 60.0  # seconds that the controller may take to answer
DEFAULT_MAX_ARRAY_SIZE = 1001  # Slurm's default of MaxArraySize
FINAL_STATES = {
    "COMPLETED": "ended",
    "FAILED": "failed",
    "CANCELLED": "was cancelled",
    "TIMEOUT": "reached its time limit (launch.slurm.time)",
    "NODE_FAIL": "lost its node",
    "PREEMPTED": "was preempted and not queued again",
    "OUT_OF_MEMORY": "ran out of memory (launch.slurm.memory)",
    "BOOT_FAIL": "lost its node, which did not start",
    "DEADLINE": "reached its deadline",
    "REVOKED": "was revoked",
    "SPECIAL_EXIT": "was held because of its exit code (SPECIAL_EXIT)",
}
"""Final states of a job, and their description in messages."""
FATAL_REASONS = {
    "PartitionTimeLimit": "asks for more time than the partition gives (launch.slurm.time)",
    "PartitionNodeLimit": "asks for more than the partition gives",
    "BadConstraints": "asks for features that no node has",
    "InvalidAccount": "names an account that does not exist (launch.slurm.account)",
    "InvalidQOS": "names a qos that does not exist (launch.slurm.qos)",
    "DependencyNeverSatisfied": "depends on a job that did not end as required",
    "launch_failed_requeued_held": "could not be started on its node and is held",
    "launch failed requeued held": "could not be started on its node and is held",
}
"""Reasons why a pending job never starts by itself, and their description in messages."""


@dataclass(frozen=True)
class JobState:
    """State of a Slurm job, such as PENDING or RUNNING, and its reason, as squeue prints them."""

    name: str
    reason: str = ""

    @property
    def is_final(self) -> bool:
        return self.name in FINAL_STATES

    @property
    def is_waiting(self) -> bool:
        return self.name in ("PENDING", "CONFIGURING", "REQUEUED")

    @property
    def never_starts(self) -> bool:
        return self.name == "PENDING" and self.reason.strip("()") in FATAL_REASONS

    def describe(self) -> str:
        """Return the predicate of a sentence about a job that has ended or never starts."""
        reason = self.reason.strip("()")
        if self.never_starts:
            return FATAL_REASONS[reason]
        text = FINAL_STATES.get(self.name, f"is {self.name}")
        return text + (f" ({reason})" if reason not in ("", "None", "NonZeroExitCode") else "")


def check_available(partition: str | None) -> None:
    """Check that Slurm's commands work here and that the partition exists.

    Raises:
        UsageError: Slurm is not installed or does not answer, or there is no such partition.
    """
    if missing := [tool for tool in TOOLS if shutil.which(tool) is None]:
        raise UsageError(
            f"launch.executor=slurm needs {', '.join(missing)} on PATH: start it on a machine that"
            " submits to the cluster (a login node), or use launch.executor=local"
        )
    code, output, errors = _run("sinfo", "--noheader", "--format=%R")
    if code:
        raise UsageError(
            f"Slurm does not answer: {_error_messages(errors) or f'sinfo ended with {code}'}"
        )
    partitions = set(output.split())
    for name in (partition or "").split(","):
        if name and name not in partitions:
            raise UsageError(
                f"launch.slurm.partition: there is no {name}{nearest(name, partitions)}"
            )


def query_states(jobs: Iterable[str]) -> dict[str, JobState] | None:
    """Return job number → state of the jobs that Slurm still knows, None if it does not answer.

    A member of an array has a number such as `12_3`. Slurm forgets a job `MinJobAge` seconds after
    its end, by default 300.
    """
    numbers = sorted({job.partition("_")[0] for job in jobs})
    if not numbers:
        return {}
    code, output, errors = _run(
        *("squeue", "--noheader", "--array", "--states=all"),
        *("--format=%i|%T|%r", f"--jobs={','.join(numbers)}"),
    )
    if code:
        return {} if "Invalid job id" in errors else None
    rows = [line.split("|", 2) for line in output.splitlines() if line.count("|") >= 2]
    return {job.strip(): JobState(name.strip(), reason.strip()) for job, name, reason in rows}


def cancel_jobs(jobs: Iterable[str]) -> None:
    """Cancel jobs; those that have ended are ignored."""
    if numbers := list(jobs):
        _run("scancel", "--quiet", *numbers)


def max_array_size() -> int:
    """Return the largest number of jobs in one array (`MaxArraySize`)."""
    _, output, _ = _run("scontrol", "show", "config")
    rows = (line.split("=") for line in output.splitlines() if line.startswith("MaxArraySize"))
    return next((int(row[1]) for row in rows), DEFAULT_MAX_ARRAY_SIZE)


def sbatch_error(error: Exception) -> str:
    """Return what sbatch printed, from an exception that submitit raised."""
    return _error_messages(str(error)) or str(error).strip().rpartition("\n")[2]


def _error_messages(text: str) -> str:
    """Return the messages after `COMMAND: error: ` in the output of Slurm's commands."""
    lines = [line.partition("error: ")[2] for line in text.splitlines() if "error: " in line]
    return "; ".join(dict.fromkeys(line.strip() for line in lines))


def _run(*command: str) -> tuple[int, str, str]:
    """Run a command; return exit code, standard output and standard error."""
    environment = os.environ | {"SLURM_TIME_FORMAT": "standard", "LC_ALL": "C"}
    try:
        process = subprocess.run(
            command, capture_output=True, text=True, timeout=TIMEOUT, env=environment
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return 1, "", f"{command[0]}: error: {error}"
    return process.returncode, process.stdout, process.stderr
