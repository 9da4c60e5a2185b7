"""The samples on the page: each input once, beside it what every model said of it."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from quintain.records.media import inside, read_samples
from quintain.records.schema import Record
from quintain.records.store import Store

MEDIA = 3 * 2**20  # bytes of pictures and sounds on the page, as base64
ONE = 200 * 2**10  # bytes of one
WORDS = 600  # characters of a text
VALUES = 400  # numbers of a series
SAMPLES = 4  # of a dataset
_PNG, _WAV = b"\x89PNG\r\n\x1a\n", b"RIFF"


class Album:
    """Takes samples from a store until the page has no more room for pictures and sounds."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._room = MEDIA
        self._gone = 0
        self.media: dict[str, str] = {}

    def samples(self, records: Sequence[Record | None], task: str) -> list[dict[str, Any]]:
        """A few inputs with their truth, and the predictions by the number of the row.

        Args:
            records: of each row of a table the one whose samples are shown, if any.
            task: of the data.
        """
        found: dict[int, dict[str, Any]] = {}
        for number, record in enumerate(records):
            folder = self._store.samples(record.key) if record else None
            for row in read_samples(folder) if folder else []:
                one = found.get(row["index"])
                if one is None:
                    if len(found) == SAMPLES:
                        continue
                    one = found[row["index"]] = self._input(row, folder) | {"said": {}}
                one["said"][str(number)] = _kept(row["prediction"])
        return [{"index": index} | one for index, one in sorted(found.items())]

    def left_out(self) -> str:
        """A sentence, where pictures or sounds found no room."""
        if not self._gone:
            return ""
        return f"{self._gone} pictures and sounds are left out: the page has no room for more"

    def _input(self, row: dict[str, Any], folder: Path | None) -> dict[str, Any]:
        shown = row["input"]
        heard = shown.get("kind") == "speech"
        seen = shown.get("log_mel") if heard else shown.get("file")
        return {
            "kind": str(shown.get("kind", "")),
            "truth": _kept(row["truth"]),
            "text": _kept(shown.get("text")),
            "values": _kept(shown.get("values")),
            "targets": _kept(row.get("targets")),
            "picture": self._media(folder, seen, _PNG),
            "sound": self._media(folder, shown.get("file"), _WAV) if heard else None,
        }

    def _media(self, folder: Path | None, name: Any, kind: bytes) -> str | None:
        """The page's name for a file that begins so; the same content is there once."""
        file = inside(folder, name) if folder and name else None
        if file is None or file.stat().st_size > ONE:
            return None
        content = file.read_bytes()
        if not content.startswith(kind):
            return None
        digest = hashlib.sha256(content).hexdigest()[:16]
        if digest not in self.media:
            text = base64.b64encode(content).decode()
            if len(text) > self._room:
                self._gone += 1
                return None
            self._room -= len(text)
            self.media[digest] = text
        return digest


def _kept(value: Any) -> Any:
    """Text and lists of a size that a page can show, numbers of six digits; all else as text."""
    if isinstance(value, str):
        return value if len(value) <= WORDS else value[:WORDS] + " …"
    if isinstance(value, list) and all(isinstance(v, list | int | float | str) for v in value):
        return [_kept(one) for one in value[-VALUES:]]
    if value is None or isinstance(value, int):
        return value
    if isinstance(value, float):
        return float(f"{value:.6g}")
    return _kept(json.dumps(value, ensure_ascii=False).encode(errors="replace").decode())
