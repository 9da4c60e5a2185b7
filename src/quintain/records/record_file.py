"""The file of one record: its checksum, and reading it or only its header.

The last line of the file is a checksum (CRC-32) of the text before it, so that damage in the middle
of a file is found without parsing it. Files of earlier versions have no checksum.
"""

from __future__ import annotations

import json
import os
import re
import zlib
from pathlib import Path
from typing import NamedTuple, cast

from pydantic import ValidationError

from quintain.records.filesystem import read_regular_file
from quintain.records.schema import Record, Status

_NAME = re.compile(r"[0-9a-f]{8,64}\.json")
_HEADER = re.compile(
    rb'\{"schema": (\d+),\s*"key": "([0-9a-f]{8,64})",\s*"group": "[0-9a-f]{8,64}",'
    rb'\s*"status": "(ok|failed|skipped)",'
)


_CHECKSUM = re.compile(rb',\n "checksum": "([0-9a-f]{8})"\}\n')
_CHECKSUM_BYTES = len(',\n "checksum": "01234567"}\n')


class RecordHeader(NamedTuple):
    """The fields at the start of a record's file."""

    schema: int
    key: str
    status: Status


def seal(text: str) -> bytes:
    """Return the content of a record's file: the JSON of `Record.to_json` with a checksum."""
    body = text.encode().removesuffix(b"}\n")
    return body + b',\n "checksum": "%08x"}\n' % zlib.crc32(body)


def unseal(content: bytes) -> bytes:
    """Return the JSON of a record without its checksum, which a file may lack.

    Raises:
        ValueError: the checksum is not that of the text.
    """
    match = _CHECKSUM.fullmatch(content[-_CHECKSUM_BYTES:])
    if match is None:
        if content[-_CHECKSUM_BYTES:].startswith(b',\n "checksum": '):
            raise ValueError("its checksum is damaged")
        return content
    body = content[:-_CHECKSUM_BYTES]
    if zlib.crc32(body) != int(match[1], 16):
        raise ValueError("its checksum does not match: the file was damaged or edited")
    return body + b"}\n"


def read_header(file: Path | str) -> RecordHeader | None:
    """Read the first lines of a record without parsing it; None if it must be parsed.

    A damaged file has no header. A file without a checksum may have one although `Store.read`
    rejects it.

    Raises:
        OSError: the file cannot be read.
    """
    content = read_regular_file(file)
    match = _HEADER.match(content)
    if match is None or not content.endswith(b"}\n"):
        return None
    try:
        unseal(content)
    except ValueError:
        return None
    schema, key, status = match.groups()
    return RecordHeader(int(schema), key.decode(), cast(Status, status.decode()))


def read_schema_version(file: Path) -> int:
    """Return the schema version of a record's file; 0 if it has none.

    Raises:
        OSError: the file cannot be read.
    """
    header = read_header(file)
    return header.schema if header else parse_schema_version(read_regular_file(file))


def parse_schema_version(text: bytes) -> int:
    """Return the schema version of a record's text; 0 if it has none."""
    try:
        version = json.loads(text)["schema"]
    except (ValueError, TypeError, KeyError, RecursionError):
        return 0
    return version if isinstance(version, int) else 0


def parse_record(file: Path, text: bytes) -> Record:
    """Parse `text`, the content of `file`; ValueError if it is not the record of the file name."""
    record = Record.model_validate_json(unseal(text))
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
    """Return the message of an error in one line; of pydantic's errors that of the first field."""
    if isinstance(error, ValidationError):
        first, *others = error.errors(include_url=False, include_input=False)
        message = ": ".join(filter(None, (".".join(map(str, first["loc"])), first["msg"])))
        return f"{message} (and {len(others)} more problems)" if others else message
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return ": ".join(lines[1:3]) if len(lines) > 2 else " ".join(lines) or type(error).__name__
