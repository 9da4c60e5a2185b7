"""Counts the compilations of `torch.compile` as setup, not as training or validation."""

from __future__ import annotations

import time
from contextlib import AbstractContextManager

from torch._dynamo.callback import callback_handler

from quintain.run.clocks import Phase, PhaseClocks


class CompileTimer(AbstractContextManager["CompileTimer"]):
    """Switches the clocks to "setup" while torch compiles, until the `with` block ends.

    Attributes:
        seconds: seconds of all compilations so far.
        cpu_seconds: seconds of CPU time that this process took for them.
    """

    def __init__(self, clocks: PhaseClocks) -> None:
        self._clocks = clocks
        self._phase: Phase = "setup"
        self._start = self._cpu_start = 0.0
        self.seconds = self.cpu_seconds = 0.0

    def __enter__(self) -> CompileTimer:
        callback_handler.register_start_callback(self._begin)
        callback_handler.register_end_callback(self._end)
        return self

    def __exit__(self, *_: object) -> None:
        callback_handler.remove_start_callback(self._begin)
        callback_handler.remove_end_callback(self._end)

    def _begin(self, _: object) -> None:
        self._start, self._cpu_start = time.perf_counter(), time.process_time()
        self._phase = self._clocks.switch("setup")

    def _end(self, _: object) -> None:
        self._clocks.switch(self._phase)
        self.seconds += time.perf_counter() - self._start
        self.cpu_seconds += time.process_time() - self._cpu_start
