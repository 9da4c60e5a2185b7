"""Tells failures apart: a record says whether it was the numbers, the memory, the data or a bug."""

from __future__ import annotations

import traceback
from typing import Any

DATA_ERRORS = ("DataError",)
MESSAGE, TRACEBACK = 4_000, 20_000  # characters kept: an error may quote a whole array


def failure(error: BaseException, log_tail: str = "") -> dict[str, Any]:
    """The `error` part of a record."""
    return {
        "kind": kind_of(error),
        "type": type(error).__name__,
        "message": (str(error) or repr(error))[:MESSAGE],
        "traceback": "".join(traceback.format_exception(error))[-TRACEBACK:],
        "log_tail": log_tail,
    }


def kind_of(error: BaseException) -> str:
    """nan, oom, interrupted, data or exception."""
    from quintain.run.task import NonFiniteLoss

    if (
        isinstance(kind := getattr(error, "kind", None), str)
        and type(error).__name__ == "RankFailed"
    ):
        return kind
    names = {cls.__name__ for cls in type(error).__mro__}
    if isinstance(error, NonFiniteLoss):
        return "nan"
    if isinstance(error, MemoryError) or "OutOfMemoryError" in names or _allocator(error):
        return "oom"
    if isinstance(error, KeyboardInterrupt) or _lightning_left(error):
        return "interrupted"
    return "data" if names & set(DATA_ERRORS) else "exception"


def _lightning_left(error: BaseException) -> bool:
    """Lightning answers Ctrl-C with `sys.exit`."""
    return isinstance(error, SystemExit) and isinstance(error.__context__, KeyboardInterrupt)


def _allocator(error: BaseException) -> bool:
    """torch's CPU allocator raises a plain RuntimeError."""
    return isinstance(error, RuntimeError) and "can't allocate memory" in str(error)
