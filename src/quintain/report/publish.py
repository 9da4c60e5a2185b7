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
from quintain.report.wandb_report import write_report


@dataclass(frozen=True, kw_only=True)
class Published:
    """How runs and leaderboard were sent: "sent", "unchanged", "failed" or "disabled".

    `report` is its URL, or one of these words; "" where none was asked for.
    """

    mode: str
    runs: mirror.MirrorReport
    board: str
    report: str
    notes: tuple[str, ...]


def publish(
    store: Store,
    mode: mirror.Mode = "auto",
    project: str | None = None,
    entity: str | None = None,
    *,
    report: bool = False,
) -> Published:
    """Send what W&B does not have yet: runs, the run that holds the leaderboard, the report.

    Raises:
        StoreError: the store cannot be read, or nothing can be written beside its records.
    """
    project, entity = mirror.where(project, entity)
    records = store.all()
    runs = mirror.mirror(records, store, mode, project, entity)
    if runs.mode == "disabled":
        return Published(mode="disabled", runs=runs, board="disabled", report="", notes=())
    board, told, page = leaderboard(records), "failed", ""
    done = export(records, store, store.path / "mirror" / "records.qb")
    notes = [*runs.notes, *done.notes]
    try:
        if not (runs.failed and runs.mode == "online"):  # away: do not wait for it again
            told = _send(records, board, done, store, mode, f"{entity or ''}/{project}")
            page = _report(board, store, mode, project, entity) if report else ""
    except Exception as error:
        page = "failed" if report else ""
        notes.append(mirror.note(error, store))
    kept = tuple(dict.fromkeys(notes))
    return Published(mode=runs.mode, runs=runs, board=told, report=page, notes=kept)


def _report(board: Board, store: Store, mode: mirror.Mode, project: str, entity: str | None) -> str:
    if mirror.mode_for(mode) != "online":
        return "none without a server"
    return write_report(board, store, project, entity)


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
    sent = mirror.read_marker(marker)
    if f"{content} online {place}" in sent:
        return "unchanged"
    actual = mirror.mode_for(mode)
    if actual == "disabled" or f"{content} {actual} {place}" in sent:
        return "unchanged"
    entity, _, project = place.partition("/")
    bundle = store.path / "mirror" / "records.qb"
    words: dict[str, Any] = {"id": RUN, "name": RUN, "job_type": RUN}
    words["config"] = {"records": done.sha256}
    with mirror.mirrored_run(store, actual, project, entity or None, **words) as run:
        show_board(run, board, records, bundle, online=actual == "online")
    mirror.settle()
    mirror.mark(marker, content, actual, place)
    return "sent"


def _content(board: Board, done: Exported) -> str:
    text = json.dumps(asdict(board), sort_keys=True) + done.sha256
    return hashlib.sha256(text.encode()).hexdigest()
