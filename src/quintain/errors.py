"""Error classes, exit codes, and suggestions for unknown names."""

from __future__ import annotations

import difflib
import enum
from collections.abc import Iterable


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
