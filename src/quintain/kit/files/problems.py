"""Everything that is wrong with somebody's files, in one message."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import ParamSpec, TypeVar

from quintain.kit.files.download import DataError

SHOWN = 10  # problems that a message lists; of the others it says how many there are

P = ParamSpec("P")
T = TypeVar("T")


class Problems:
    """Collects problems, and raises them together.

    Usage: `rows = problems.ask(read_table, path)` for each thing that may go wrong, then
    `problems.check()`, behind which nothing that was asked for is None.
    """

    def __init__(self) -> None:
        self._found: dict[str, None] = {}

    def add(self, *texts: str) -> None:
        """Note problems, one sentence each; the same sentence counts once."""
        self._found.update(dict.fromkeys(texts))

    def ask(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T | None:
        """What the function gives; None where it raised a DataError, whose lines are noted."""
        try:
            return function(*args, **kwargs)
        except DataError as error:
            self.add(*str(error).splitlines())
            return None

    def check(self) -> None:
        """Raise a DataError that lists the first problems, one a line, if there are any."""
        if self._found:
            raise DataError("\n".join(some(self._found, "\n")))


def some(texts: Iterable[object], joint: str = ", ", shown: int = SHOWN) -> list[str]:
    """The first few as strings, and how many more there are.

    Args:
        joint: what the caller will put between them; a line of its own begins with "…".
    """
    known = [str(text) for text in texts]
    if len(known) <= shown + 1:
        return known
    more = f"… and {len(known) - shown:,} more" if joint == "\n" else f"{len(known) - shown:,} more"
    return [*known[:shown], more]


def nearest(word: str, known: Iterable[str]) -> str:
    """`; did you mean X? There is: …`, the end of a sentence about a name that is not there."""
    names = list(known)
    close = difflib.get_close_matches(word, names, n=1, cutoff=0.6)
    meant = f"; did you mean {close[0]!r}?" if close else "."
    return f"{meant} There is: {', '.join(some(map(short, names)))}"


def short(value: object) -> str:
    """Its `repr`, cut where it is long."""
    text = repr(value)
    return text if len(text) <= 40 else f"{text[:37]}…{text[-1]}"


def reason(error: BaseException, path: Path) -> str:
    """Why a file cannot be read, as its decoder says it, on one line and without the file's name.

    With the kind of the error where the text is a bare key, and the kind alone where there is none.
    """
    kind = type(error).__name__
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    first = (str(error).splitlines() or [""])[0]
    for name in (repr(str(path)), str(path)):
        before, named, after = first.partition(name)
        first = (after.strip(" :") or before.strip(" :")) if named else first
    return f"{kind}: {first}" if first and isinstance(error, LookupError) else first or kind


def readable(path: str | Path) -> Path:
    """The path of a file that is there, `~` expanded.

    Raises:
        DataError: nothing is there (the nearest name beside it is suggested), or no file.
    """
    file = Path(path).expanduser()
    if file.is_file():
        return file
    if file.is_dir():
        raise DataError(f"{file} is a folder; expected a file")
    if not file.parent.is_dir():
        raise DataError(f"{file}: there is no folder {file.parent}")
    beside = [other.name for other in sorted(file.parent.iterdir()) if other.is_file()]
    close = difflib.get_close_matches(file.name, beside, n=1, cutoff=0.6)
    raise DataError(
        f"there is no file {file}"
        + (f"; did you mean {file.with_name(close[0])}?" if close else "")
    )
