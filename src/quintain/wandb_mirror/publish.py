"""`quintain publish`: sends runs, leaderboard, records and a report of a store to W&B.

Markers in the store tell what has been sent, so a second call does not contact the server. An
unreachable server gives a note, not an error.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from typing import Literal

from quintain.records.bundles.exporter import export_bundle
from quintain.records.schema import Record
from quintain.records.store import Store
from quintain.report.leaderboard import Leaderboard, build_leaderboard
from quintain.wandb_mirror import client
from quintain.wandb_mirror.board import log_leaderboard
from quintain.wandb_mirror.client import Destination, Mode
from quintain.wandb_mirror.mirror import Marker, MirrorResult, mirror_records
from quintain.wandb_mirror.report import write_report

RUN_ID = "leaderboard"  # of the one run per project that has the newest leaderboard


@dataclass(frozen=True, kw_only=True)
class PublishResult:
    """The result of `publish`."""

    mode: str  # "online", "offline" or "disabled"
    runs: MirrorResult
    board: str  # "sent", "unchanged", "failed" or "disabled"
    report: str  # URL, "unchanged", "failed", "none without a server", or "" if not requested
    notes: tuple[str, ...]  # messages for the user


def publish(
    store: Store,
    mode: Mode = "auto",
    project: str | None = None,
    entity: str | None = None,
    *,
    report: bool = False,
) -> PublishResult:
    """Send the runs, the run with the leaderboard, and the report, unless they have been sent.

    Raises:
        StoreError: the store cannot be read or written.
    """
    destination = client.resolve_destination(project, entity)
    records = store.all()
    runs = mirror_records(records, store, mode, project, entity)
    if runs.mode == "disabled":
        return PublishResult(mode="disabled", runs=runs, board="disabled", report="", notes=())
    board = build_leaderboard(records)
    bundle = export_bundle(records, store, store.path / "mirror" / "records.qb")
    notes = [*runs.notes, *bundle.notes]
    board_status, report_status = "failed", ""
    try:
        if not (runs.failed and runs.mode == "online"):  # the server was reachable
            board_status = _send_board(records, board, bundle.sha256, store, mode, destination)
            if report and client.active_mode(mode) == "online":
                report_status = write_report(board, store, destination)
            elif report:
                report_status = "none without a server"
    except Exception as error:
        report_status = "failed" if report else ""
        notes.append(client.describe_error(error, store))
    return PublishResult(
        mode=runs.mode,
        runs=runs,
        board=board_status,
        report=report_status,
        notes=tuple(dict.fromkeys(notes)),
    )


def _send_board(
    records: list[Record],
    board: Leaderboard,
    bundle_hash: str,
    store: Store,
    mode: Mode,
    destination: Destination,
) -> Literal["sent", "unchanged"]:
    """Send the run with the leaderboard unless it has been sent."""
    text = json.dumps(asdict(board), sort_keys=True) + bundle_hash
    content = hashlib.sha256(text.encode()).hexdigest()
    marker = Marker(store, RUN_ID)
    if marker.is_sent(content, "online", destination):
        return "unchanged"  # checked first, because `active_mode` may import wandb
    active = client.active_mode(mode)
    if active == "disabled" or marker.is_sent(content, active, destination):
        return "unchanged"
    config = {"records": bundle_hash}
    with client.start_run(
        store, active, destination, id=RUN_ID, name=RUN_ID, job_type=RUN_ID, config=config
    ) as run:
        bundle = store.path / "mirror" / "records.qb"
        log_leaderboard(run, board, records, bundle, is_online=active == "online")
    client.shut_down_service()
    marker.write(content, active, destination)
    return "sent"
