"""`python -m quintain.launch.burst`: trains in bursts, when told to over a pipe.

For timing two versions of the code side by side: each version runs this module of its own, stays
alive and warm, and takes one JSON object a line from standard input:

    {"cell": [words]}   compose the cell of these words and train until its first steps are done;
                        answers {"ready": label, "step": steps done}
    {"burst": n}        train n steps more, or a few more, since Lightning takes them in chunks;
                        answers {"seconds": wall time, "steps": done in it}
    {"end": true}       leave the cell; answers {"ended": true}

What goes wrong is answered by {"error": sentence}. Each cell runs in a fork, so that it starts
from the same state; the training is `run.execute` as in any run, data and Lightning included.
"""

from __future__ import annotations

import json
import os
import time
from typing import Any

ENDLESS = ("budget.steps=1000000", "budget.validations=1", "budget.seconds=null")
"""The training ends when the pipe says so."""


def main() -> None:
    """Answers until the pipe closes."""
    for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ.setdefault(name, "1")  # as in a sweep; before torch is imported
    line = Line()
    import quintain.launch.preload  # noqa: F401

    line.answer({"warm": os.getpid()})
    while asked := line.ask():
        child = os.fork()
        if child == 0:
            _serve(line, list(asked["cell"]))
        os.waitpid(child, 0)
        line.answer({"ended": True})


class Line:
    """The pipe: our own copy of standard output, so that nothing else is written into it."""

    def __init__(self) -> None:
        self._out = os.dup(1)
        os.dup2(2, 1)

    def ask(self) -> dict[str, Any]:
        """The next order, byte by byte, because a fork reads on; {} when the pipe is closed."""
        text = b""
        while not text.endswith(b"\n"):
            byte = os.read(0, 1)
            if not byte:
                return {}
            text += byte
        found: dict[str, Any] = json.loads(text)
        return found

    def answer(self, what: dict[str, Any]) -> None:
        """One line back; a parent that has left ends us too."""
        try:
            os.write(self._out, json.dumps(what).encode() + b"\n")
        except BrokenPipeError:
            os._exit(0)


def _serve(line: Line, words: list[str]) -> None:
    """The fork's life; never returns."""
    try:
        _train(line, words)
        line.answer({"error": "the training ended by itself"})
    except BaseException as error:
        line.answer({"error": f"{type(error).__name__}: {error}"})
    while asked := line.ask():
        if "end" in asked:
            break
        line.answer({"error": "the cell has failed"})
    os._exit(0)


def _train(line: Line, words: list[str]) -> None:
    from quintain.compose.config import composer
    from quintain.compose.expand import expand
    from quintain.compose.jobs import cells_of
    from quintain.compose.providers import import_local, use_folder
    from quintain.run.execute import execute

    for word in words:
        key, _, value = word.partition("=")
        if key == "plugins_dir" and value not in ("", "null"):
            use_folder(value)
    import_local()
    with composer():
        (cell,) = cells_of(expand([*words, *ENDLESS]), False)
    execute(cell, Bursts(line, cell.label))


class Bursts:
    """Told the number of steps after each chunk; holds the training between two bursts."""

    def __init__(self, line: Line, label: str) -> None:
        self._line, self._label = line, label
        self._began, self._first, self._wanted = 0.0, 0, 0

    def __call__(self, step: int, steps: int) -> None:
        now = time.perf_counter()
        if not self._wanted:
            self._wait(step, {"ready": self._label, "step": step})
        elif step - self._first >= self._wanted:
            self._wait(step, {"seconds": now - self._began, "steps": step - self._first})

    def _wait(self, step: int, answer: dict[str, Any]) -> None:
        self._line.answer(answer)
        asked = self._line.ask()
        if "burst" not in asked:
            os._exit(0)
        self._first, self._wanted = step, int(asked["burst"])
        self._began = time.perf_counter()


if __name__ == "__main__":
    main()
