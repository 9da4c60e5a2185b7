"""`quintain publish`: a store shown in W&B, its runs, its leaderboard, its records, a report.

What was sent is marked in the store (`mirror/`), so a second call sends nothing, nor asks a server.
A server that is away is a sentence in the notes, never an error.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from typing import Any

from quintain.records import mirror
from quintain.records.bundles.export import Exported, export
from quintain.records.schema import Record
from quintain.records.store import Store
from quintain.report.leaderboard import Board, leaderboard
from quintain.report.wandb_board import RUN, show_board


@dataclass(frozen=True, kw_only=True)
class Published:
    """How the runs and the leaderboard were sent: "sent", "unchanged", "failed" or "disabled"."""

    mode: str
    runs: mirror.MirrorReport
    board: str
    notes: tuple[str, ...]


def publish(
    store: Store,
    mode: mirror.Mode = "auto",
    project: str = "quintain",
    entity: str | None = None,
) -> Published:
    """Send what W&B does not have yet: runs first, then the run that holds the leaderboard.

    Raises:
        StoreError: the store cannot be read, or nothing can be written beside its records.
    """
    records = store.all()
    runs = mirror.mirror(records, store, mode, project, entity)
    if runs.mode == "disabled":
        return Published(mode="disabled", runs=runs, board="disabled", notes=())
    board = leaderboard(records)
    done = export(records, store, store.path / "mirror" / "records.qb")
    notes = (*runs.notes, *done.notes)
    if runs.failed and runs.mode == "online":  # the server is away: do not wait for it again
        return Published(mode=runs.mode, runs=runs, board="failed", notes=notes)
    try:
        told = _send(records, board, done, store, mode, f"{entity or ''}/{project}")
    except Exception as error:
        told, notes = "failed", (*notes, mirror.note(error, store))
    return Published(mode=runs.mode, runs=runs, board=told, notes=tuple(dict.fromkeys(notes)))


def _send(
    records: list[Record],
    board: Board,
    done: Exported,
    store: Store,
    mode: mirror.Mode,
    place: str,
) -> str:
    """Send the leaderboard's run unless it is there; online is as good as offline."""
    marker = store.path / "mirror" / RUN
    content = _content(board, done)
    sent = marker.read_text() if marker.exists() else ""
    if sent == f"{content} online {place}":
        return "unchanged"
    actual = mirror.mode_for(mode)
    if actual == "disabled" or sent == f"{content} {actual} {place}":
        return "unchanged"
    entity, _, project = place.partition("/")
    bundle = store.path / "mirror" / "records.qb"
    words: dict[str, Any] = {"id": RUN, "name": RUN, "job_type": RUN}
    words["config"] = {"records": done.sha256}
    with mirror.mirrored_run(store, actual, project, entity or None, **words) as run:
        show_board(run, board, records, bundle, online=actual == "online")
    mirror.settle()
    marker.write_text(f"{content} {actual} {place}")
    return "sent"


def _content(board: Board, done: Exported) -> str:
    text = json.dumps(asdict(board), sort_keys=True) + done.sha256
    return hashlib.sha256(text.encode()).hexdigest()
