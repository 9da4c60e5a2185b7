"""Reads the `.wandb` file of an offline run: a LevelDB log of protobuf records."""

from __future__ import annotations

import json
import struct
from pathlib import Path
from typing import Any

FILE_HEADER, BLOCK, FRAGMENT_HEADER = 7, 32768, 7  # bytes
FULL, FIRST, MIDDLE, LAST = 1, 2, 3, 4


def read_messages(file: Path) -> list[Any]:
    """Return every `wandb_internal_pb2.Record` in the file."""
    from wandb.proto import wandb_internal_pb2

    messages, content = [], b""
    for kind, fragment in _split_fragments(file.read_bytes()):
        content = fragment if kind in (FULL, FIRST) else content + fragment
        if kind in (FULL, LAST):
            messages.append(wandb_internal_pb2.Record.FromString(content))
    return messages


def _split_fragments(raw: bytes) -> list[tuple[int, bytes]]:
    position, fragments = FILE_HEADER, []
    while position + FRAGMENT_HEADER <= len(raw):
        if BLOCK - position % BLOCK < FRAGMENT_HEADER:  # the end of a block is padding
            position += BLOCK - position % BLOCK
            continue
        _, length, kind = struct.unpack_from("<IHB", raw, position)
        start = position + FRAGMENT_HEADER
        fragments.append((kind, raw[start : start + length]))
        position = start + length
    return fragments


def read_run(file: Path) -> dict[str, Any]:
    """Return the run, its config, history rows, summary, metrics and exit code."""
    run: dict[str, Any] = {"config": {}, "history": [], "summary": {}, "metrics": [], "exit": None}
    for message in read_messages(file):
        kind = message.WhichOneof("record_type")
        if kind == "run":
            run["run"] = message.run
            run["config"] |= _items(message.run.config.update)
        elif kind == "history":
            run["history"].append(_items(message.history.item))
        elif kind == "summary":
            run["summary"] |= _items(message.summary.update)
        elif kind == "metric":
            run["metrics"].append(message.metric.name or message.metric.glob_name)
        elif kind == "exit":
            run["exit"] = message.exit.exit_code
    return run


def _items(items: Any) -> dict[str, Any]:
    return {"/".join(i.nested_key) or i.key: json.loads(i.value_json) for i in items}
