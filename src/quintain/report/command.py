"""`quintain leaderboard`: where its text goes, and when it is made again."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from quintain.records import disk
from quintain.records.faults import StoreError
from quintain.records.store import Store
from quintain.report.formats.write import format_of, rendered
from quintain.report.table import print_leaderboard

PAGE = "leaderboard.html"


def leaderboard(store: Store, format: str | None, output: Path | None) -> int:
    """Print the leaderboard, or write it to a file.

    Raises:
        StoreError: the file cannot be written.
    """
    chosen = format_of(format, output)
    if output is not None:
        write(output, rendered(store, chosen))
        print(output)
    elif chosen == "table":
        print_leaderboard(store.all())
    else:
        sys.stdout.reconfigure(encoding="utf-8")  # type: ignore[union-attr]
        sys.stdout.write(rendered(store, chosen))
    return 0


def write(output: Path, text: str) -> None:
    """The text in a file, there whole or not at all: a browser may be reading it.

    Raises:
        StoreError: one sentence, why it cannot be written.
    """
    try:
        output.parent.mkdir(parents=True, exist_ok=True)
        part = disk.write_beside(output, text.encode())
        part.chmod(0o644)  # a temporary file is for its owner alone
        os.replace(part, output)
    except OSError as error:
        raise StoreError(f"{output} cannot be written: {error.strerror}") from error
