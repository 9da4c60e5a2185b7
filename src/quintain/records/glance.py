"""Tells how a record ended from its first lines, so that many can be looked up in a moment."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import NamedTuple, cast

from quintain.records.schema import Status

HEAD = 512  # bytes; the schema, key, group and status of a record take some 160
_HEAD = re.compile(
    rb'\{"schema": (\d+),\s*"key": "([0-9a-f]{8,64})",\s*"group": "[0-9a-f]{8,64}",'
    rb'\s*"status": "(ok|failed|skipped)",'
)


class Glance(NamedTuple):
    """What the first lines of a record say of it."""

    schema: int
    key: str
    status: Status


def glance(file: Path | str) -> Glance | None:
    """The head of a record as `Record.to_json` writes it; None where the file must be read whole.

    The file's end is looked at too: a record that was cut short is none. What lies between is not
    read, so a record that somebody edited by hand may pass here and be refused by `Store.read`.

    Raises:
        OSError: the file cannot be read.
    """
    handle = os.open(file, os.O_RDONLY)
    try:
        head = os.read(handle, HEAD)
        end = head
        if len(head) == HEAD:
            os.lseek(handle, -2, os.SEEK_END)
            end = os.read(handle, 2)
    finally:
        os.close(handle)
    found = _HEAD.match(head)
    if found is None or not end.endswith(b"}\n"):
        return None
    schema, key, status = found.groups()
    return Glance(int(schema), key.decode(), cast(Status, status.decode()))
