"""Reads W&B's `.wandb` file back: a LevelDB-style log of protobuf records."""

from __future__ import annotations

import json
import struct
from pathlib import Path
from typing import Any

HEADER, BLOCK, PIECE = 7, 32768, 7  # bytes: file header, block, and header of each piece
FULL, FIRST, MIDDLE, LAST = 1, 2, 3, 4


def messages(file: Path) -> list[Any]:
    """Every `wandb_internal_pb2.Record` in the file."""
    from wandb.proto import wandb_internal_pb2

    found, parts = [], b""
    for kind, piece in _pieces(file.read_bytes()):
        parts = piece if kind in (FULL, FIRST) else parts + piece
        if kind in (FULL, LAST):
            found.append(wandb_internal_pb2.Record.FromString(parts))
    return found


def _pieces(raw: bytes) -> list[tuple[int, bytes]]:
    position, found = HEADER, []
    while position + PIECE <= len(raw):
        if BLOCK - position % BLOCK < PIECE:  # a block's tail too short for a header is padding
            position += BLOCK - position % BLOCK
            continue
        _, length, kind = struct.unpack_from("<IHB", raw, position)
        found.append((kind, raw[position + PIECE : position + PIECE + length]))
        position += PIECE + length
    return found


def contents(file: Path) -> dict[str, Any]:
    """The run, its config, history rows, summary, metrics and exit code."""
    out: dict[str, Any] = {"config": {}, "history": [], "summary": {}, "metrics": [], "exit": None}
    for message in messages(file):
        kind = message.WhichOneof("record_type")
        if kind == "run":
            out["run"] = message.run
            out["config"] |= _items(message.run.config.update)
        elif kind == "history":
            out["history"].append(_items(message.history.item))
        elif kind == "summary":
            out["summary"] |= _items(message.summary.update)
        elif kind == "metric":
            out["metrics"].append(message.metric.name or message.metric.glob_name)
        elif kind == "exit":
            out["exit"] = message.exit.exit_code
    return out


def _items(items: Any) -> dict[str, Any]:
    return {"/".join(i.nested_key) or i.key: json.loads(i.value_json) for i in items}
