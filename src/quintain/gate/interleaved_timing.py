"""Two versions of the code that train alternately, in bursts, each in processes of its own.

A burst is a few consecutive optimizer steps; in a round each process trains one burst. A process
runs `python -m quintain.launch.burst` of its version and exchanges one JSON object per line with
this process; that module describes the messages.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import math
import os
import select
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from quintain.errors import UsageError
from quintain.gate.code_versions import Version

BURST_SECONDS = 0.05
"""Training time of a burst, which has at least one chunk: the steps of one Lightning step.

It is short so that other processes on the machine slow all versions alike.
"""
WARM_UP_ROUNDS = 4  # first rounds, which are dropped: caches and allocators fill
ANSWER_TIMEOUT = 600.0  # seconds


class Round(NamedTuple):
    """Seconds per step in one round: two processes of the baseline, one of the candidate."""

    baseline: float
    baseline_again: float
    candidate: float


class TimingProcess:
    """A process that trains with one version of the code, in bursts, until `close`."""

    def __init__(self, version: Version) -> None:
        self._version = version
        # A file, because a pipe that nobody reads would fill up and block the process.
        self._stderr = tempfile.TemporaryFile()  # noqa: SIM115
        self._process = subprocess.Popen(
            [version.python, "-m", "quintain.launch.burst"],
            cwd=version.folder, env=os.environ | version.environment, bufsize=0,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._stderr,
        )  # fmt: skip

    def close(self) -> None:
        """Kill the process."""
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                with contextlib.suppress(OSError):
                    pipe.close()
        self._process.kill()
        self._process.wait()
        self._stderr.close()

    def send(self, message: dict[str, Any]) -> None:
        """Send a message; `receive` returns the answer, or explains why there is none."""
        assert self._process.stdin is not None
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.write(json.dumps(message).encode() + b"\n")

    def receive(self) -> dict[str, Any]:
        """Wait for the next answer.

        Raises:
            UsageError: the process reports an error, has ended, or does not answer.
        """
        stdout = self._process.stdout
        assert stdout is not None
        if not select.select([stdout], [], [], ANSWER_TIMEOUT)[0]:
            raise UsageError(f"{self._version.name}: no answer for {ANSWER_TIMEOUT:.0f} s")
        line = stdout.readline()
        if not line:
            raise UsageError(f"{self._version.name} cannot train in bursts: {self._last_line()}")
        answer: dict[str, Any] = json.loads(line)
        if "error" in answer:
            raise UsageError(f"{self._version.name}: {answer['error']}")
        return answer

    def _last_line(self) -> str:
        self._stderr.seek(0)
        lines = self._stderr.read().decode(errors="replace").strip().splitlines()
        return lines[-1] if lines else f"it ended with exit code {self._process.wait()}"

    def time_burst(self, steps: int) -> float:
        """Train at least `steps` steps (whole chunks), and return the seconds per step."""
        self.send({"burst": steps})
        answer = self.receive()
        return float(answer["seconds"]) / int(answer["steps"])


class InterleavedTimer:
    """Two processes of the baseline and one of the candidate, which train alternately.

    The second baseline process shows how much equal versions differ on this machine.
    """

    def __init__(self, baseline: Version, candidate: Version) -> None:
        self._processes = [TimingProcess(version) for version in (baseline, baseline, candidate)]

    def __enter__(self) -> InterleavedTimer:
        for process in self._processes:
            process.receive()  # sent when all imports are done
        return self

    def __exit__(self, *_: object) -> None:
        for process in self._processes:
            process.close()

    @contextlib.contextmanager
    def time_cell(self, overrides: Sequence[str]) -> Iterator[tuple[str, Iterator[Round]]]:
        """Yield the label of a cell, and an endless iterator that measures one round per `next`.

        Raises:
            UsageError: a version cannot run the cell.
        """
        for process in self._processes:
            process.send({"cell": list(overrides)})
        labels = [str(process.receive()["ready"]) for process in self._processes]
        yield labels[-1], self._rounds()
        for process in self._processes:  # not after an error, when `__exit__` kills them
            process.send({"end": True})
        for process in self._processes:
            process.receive()

    def _rounds(self) -> Iterator[Round]:
        """Measure rounds; each round begins with another process than the one before."""
        steps = max(1, math.ceil(BURST_SECONDS / self._processes[0].time_burst(20)))
        for number in itertools.count():
            seconds = [0.0, 0.0, 0.0]
            for position in range(3):
                index = (number + position) % 3
                seconds[index] = self._processes[index].time_burst(steps)
            if number >= WARM_UP_ROUNDS:
                yield Round(*seconds)
