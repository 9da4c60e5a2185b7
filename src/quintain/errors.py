"""Error classes, exit codes, and suggestions for unknown names."""

from __future__ import annotations

import difflib
import enum
import os
import sys
import traceback
from collections.abc import Iterable

LIBRARIES = {
    "quintain", "torch", "torchaudio", "torchmetrics", "pytorch_lightning", "lightning_fabric",
    "lightning_utilities", "numpy", "scipy", "sklearn", "pandas", "PIL",
}  # fmt: skip
"""Packages whose files are not where a user looks for the cause of an error."""


class ExitCode(enum.IntEnum):
    """Exit codes of the commands."""

    OK = 0
    FAILED = 1
    """A cell or a check failed."""
    USAGE = 2
    """The command line or its settings are wrong."""
    INCONCLUSIVE = 3
    """A gate or a bisection has too little data to decide."""
    RANK_LOST = 70
    """Another rank ended while this one waited for it, so this one was ended, too (EX_SOFTWARE)."""
    PREEMPTED = 75
    """A run saved a checkpoint and exited; it resumes when started again (EX_TEMPFAIL)."""
    INTERRUPTED = 130
    """Stopped by Ctrl-C or SIGTERM."""


class UsageError(ValueError):
    """The command line or its settings are wrong; the command ends with exit code 2."""

    def __init__(self, problems: str | Iterable[str]) -> None:
        self.problems = [problems] if isinstance(problems, str) else list(problems)
        super().__init__("\n".join(self.problems))


class DataError(ValueError):
    """A dataset or a user's file is missing or unusable.

    The message says what was expected, what was found and what to try.
    """


class NonFiniteLoss(ArithmeticError):
    """The training loss or the norm of its gradient is NaN or infinite."""


class NonFiniteScore(ArithmeticError):
    """Predictions on validation or test, or a score, are NaN or infinite."""


class RankFailed(RuntimeError):
    """Another rank of this run failed.

    Args:
        message: which rank, how it ended, and its last lines.
        kind: kind of the failure, as `run.record.failure.classify_failure` returns it.
    """

    def __init__(self, message: str, kind: str) -> None:
        super().__init__(message)
        self.kind = kind


class CheckpointMismatch(ValueError):
    """A checkpoint cannot be loaded into this run's model, optimizer or loader."""


class Interrupted(BaseException):
    """The run was preempted; its state, if there was any, is saved, and it can resume later.

    A signal handler may raise it anywhere, so it is not an `Exception`, which handlers of errors
    would catch.
    """


class StoreError(ValueError):
    """A store of records cannot be used; the message says why and what to try."""


class BundleError(StoreError):
    """A bundle cannot be read or written: damaged, too new or not allowed; see the message."""


class RemoteError(StoreError):
    """A request to a remote store failed.

    Args:
        message: one sentence with the URL and the reason.
        is_unreachable: True if the remote could not be reached, so that a later try may succeed;
            False if it refused the request.
    """

    def __init__(self, message: str, *, is_unreachable: bool) -> None:
        super().__init__(message)
        self.is_unreachable = is_unreachable


def describe_with_place(error: BaseException) -> str:
    """Return class and message of an error, and file, line and function of the plugin it is from.

    The place is the innermost call outside of libraries; it follows the first line of the message.
    Without such a call, the message alone is returned: that of Quintain is written for users.
    """
    place = None
    for frame, line in traceback.walk_tb(error.__traceback__):
        package = str(frame.f_globals.get("__name__", "")).partition(".")[0]
        file = frame.f_code.co_filename
        if package not in LIBRARIES | sys.stdlib_module_names and not file.startswith("<"):
            place = f"{_shorten_path(file)}:{line}, in {frame.f_code.co_name}"
    if place is None:
        return str(error)
    first, *rest = f"{type(error).__name__}: {error}".splitlines()
    return "\n".join([f"{first.removesuffix(': ')} ({place})", *rest])


def describe_error(error: BaseException) -> str:
    """Return class and message of an error, and the place in a plugin if there is one."""
    text = describe_with_place(error)
    return text if text != str(error) else f"{type(error).__name__}: {error}"


def _shorten_path(file: str) -> str:
    """Return a path relative to the current folder, if it is inside."""
    folder = os.getcwd() + os.sep
    return file.removeprefix(folder)


def guess(word: str, known: Iterable[str]) -> str | None:
    """Return the known word most similar to `word`, None if none is similar."""
    return next(iter(difflib.get_close_matches(word, sorted(known), n=1, cutoff=0.6)), None)


def printable(text: str) -> str:
    """Return the text with `?` for control characters, which could change a terminal."""
    return "".join(c if c.isprintable() or c in "\n\t" else "?" for c in text)


def nearest(name: str, known: Iterable[str], max_listed: int | None = None) -> str:
    """Return `; did you mean X? Known: …`, the end of a message about an unknown name.

    `max_listed` limits how many of the known names are listed; None: all.
    """
    names = sorted(known)
    if not names:
        return "; there is nothing to choose from"
    close = guess(name, names)
    suggestion = f"; did you mean {close}?" if close else "."
    listed = names[:max_listed]
    more = f", {len(names) - len(listed):,} more" if len(listed) < len(names) else ""
    return f"{suggestion} Known: {', '.join(listed)}{more}"
