"""Output of the commands: console, findings, error messages and files."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from quintain.errors import StoreError, printable

if TYPE_CHECKING:
    from rich.console import Console


def create_console() -> Console:
    """Return a console on standard output without syntax highlighting."""
    from rich.console import Console

    return Console(highlight=False)


def print_finding(console: Console, passed: bool | None, line: str) -> None:
    """Print a line with a mark: ✓ passed (True), ✗ failed (False), – skipped or absent (None)."""
    from rich.text import Text

    mark, style = {True: ("✓", "green"), False: ("✗", "red"), None: ("–", "dim")}[passed]
    console.print(Text(f"{mark} {printable(line)}", style=style), soft_wrap=True)


def print_error(message: str) -> None:
    """Print a message on standard error."""
    print(f"quintain: {printable(message)}", file=sys.stderr)


def write_output_file(file: Path, text: str) -> None:
    """Write a file atomically, because a browser may be reading it.

    Raises:
        StoreError: the file cannot be written.
    """
    from quintain.records.filesystem import replace_text

    try:
        replace_text(file, text)
    except OSError as error:
        raise StoreError(f"{file} cannot be written: {error.strerror}") from error
