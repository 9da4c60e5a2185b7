"""`python -m quintain.launch.burst`: train in bursts on request, to time this version of the code.

`quintain gate --baseline-code` starts this module in the checkout of another version, so its name
and its messages must not change. Each of the two versions runs in a process that stays alive and
reads one JSON object per line from standard input:

    {"cell": [overrides]}   compose the cell and train until its first steps are done;
                            answer: {"ready": label, "step": steps done}
    {"burst": n}            train at least n more steps (Lightning takes them in chunks);
                            answer: {"seconds": wall time, "steps": steps done in it}
    {"end": true}           end the cell; answer: {"ended": true}

At the start it sends {"warm": process id}; a failure is answered by {"error": message}. Each cell
runs in a fork, so that all start from the same state, and trains as in any run, including data
loading and Lightning.
"""

from __future__ import annotations

import json
import os
import time
from typing import Any

from quintain.run.environment import set_run_environment

ENDLESS = ("budget.steps=1000000", "budget.validations=1", "budget.seconds=null")
"""Overrides of a training that ends only on request."""


def main() -> None:
    """Answer requests until standard input is closed."""
    set_run_environment()  # as in a sweep; before torch is imported
    channel = Channel()
    import quintain.launch.fork_server_preload  # noqa: F401

    channel.send({"warm": os.getpid()})
    while request := channel.receive():
        child = os.fork()
        if child == 0:
            _serve_cell(channel, list(request["cell"]))
        os.waitpid(child, 0)
        channel.send({"ended": True})


class Channel:
    """Standard input, and a private copy of standard output that `print` does not reach."""

    def __init__(self) -> None:
        self._output = os.dup(1)
        os.dup2(2, 1)

    def receive(self) -> dict[str, Any]:
        """Return the next request, {} at the end of the input.

        Reads single bytes, because a buffer would take input that the next process must read.
        """
        line = b""
        while not line.endswith(b"\n"):
            byte = os.read(0, 1)
            if not byte:
                return {}
            line += byte
        request: dict[str, Any] = json.loads(line)
        return request

    def send(self, answer: dict[str, Any]) -> None:
        """Write an answer; end this process if the reader has closed the pipe."""
        try:
            os.write(self._output, json.dumps(answer).encode() + b"\n")
        except BrokenPipeError:
            os._exit(0)


def _serve_cell(channel: Channel, overrides: list[str]) -> None:
    """In the fork: train the cell until the request to end it, then exit."""
    try:
        _train(channel, overrides)
        channel.send({"error": "the training ended before the request to end it"})
    except BaseException as error:
        channel.send({"error": f"{type(error).__name__}: {error}"})
    while request := channel.receive():
        if "end" in request:
            break
        channel.send({"error": "the cell has failed"})
    os._exit(0)


def _train(channel: Channel, overrides: list[str]) -> None:
    from quintain.compose.config import hydra_session
    from quintain.compose.overrides import expand_overrides
    from quintain.compose.plugin_providers import add_plugin_folders, register_local_plugins
    from quintain.plan.cell_factory import make_cells
    from quintain.run.session import run_cell

    add_plugin_folders(overrides)
    register_local_plugins()
    with hydra_session():
        (cell,) = make_cells(expand_overrides([*overrides, *ENDLESS]), False)
    run_cell(cell, BurstController(channel, cell.label))


class BurstController:
    """A progress callback that blocks the training between two bursts."""

    def __init__(self, channel: Channel, label: str) -> None:
        self._channel, self._label = channel, label
        self._start_time, self._start_step, self._burst_steps = 0.0, 0, 0

    def __call__(self, step: int, steps: int) -> None:
        now = time.perf_counter()
        burst = step - self._start_step
        if not self._burst_steps:
            self._wait_for_burst(step, {"ready": self._label, "step": step})
        elif burst >= self._burst_steps:
            self._wait_for_burst(step, {"seconds": now - self._start_time, "steps": burst})

    def _wait_for_burst(self, step: int, answer: dict[str, Any]) -> None:
        self._channel.send(answer)
        request = self._channel.receive()
        if "burst" not in request:
            os._exit(0)
        self._start_step, self._burst_steps = step, int(request["burst"])
        self._start_time = time.perf_counter()


if __name__ == "__main__":
    main()
