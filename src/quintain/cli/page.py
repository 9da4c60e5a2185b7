"""Write the HTML page of a store, open it in a browser, and rebuild it for new records."""

from __future__ import annotations

import contextlib
import sys
import time
import webbrowser
from pathlib import Path

from quintain.cli.output import write_output_file
from quintain.records.store import Store
from quintain.report.page.build import build_page

PAGE = "leaderboard.html"
POLL = 2.0  # seconds between two checks of a watched store


def write_page(store: Store) -> Path:
    """Write the page beside the records and return its path.

    Raises:
        StoreError: the file cannot be written.
    """
    write_output_file(store.path / PAGE, build_page(store))
    return store.path / PAGE


def show_page(store: Store, output: Path, *, in_browser: bool, watch: bool) -> None:
    """Write the page; open it in a browser, and with `watch` rebuild it until Ctrl-C.

    Raises:
        StoreError: the file cannot be written.
    """
    # Read before the page is built, so that a record written meanwhile rebuilds it.
    times = _read_modification_times(store)
    write_output_file(output, build_page(store, refresh=watch))
    print(output, flush=True)
    if in_browser and not webbrowser.open(output.absolute().as_uri()):
        print("no browser was found: open the file by hand", file=sys.stderr)
    if watch:
        print(
            "rebuilding it for new records; Ctrl-C stops",
            file=sys.stderr,
            flush=True,
        )
        with contextlib.suppress(KeyboardInterrupt):
            while True:
                time.sleep(POLL)
                if (new_times := _read_modification_times(store)) != times:
                    times = new_times
                    write_output_file(output, build_page(store, refresh=True))
        write_output_file(output, build_page(store))  # a page that no longer reloads itself


def _read_modification_times(store: Store) -> dict[Path, int]:
    times = {}
    for file in store.files():
        with contextlib.suppress(FileNotFoundError):  # the file was moved meanwhile
            times[file] = file.stat().st_mtime_ns
    return times
