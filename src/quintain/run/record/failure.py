"""Classifies the error of a failed run, for the field `error` of its record."""

from __future__ import annotations

import traceback
from typing import Any

import torch

from quintain.errors import (
    DataError,
    NonFiniteLoss,
    NonFiniteScore,
    RankFailed,
    describe_with_place,
)

OUT_OF_MEMORY_MESSAGES = (
    "can't allocate memory",  # torch's CPU allocator
    "std::bad_alloc",  # C++ code of torch
    "could not create a memory object",  # oneDNN
    "MPS backend out of memory",
)
"""Parts of messages of plain RuntimeErrors that mean that memory ran out."""
MAX_MESSAGE, MAX_TRACEBACK = 4_000, 20_000  # characters: an error may quote a whole array


def describe_failure(error: BaseException, log_tail: str = "") -> dict[str, Any]:
    """Return the field `error` of a record; `log_tail` is the end of the run's output."""
    kind = classify_failure(error)
    message = describe_with_place(error) if kind == "exception" else str(error)
    return {
        "kind": kind,
        "type": type(error).__name__,
        "message": (message or repr(error))[:MAX_MESSAGE],
        "traceback": "".join(traceback.format_exception(error))[-MAX_TRACEBACK:],
        "log_tail": log_tail,
    }


def classify_failure(error: BaseException) -> str:
    """Return nan, oom, interrupted, data or exception; for another rank also killed or timeout."""
    if isinstance(error, RankFailed):
        return error.kind
    if isinstance(error, NonFiniteLoss | NonFiniteScore):
        return "nan"
    if is_out_of_memory(error):
        return "oom"
    # Lightning turns Ctrl-C into `sys.exit`.
    cause = error.__context__ if isinstance(error, SystemExit) else error
    if isinstance(cause, KeyboardInterrupt):
        return "interrupted"
    return "data" if isinstance(error, DataError) else "exception"


def is_out_of_memory(error: BaseException) -> bool:
    """Return whether memory ran out, on the host or on a device."""
    if isinstance(error, MemoryError | torch.OutOfMemoryError):
        return True
    is_runtime_error = isinstance(error, RuntimeError)
    return is_runtime_error and any(text in str(error) for text in OUT_OF_MEMORY_MESSAGES)
