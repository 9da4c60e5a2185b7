"""A file over HTTP that goes on where it broke off, where the server allows it (RFC 9110, 14)."""

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

ATTEMPTS = 4  # in one call, as long as each brings something
PAUSE = 0.5  # seconds between them
TIMEOUT = 30  # seconds without a byte
BLOCK = 2**18


def download(url: str, part: Path) -> bool:
    """The content at `url` → the file `part`, with a bar where a person watches.

    What an earlier call left in `part` is continued, if the note beside it says that it came from
    this address and the server says that its content is still the same; else it begins anew. No
    promise that it fits together: compare a checksum.

    Returns:
        Whether it was put together from several answers.

    Raises:
        OSError: as all of requests' exceptions are. `part` and the note stay if the server can
            continue, else they are removed.
    """
    continued = False
    for attempt in range(1, ATTEMPTS + 1):
        before = kept(part)
        try:
            continued |= _receive(url, part)
        except OSError as error:
            hopeless = isinstance(error, requests.HTTPError) or kept(part) <= before
            if hopeless or attempt == ATTEMPTS:
                if not _note(part).exists():
                    part.unlink(missing_ok=True)
                raise
            time.sleep(PAUSE)
        else:
            _note(part).unlink(missing_ok=True)
            return continued
    raise AssertionError("the last attempt returns or raises")


def kept(part: Path) -> int:
    """How many bytes lie in `part` that a later call can continue."""
    return part.stat().st_size if part.exists() and _note(part).exists() else 0


def discard(part: Path) -> None:
    """Remove a part and its note."""
    part.unlink(missing_ok=True)
    _note(part).unlink(missing_ok=True)


def _receive(url: str, part: Path) -> bool:
    """One request; whether its answer continued what was there."""
    known = _recall(part, url)
    start = kept(part) if known else 0
    headers = {"Accept-Encoding": "identity"}  # a range of a packed answer means nothing
    if start:
        headers["Range"] = f"bytes={start}-"
        headers |= {"If-Range": known["version"]} if known["version"] else {}
    with requests.get(url, headers=headers, stream=True, timeout=TIMEOUT) as answer:
        if start and (answer.status_code == 416 or _other_part(answer, start, known)):
            discard(part)
            return _receive(url, part)
        answer.raise_for_status()
        continues = start > 0 and answer.status_code == 206
        _keep_note(part, url, answer)
        _write(answer, part, start if continues else 0)
        return continues


def _write(answer: requests.Response, part: Path, start: int) -> None:
    total = _total(answer)
    watched = sys.stderr.isatty()
    with (
        part.open("ab" if start else "wb") as file,
        tqdm(total=total, initial=start, unit="B", unit_scale=True, disable=not watched) as bar,
    ):
        for block in answer.iter_content(BLOCK):
            file.write(block)
            file.flush()  # what a killed process has written can be continued
            bar.update(len(block))
    if total is not None and part.stat().st_size != total:
        raise requests.ConnectionError(f"{part.stat().st_size:,} of {total:,} bytes came")


def _other_part(answer: requests.Response, start: int, known: Mapping[str, Any]) -> bool:
    """Whether a partial answer is not the rest of what is there."""
    if answer.status_code != 206:
        return False
    came = answer.headers.get("Content-Range", "")
    return not came.startswith(f"bytes {start}-") or _total(answer) != known["total"]


def _total(answer: requests.Response) -> int | None:
    """Bytes of the whole content, if the answer says."""
    if answer.headers.get("Content-Encoding", "identity") != "identity":
        return None
    text = answer.headers.get("Content-Length", "")
    if answer.status_code == 206:
        text = answer.headers.get("Content-Range", "").rpartition("/")[2]
    return int(text) if text.isdecimal() else None


def _keep_note(part: Path, url: str, answer: requests.Response) -> None:
    """Note where `part` is from, if the server can continue it; else forget it."""
    ranges = answer.status_code == 206 or answer.headers.get("Accept-Ranges") == "bytes"
    if not ranges or (total := _total(answer)) is None:
        _note(part).unlink(missing_ok=True)
        return
    tag = answer.headers.get("ETag", "")
    weak = tag.startswith("W/")  # says nothing of single bytes
    version = answer.headers.get("Last-Modified", "") if weak or not tag else tag
    _note(part).write_text(json.dumps({"url": url, "version": version, "total": total}))


def _recall(part: Path, url: str) -> dict[str, Any]:
    with suppress(OSError, ValueError):
        known = json.loads(_note(part).read_text())
        if isinstance(known, dict) and known.keys() == {"url", "version", "total"}:
            return known if known["url"] == url else {}
    return {}


def _note(part: Path) -> Path:
    return part.with_name(f"{part.name}.from")
