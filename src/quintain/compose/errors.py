"""What a user is told when words do not compose: every problem at once, with the nearest name."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class UsageError(ValueError):
    """What was asked for cannot be done as asked; the command ends with exit code 2."""

    def __init__(self, problems: str | Iterable[str]) -> None:
        self.problems = [problems] if isinstance(problems, str) else list(problems)
        super().__init__("\n".join(self.problems))


def guess(word: str, known: Iterable[str]) -> str | None:
    """The known word that was likely meant."""
    return next(iter(difflib.get_close_matches(word, sorted(known), n=1, cutoff=0.6)), None)


def printable(text: str) -> str:
    """Text for a terminal: what would move its cursor or set its title becomes `?`."""
    return "".join(c if c.isprintable() or c in "\n\t" else "?" for c in text)


def nearest(word: str, known: Iterable[str]) -> str:
    """`; did you mean X?` and all that is known: the end of a sentence about an unknown word."""
    names = sorted(known)
    if not names:
        return "; there is nothing to choose from"
    close = guess(word, names)
    meant = f"; did you mean {close}?" if close else "."
    return f"{meant} Known: {', '.join(names)}"
