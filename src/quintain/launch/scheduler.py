"""What Slurm knows, asked with squeue, sinfo and scontrol: works where there is no accounting.

(submitit asks sacct, which needs Slurm's accounting database; where there is none, it would wait
for a killed job for ever.)
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from quintain.compose.errors import UsageError, nearest

TOOLS = ("sbatch", "srun", "squeue", "scancel", "sinfo")
TIMEOUT = 60.0  # seconds that the controller may take to answer
OVER = {
    "COMPLETED": "ended",
    "FAILED": "failed",
    "CANCELLED": "was cancelled",
    "TIMEOUT": "reached its time limit (launch.slurm.time)",
    "NODE_FAIL": "lost its node",
    "PREEMPTED": "was pre-empted and not queued again",
    "OUT_OF_MEMORY": "ran out of memory (launch.slurm.memory)",
    "BOOT_FAIL": "lost its node, which did not start",
    "DEADLINE": "reached its deadline",
    "REVOKED": "was revoked",
    "SPECIAL_EXIT": "was put on hold by its exit code",
}
"""States from which a job does not come back, and what a person is told."""
NEVER = {
    "PartitionTimeLimit": "asks for more time than the partition gives (launch.slurm.time)",
    "PartitionNodeLimit": "asks for more than the partition gives",
    "BadConstraints": "asks for what no node has",
    "InvalidAccount": "names an account that does not exist (launch.slurm.account)",
    "InvalidQOS": "names a qos that does not exist (launch.slurm.qos)",
    "DependencyNeverSatisfied": "waits for what will not happen",
    "launch_failed_requeued_held": "could not be started on its node and is held",
    "launch failed requeued held": "could not be started on its node and is held",
}
"""Reasons for which a job waits and will not start by itself."""


@dataclass(frozen=True)
class State:
    """Of one job, as squeue has it: PENDING, RUNNING …, and why."""

    name: str
    reason: str = ""

    @property
    def over(self) -> bool:
        return self.name in OVER

    @property
    def waits(self) -> bool:
        return self.name in ("PENDING", "CONFIGURING", "REQUEUED")

    @property
    def hopeless(self) -> bool:
        """It waits for what it will not get."""
        return self.name == "PENDING" and self.reason.strip("()") in NEVER

    def words(self) -> str:
        """What a person is told of a job that has ended, or never starts."""
        if self.hopeless:
            return NEVER[self.reason.strip("()")]
        told = OVER.get(self.name, f"is {self.name}")
        why = self.reason.strip("()")
        return told + (f" ({why})" if why not in ("", "None", "NonZeroExitCode") else "")


def check(partition: str | None) -> None:
    """Raises UsageError: no Slurm here, no answer from it, or no such partition."""
    if missing := [tool for tool in TOOLS if shutil.which(tool) is None]:
        raise UsageError(
            f"launch.executor=slurm needs {', '.join(missing)} on PATH: start it on a machine that"
            " submits to the cluster (a login node), or use launch.executor=local"
        )
    code, out, err = _ask("sinfo", "--noheader", "--format=%R")
    if code:
        raise UsageError(f"Slurm does not answer: {_said(err) or f'sinfo gave {code}'}")
    known = set(out.split())
    for name in (partition or "").split(","):
        if name and name not in known:
            raise UsageError(f"launch.slurm.partition: there is no {name}{nearest(name, known)}")


def states(jobs: Iterable[str]) -> dict[str, State] | None:
    """State of each job that Slurm still knows (`MinJobAge` seconds after its end, 300 mostly).

    None: it does not answer now. A member of an array is `12_3`.
    """
    numbers = sorted({job.partition("_")[0] for job in jobs})
    if not numbers:
        return {}
    code, out, err = _ask(
        *("squeue", "--noheader", "--array", "--states=all"),
        *("--format=%i|%T|%r", f"--jobs={','.join(numbers)}"),
    )
    if code:
        return {} if "Invalid job id" in err else None
    rows = [line.split("|", 2) for line in out.splitlines() if line.count("|") >= 2]
    return {job.strip(): State(name.strip(), why.strip()) for job, name, why in rows}


def cancel(jobs: Iterable[str]) -> None:
    """Cancel jobs; one that has ended already does not matter."""
    if found := list(jobs):
        _ask("scancel", "--quiet", *found)


def longest_array() -> int:
    """Largest number of jobs in one array (`MaxArraySize`, 1001 if Slurm does not say)."""
    _, out, _ = _ask("scontrol", "show", "config")
    rows = (line.split("=") for line in out.splitlines() if line.startswith("MaxArraySize"))
    return next((int(row[1]) for row in rows), 1001)


def refusal(error: Exception) -> str:
    """sbatch's own words in what submitit raises."""
    return _said(str(error)) or str(error).strip().rpartition("\n")[2]


def _said(text: str) -> str:
    """The messages of Slurm's commands, without their names."""
    lines = [line.partition("error: ")[2] for line in text.splitlines() if "error: " in line]
    return "; ".join(dict.fromkeys(line.strip() for line in lines))


def _ask(*command: str) -> tuple[int, str, str]:
    environment: Mapping[str, str] = os.environ | {"SLURM_TIME_FORMAT": "standard", "LC_ALL": "C"}
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=TIMEOUT, env=environment
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return 1, "", f"{command[0]}: error: {error}"
    return done.returncode, done.stdout, done.stderr
