"""The signals that preempt a run: it saves its state and exits."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable
from typing import Any

SIGNALS = [getattr(signal, n) for n in ("SIGTERM", "SIGUSR2", "SIGHUP") if hasattr(signal, n)]
"""Windows has only SIGTERM."""


def set_signal_handlers(handler: Callable[[int, Any], None] | signal.Handlers) -> None:
    """Set the handler of all `SIGNALS`; do nothing outside the main thread, where Python cannot.

    A SIGHUP that is ignored, as under `nohup`, stays so.
    """
    if threading.current_thread() is not threading.main_thread():
        return
    for number in SIGNALS:
        is_hangup = number.name == "SIGHUP"
        if not (is_hangup and signal.getsignal(number) == signal.SIG_IGN):
            signal.signal(number, handler)
