"""Download a file over HTTP, and resume a partial file by range requests (RFC 9110, 14)."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import requests
from tqdm import tqdm

MAX_REQUESTS = 4  # in one call, as long as each receives some bytes
PAUSE = 0.5  # seconds between two requests
TIMEOUT = 30  # seconds without a byte
BLOCK = 2**18  # bytes


def download(url: str, part: Path) -> bool:
    """Write the content at `url` to the file `part`, with a progress bar on a terminal.

    A partial file of an earlier call is resumed if the note beside it (`<part>.from`) has this URL
    and the server confirms that the content has not changed; else the download starts over. Since
    a server may be wrong, compare a checksum.

    Returns:
        Whether several responses were joined.

    Raises:
        OSError: the download failed (all exceptions of requests are OSErrors). `part` and its note
            remain if the server supports resuming, else they are removed.
    """
    was_resumed = False
    for request in range(1, MAX_REQUESTS + 1):
        before = resumable_size(part)
        try:
            was_resumed |= _receive(url, part)
        except OSError as error:
            is_hopeless = isinstance(error, requests.HTTPError) or resumable_size(part) <= before
            if is_hopeless or request == MAX_REQUESTS:
                if not _note_path(part).exists():
                    part.unlink(missing_ok=True)
                raise
            time.sleep(PAUSE)
        else:
            _note_path(part).unlink(missing_ok=True)
            return was_resumed
    raise AssertionError("the last request returns or raises")


def resumable_size(part: Path) -> int:
    """Return how many bytes of `part` a later call can resume from."""
    return part.stat().st_size if part.exists() and _note_path(part).exists() else 0


def discard(part: Path) -> None:
    """Remove a partial file and its note."""
    part.unlink(missing_ok=True)
    _note_path(part).unlink(missing_ok=True)


def _receive(url: str, part: Path) -> bool:
    """Send one request and write the response; return whether it resumed a partial file."""
    note = _read_note(part, url)
    start = resumable_size(part) if note else 0
    headers = {"Accept-Encoding": "identity"}  # a byte range of compressed content is useless
    if start:
        headers["Range"] = f"bytes={start}-"
        headers |= {"If-Range": note["version"]} if note["version"] else {}
    with requests.get(url, headers=headers, stream=True, timeout=TIMEOUT) as response:
        if start and (response.status_code == 416 or _is_other_range(response, start, note)):
            discard(part)
            return _receive(url, part)
        response.raise_for_status()
        is_resumed = start > 0 and response.status_code == 206
        _write_note(part, url, response)
        _write_content(response, part, start if is_resumed else 0)
        return is_resumed


def _write_content(response: requests.Response, part: Path, start: int) -> None:
    total = _total_size(response)
    is_terminal = sys.stderr.isatty()
    with (
        part.open("ab" if start else "wb") as file,
        tqdm(total=total, initial=start, unit="B", unit_scale=True, disable=not is_terminal) as bar,
    ):
        for block in response.iter_content(BLOCK):
            file.write(block)
            file.flush()  # so that the download can be resumed even if the process is killed
            bar.update(len(block))
    if total is not None and part.stat().st_size != total:
        raise requests.ConnectionError(f"received {part.stat().st_size:,} of {total:,} bytes")


def _is_other_range(response: requests.Response, start: int, note: Mapping[str, Any]) -> bool:
    """Return whether a partial response is not the rest of the partial file."""
    if response.status_code != 206:
        return False
    content_range = response.headers.get("Content-Range", "")
    is_continuation = content_range.startswith(f"bytes {start}-")
    return not is_continuation or _total_size(response) != note["total"]


def _total_size(response: requests.Response) -> int | None:
    """Return the bytes of the whole content; None if the response does not state them."""
    if response.headers.get("Content-Encoding", "identity") != "identity":
        return None
    text = response.headers.get("Content-Length", "")
    if response.status_code == 206:
        text = response.headers.get("Content-Range", "").rpartition("/")[2]
    return int(text) if text.isdecimal() else None


def _write_note(part: Path, url: str, response: requests.Response) -> None:
    """Write URL, version and size to a note if the server supports resuming; else remove it."""
    has_ranges = response.status_code == 206 or response.headers.get("Accept-Ranges") == "bytes"
    if not has_ranges or (total := _total_size(response)) is None:
        _note_path(part).unlink(missing_ok=True)
        return
    tag = response.headers.get("ETag", "")
    is_weak = tag.startswith("W/")  # a weak ETag does not promise equal bytes
    version = response.headers.get("Last-Modified", "") if is_weak or not tag else tag
    _note_path(part).write_text(json.dumps({"url": url, "version": version, "total": total}))


def _read_note(part: Path, url: str) -> dict[str, Any]:
    """Return the note of a partial file if it has this URL, else an empty dict."""
    with suppress(OSError, ValueError):
        note = json.loads(_note_path(part).read_text())
        if isinstance(note, dict) and note.keys() == {"url", "version", "total"}:
            return note if note["url"] == url else {}
    return {}


def _note_path(part: Path) -> Path:
    return part.with_name(f"{part.name}.from")
