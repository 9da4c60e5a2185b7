"""`quintain leaderboard`: where its text goes, and when it is made again."""

from __future__ import annotations

import contextlib
import os
import sys
import time
import webbrowser
from collections.abc import Callable
from pathlib import Path

from quintain.records import disk
from quintain.records.faults import StoreError
from quintain.records.store import Store
from quintain.report.formats.write import format_of, rendered
from quintain.report.live import live
from quintain.report.page.build import page
from quintain.report.table import print_leaderboard

PAGE = "leaderboard.html"
LOOK = 2.0  # seconds between two looks at a store that is watched


def leaderboard(
    store: Store, format: str | None, output: Path | None, *, open_it: bool, watch: bool
) -> int:
    """Print the leaderboard, or write it to a file; the page is opened or kept up to date.

    Raises:
        StoreError: the file cannot be written.
    """
    if open_it or watch:
        return _show_page(store, output or store.path / PAGE, open_it=open_it, watch=watch)
    chosen = format_of(format, output)
    if output is not None:
        write(output, rendered(store, chosen))
        print(output)
    elif chosen == "table":
        found = live(store)
        print_leaderboard(found.records, older=found.older)
    else:
        sys.stdout.reconfigure(encoding="utf-8")  # type: ignore[union-attr]
        sys.stdout.write(rendered(store, chosen))
    return 0


def write_page(store: Store) -> Path:
    """The page beside the records; gives its path.

    Raises:
        StoreError: it cannot be written.
    """
    write(store.path / PAGE, page(store))
    return store.path / PAGE


def write(output: Path, text: str) -> None:
    """The text in a file, there whole or not at all: a browser may be reading it.

    Raises:
        StoreError: one sentence, why it cannot be written.
    """
    try:
        output.parent.mkdir(parents=True, exist_ok=True)
        part = disk.write_beside(output, text.encode())
        try:
            part.chmod(0o644)  # a temporary file is for its owner alone
            os.replace(part, output)
        finally:
            part.unlink(missing_ok=True)
    except OSError as error:
        raise StoreError(f"{output} cannot be written: {error.strerror}") from error


def _show_page(store: Store, output: Path, *, open_it: bool, watch: bool) -> int:
    seen = _state(store)  # first: a record that comes while the page is made must not be missed
    write(output, page(store, refresh=watch))
    print(output, flush=True)
    if open_it and not webbrowser.open(output.absolute().as_uri()):
        print("no browser was found: open the file by hand", file=sys.stderr)
    if watch:
        print("rebuilding it as records come; Ctrl-C ends", file=sys.stderr, flush=True)
        with contextlib.suppress(KeyboardInterrupt):
            follow(store, seen, lambda: write(output, page(store, refresh=True)))
        write(output, page(store))  # the last one need not load itself again
    return 0


def follow(store: Store, seen: dict[Path, int], rebuild: Callable[[], None]) -> None:
    """Call `rebuild` whenever the store's records are others than `seen`, until interrupted."""
    while True:
        time.sleep(LOOK)
        if (now := _state(store)) != seen:
            seen = now
            rebuild()


def _state(store: Store) -> dict[Path, int]:
    found = {}
    for file in store.files():
        try:
            found[file] = file.stat().st_mtime_ns
        except FileNotFoundError:  # set aside meanwhile
            continue
    return found
