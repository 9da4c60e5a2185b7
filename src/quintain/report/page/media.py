"""Collects the samples for the page: each input once, with the predictions of all models."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from quintain.records.samples import find_sample_file, read_samples
from quintain.records.schema import Record
from quintain.records.store import Store

MAX_SAMPLES = 4  # per table
MAX_TOTAL_BYTES = 3 * 2**20  # of all images and recordings in base64
MAX_FILE_BYTES = 200 * 2**10
MAX_CHARACTERS = 600  # per text
MAX_VALUES = 400  # per series
_PNG, _WAV = b"\x89PNG\r\n\x1a\n", b"RIFF"


class SampleCollector:
    """Collects samples from a store; `media` maps digest → image or recording in base64.

    Images and recordings that exceed `MAX_TOTAL_BYTES` are left out.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._remaining = MAX_TOTAL_BYTES
        self._num_left_out = 0
        self.media: dict[str, str] = {}

    def collect(self, records: Sequence[Record | None]) -> list[dict[str, Any]]:
        """Return up to `MAX_SAMPLES` inputs with targets, and row index → prediction.

        Args:
            records: the record, if any, whose samples are shown for each row of a table.
        """
        samples: dict[int, dict[str, Any]] = {}
        for number, record in enumerate(records):
            folder = self._store.samples(record.key) if record else None
            for row in read_samples(folder) if folder else []:
                sample = samples.get(row["index"])
                if sample is None:
                    if len(samples) == MAX_SAMPLES:
                        continue
                    sample = self._read_input(row, folder) | {"predictions": {}}
                    samples[row["index"]] = sample
                sample["predictions"][str(number)] = _shorten(row["prediction"])
        return [{"index": index} | sample for index, sample in sorted(samples.items())]

    def left_out_note(self) -> str:
        """Return a note about the files that were left out; "" if there are none."""
        if not self._num_left_out:
            return ""
        return f"{self._num_left_out} images and recordings are left out to limit the page size"

    def _read_input(self, row: dict[str, Any], folder: Path | None) -> dict[str, Any]:
        values = row["input"]
        is_speech = values.get("kind") == "speech"
        image = values.get("log_mel") if is_speech else values.get("file")
        return {
            "kind": str(values.get("kind", "")),
            "truth": _shorten(row["truth"]),
            "text": _shorten(values.get("text")),
            "values": _shorten(values.get("values")),
            "targets": _shorten(row.get("targets")),
            "image": self._add_file(folder, image, _PNG),
            "audio": self._add_file(folder, values.get("file"), _WAV) if is_speech else None,
        }

    def _add_file(self, folder: Path | None, name: Any, signature: bytes) -> str | None:
        """Add a file to `media` and return its digest; None if it is invalid or too large."""
        file = find_sample_file(folder, name) if folder and name else None
        if file is None or file.stat().st_size > MAX_FILE_BYTES:
            return None
        content = file.read_bytes()
        if not content.startswith(signature):
            return None
        digest = hashlib.sha256(content).hexdigest()[:16]
        if digest not in self.media:
            text = base64.b64encode(content).decode()
            if len(text) > self._remaining:
                self._num_left_out += 1
                return None
            self._remaining -= len(text)
            self.media[digest] = text
        return digest


def _shorten(value: Any) -> Any:
    """Shorten long texts and lists, and round numbers; other values are converted to text."""
    if isinstance(value, str):
        return value if len(value) <= MAX_CHARACTERS else value[:MAX_CHARACTERS] + " …"
    if isinstance(value, list) and all(isinstance(v, list | int | float | str) for v in value):
        return [_shorten(item) for item in value[-MAX_VALUES:]]
    if value is None or isinstance(value, int):
        return value
    if isinstance(value, float):
        return float(f"{value:.6g}")
    return _shorten(json.dumps(value, ensure_ascii=False).encode(errors="replace").decode())
