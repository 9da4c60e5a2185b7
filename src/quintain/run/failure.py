"""Tells failures apart: a record says whether it was the numbers, the memory, the data or a bug."""

from __future__ import annotations

import traceback
from typing import Any

DATA_ERRORS = ("DataError",)
NO_MEMORY = (  # torch's CPU allocator, C++ beneath it, oneDNN, MPS; each a plain RuntimeError
    "can't allocate memory",
    "std::bad_alloc",
    "could not create a memory object",
    "MPS backend out of memory",
)
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
    if out_of_memory(error):
        return "oom"
    if isinstance(error, KeyboardInterrupt) or _lightning_left(error):
        return "interrupted"
    return "data" if names & set(DATA_ERRORS) else "exception"


def _lightning_left(error: BaseException) -> bool:
    """Lightning answers Ctrl-C with `sys.exit`."""
    return isinstance(error, SystemExit) and isinstance(error.__context__, KeyboardInterrupt)


def out_of_memory(error: BaseException) -> bool:
    """Python's and numpy's own error, that of devices, or the words of torch's on the CPU."""
    names = {cls.__name__ for cls in type(error).__mro__}
    if isinstance(error, MemoryError) or "OutOfMemoryError" in names:
        return True
    return isinstance(error, RuntimeError) and any(words in str(error) for words in NO_MEMORY)
