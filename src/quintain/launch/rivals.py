"""Versions of the code that train side by side, in turns: A B A B, each in a process of its own."""

from __future__ import annotations

import contextlib
import json
import math
import os
import select
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from quintain.compose.errors import UsageError
from quintain.launch.versions import Version

BURST = 0.05  # seconds, and a chunk of steps at least: short beside a machine's moods
WARM_UP = 4  # rounds that are dropped: caches and allocators fill
PATIENCE = 600.0  # seconds without an answer, after which a version hangs


class Round(NamedTuple):
    """Seconds of a step: the baseline, the baseline once more, and the candidate."""

    baseline: float
    again: float
    candidate: float


class Rival:
    """One version, alive and warm; `with` ends it."""

    def __init__(self, version: Version) -> None:
        self._version = version
        # A pipe that nobody reads would fill up.
        self._said = tempfile.TemporaryFile()  # noqa: SIM115
        command = [version.python, "-m", "quintain.launch.burst"]
        environment = os.environ | version.environment
        self._process = subprocess.Popen(
            command, cwd=version.folder, env=environment, bufsize=0,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._said,
        )  # fmt: skip

    def __enter__(self) -> Rival:
        return self

    def __exit__(self, *_: object) -> None:
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                with contextlib.suppress(OSError):
                    pipe.close()
        self._process.kill()
        self._process.wait()
        self._said.close()

    def ask(self, order: dict[str, Any]) -> None:
        """Give an order; the answer is read by `hear`."""
        assert self._process.stdin is not None
        with contextlib.suppress(BrokenPipeError):  # `hear` says what happened
            self._process.stdin.write(json.dumps(order).encode() + b"\n")

    def hear(self) -> dict[str, Any]:
        """The next answer.

        Raises:
            UsageError: the version failed, died or hangs.
        """
        out = self._process.stdout
        assert out is not None
        if not select.select([out], [], [], PATIENCE)[0]:
            raise UsageError(f"{self._version.name}: no answer for {PATIENCE:.0f} s")
        line = out.readline()
        if not line:
            raise UsageError(f"{self._version.name} cannot train in bursts: {self._last_words()}")
        answer: dict[str, Any] = json.loads(line)
        if "error" in answer:
            raise UsageError(f"{self._version.name}: {answer['error']}")
        return answer

    def _last_words(self) -> str:
        self._said.seek(0)
        said = self._said.read().decode(errors="replace").strip().splitlines()
        return said[-1] if said else f"it ended with code {self._process.wait()}"

    def burst(self, steps: int) -> float:
        """Train so many steps or a few more; seconds of one."""
        self.ask({"burst": steps})
        answer = self.hear()
        return float(answer["seconds"]) / int(answer["steps"])


class Match:
    """The baseline twice and the candidate; `with` ends all three.

    The baseline runs twice so that each round also compares it with itself.
    """

    def __init__(self, baseline: Version, candidate: Version) -> None:
        self._ends = contextlib.ExitStack()
        self._rivals = [
            self._ends.enter_context(Rival(version)) for version in (baseline, baseline, candidate)
        ]

    def __enter__(self) -> Match:
        for rival in self._rivals:
            rival.hear()  # it is warm
        return self

    def __exit__(self, *_: object) -> None:
        self._ends.close()

    @contextlib.contextmanager
    def cell(self, words: Sequence[str]) -> Iterator[tuple[str, Iterator[Round]]]:
        """The cell's label, and as many rounds as are taken.

        Raises:
            UsageError: a version cannot run the cell.
        """
        for rival in self._rivals:
            rival.ask({"cell": list(words)})
        labels = [str(rival.hear()["ready"]) for rival in self._rivals]
        yield labels[-1], self._rounds()  # after an error they are ended as they are
        for rival in self._rivals:
            rival.ask({"end": True})
        for rival in self._rivals:
            rival.hear()

    def _rounds(self) -> Iterator[Round]:
        """Whose turn is first changes from round to round."""
        steps = max(1, math.ceil(BURST / self._rivals[0].burst(20)))
        turn = 0
        while True:
            seconds = [0.0, 0.0, 0.0]
            for place in range(3):
                who = (turn + place) % 3
                seconds[who] = self._rivals[who].burst(steps)
            turn += 1
            if turn > WARM_UP:
                yield Round(*seconds)
