"""Collect all problems of a user's files and report them in one message."""

from __future__ import annotations

import os
import unicodedata
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import ParamSpec, TypeVar

from quintain.errors import DataError, guess

MAX_LISTED = 10  # items in a message, which then states how many more there are

P = ParamSpec("P")
T = TypeVar("T")


class Problems:
    """Collect problems and raise them together.

    Call each function that may raise DataError as `rows = problems.catch(read_table, path)`, then
    `problems.raise_if_any()`, after which no result of `catch` is None.
    """

    def __init__(self) -> None:
        self._texts: dict[str, None] = {}

    def add(self, *texts: str) -> None:
        """Add problems, one line each; equal ones count once."""
        self._texts.update(dict.fromkeys(texts))

    def catch(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T | None:
        """Return the function's result; if it raises a DataError, add its lines, return None."""
        try:
            return function(*args, **kwargs)
        except DataError as error:
            self.add(*str(error).splitlines())
            return None

    def raise_if_any(self) -> None:
        """If there are problems, raise a DataError that lists the first ones, one on each line."""
        if self._texts:
            raise DataError("\n".join(abbreviate(self._texts, "\n")))


def abbreviate(
    items: Iterable[object], separator: str = ", ", shown: int = MAX_LISTED
) -> list[str]:
    """Return the first `shown` items as strings, and `35 more` for the others.

    A single further item is listed too. `separator` is what the caller joins the items with; after
    a newline, the count starts with "… and".
    """
    texts = [str(item) for item in items]
    if len(texts) <= shown + 1:
        return texts
    prefix = "… and " if separator == "\n" else ""
    return [*texts[:shown], f"{prefix}{len(texts) - shown:,} more"]


def short_repr(value: object) -> str:
    """Return the `repr` of a value, shortened to 40 characters."""
    text = repr(value)
    return text if len(text) <= 40 else f"{text[:37]}…{text[-1]}"


def printable_name(name: str | Path) -> str:
    """Return a file name on one line, in Unicode form NFC, with unprintable bytes as escapes."""
    text = unicodedata.normalize("NFC", os.fsencode(name).decode("utf-8", "backslashreplace"))
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def describe_read_error(error: BaseException, path: Path) -> str:
    """Return the first line of a decoder's error without the file's name.

    The class of the error is added if the message is only a key, or empty.
    """
    kind = type(error).__name__
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    text = (str(error).splitlines() or [""])[0]
    for name in (repr(str(path)), str(path)):
        before, match, after = text.partition(name)
        text = (after.strip(" :") or before.strip(" :")) if match else text
    return f"{kind}: {text}" if text and isinstance(error, LookupError) else text or kind


def require_file(path: str | Path) -> Path:
    """Return the path of an existing file, with `~` expanded.

    Raises:
        DataError: it is a folder, or does not exist; the nearest file name is suggested.
    """
    file = Path(path).expanduser()
    if file.is_file():
        return file
    if file.is_dir():
        raise DataError(f"{file} is a folder; expected a file")
    if not file.parent.is_dir():
        raise DataError(f"{file}: there is no folder {file.parent}")
    similar = guess(file.name, [path.name for path in file.parent.iterdir() if path.is_file()])
    suggestion = f"; did you mean {file.with_name(similar)}?" if similar else ""
    raise DataError(f"there is no file {file}{suggestion}")
