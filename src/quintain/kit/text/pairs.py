"""Pairs of texts from a user's files: two files line by line, or two columns of a table."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from quintain.kit.files.download import DataError
from quintain.kit.files.problems import Problems
from quintain.kit.tables.columns import texts
from quintain.kit.tables.table import read_lines, read_table


@dataclass(frozen=True)
class Pairs:
    """Sources and targets, equally many, and notes on the files."""

    sources: list[str]
    targets: list[str]
    notes: tuple[str, ...] = ()

    def pick(self, at: Sequence[int]) -> Pairs:
        """Some of them, without the notes."""
        return Pairs([self.sources[int(k)] for k in at], [self.targets[int(k)] for k in at])


def text_keys(written: Sequence[str], lower: bool) -> list[str]:
    """What texts are told apart by: equal but for blanks, or with `lower` for case, is the same."""
    return [" ".join((text.lower() if lower else text).split()) for text in written]


def read_pairs(
    path: str,
    target_path: str | None,
    source: str | None,
    target: str | None,
    delimiter: str | None = None,
) -> Pairs:
    """Pairs, those with an empty side left out and counted.

    Args:
        path: of the sources, one a line, or of a table.
        target_path: of the targets, one a line; None: `path` is a table.
        source, target: its columns.

    Raises:
        DataError: what is wrong with both files; unequal numbers of lines name both.
    """
    if target_path:
        sources, targets, notes = _lines(path, target_path)
    else:
        sources, targets, notes = _columns(path, str(source), str(target), delimiter)
    kept = [k for k in range(len(sources)) if sources[k].strip() and targets[k].strip()]
    if not kept:
        raise DataError(f"{path} has no pair of texts")
    if empty := len(sources) - len(kept):
        notes += [f"pairs with an empty side, left out: {empty:,}"]
    found = Pairs(sources, targets).pick(kept)
    return Pairs(found.sources, found.targets, tuple(notes))


def _lines(path: str, target_path: str) -> tuple[list[str], list[str], list[str]]:
    problems = Problems()
    sources, targets = (problems.ask(read_lines, file) for file in (path, target_path))
    problems.check()
    assert sources is not None and targets is not None  # else the check has raised
    if len(sources) != len(targets):
        raise DataError(
            f"{path} has {len(sources):,} lines and {target_path} {len(targets):,}; expected line "
            "by line a text and its counterpart"
        )
    return sources, targets, []


def _columns(
    path: str, source: str, target: str, delimiter: str | None
) -> tuple[list[str], list[str], list[str]]:
    table, problems = read_table(path, delimiter=delimiter), Problems()
    sources, targets = (problems.ask(texts, table, name) for name in (source, target))
    problems.check()
    assert sources is not None and targets is not None  # else the check has raised
    return sources, targets, list(table.notes)
