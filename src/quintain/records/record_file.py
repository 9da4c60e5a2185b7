"""Reads the file of one record, or only its header, which is faster."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from typing import NamedTuple, cast

from quintain.records.schema import Record, Status

HEADER_BYTES = 512  # schema, key, group and status take about 160
_NAME = re.compile(r"[0-9a-f]{8,64}\.json")
_HEADER = re.compile(
    rb'\{"schema": (\d+),\s*"key": "([0-9a-f]{8,64})",\s*"group": "[0-9a-f]{8,64}",'
    rb'\s*"status": "(ok|failed|skipped)",'
)


class RecordHeader(NamedTuple):
    """The fields at the start of a record's file."""

    schema: int
    key: str
    status: Status


def read_header(file: Path | str) -> RecordHeader | None:
    """Read only the first lines of a record; None if the whole file must be read.

    The end of the file is checked too, to detect a truncated file. The rest is not read, so there
    may be a header although `Store.read` rejects the file.

    Raises:
        OSError: the file cannot be read.
    """
    descriptor = os.open(file, os.O_RDONLY)
    try:
        start = end = os.read(descriptor, HEADER_BYTES)
        if len(start) == HEADER_BYTES:
            os.lseek(descriptor, -2, os.SEEK_END)
            end = os.read(descriptor, 2)
    finally:
        os.close(descriptor)
    match = _HEADER.match(start)
    if match is None or not end.endswith(b"}\n"):
        return None
    schema, key, status = match.groups()
    return RecordHeader(int(schema), key.decode(), cast(Status, status.decode()))


def read_schema_version(file: Path) -> int:
    """Return the schema version of a record's file; 0 if it has none.

    Raises:
        OSError: the file cannot be read.
    """
    header = read_header(file)
    return header.schema if header else parse_schema_version(file.read_bytes())


def parse_schema_version(text: bytes) -> int:
    """Return the schema version of a record's text; 0 if it has none."""
    try:
        version = json.loads(text)["schema"]
    except (ValueError, TypeError, KeyError, RecursionError):
        return 0
    return version if isinstance(version, int) else 0


def parse_record(file: Path, text: bytes) -> Record:
    """Parse `text`, the content of `file`; ValueError if it is not the record of the file name."""
    record = Record.model_validate_json(text)
    if record.key != file.stem:
        raise ValueError(f"its key is {record.key}")
    return record


def is_record_file(path: Path) -> bool:
    """Return whether a path has the name of a record: `ab/ab12….json`."""
    return bool(_NAME.fullmatch(path.name)) and path.parent.name == path.name[:2]


def list_keys(folder: Path) -> set[str]:
    """Return the keys of the record files in a folder; none if it cannot be read."""
    try:
        return {name.removesuffix(".json") for name in os.listdir(folder) if _NAME.fullmatch(name)}
    except OSError:
        return set()


def shorten_error(error: BaseException) -> str:
    """Return the message of an error in one line; pydantic uses several."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return ": ".join(lines[1:3]) if len(lines) > 2 else " ".join(lines) or type(error).__name__
