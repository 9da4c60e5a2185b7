"""`quintain publish`: sends runs, leaderboard, records and a report of a store to W&B.

Markers in the store tell what has been sent, so a second call does not contact the server. An
unreachable server gives a note, not an error.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass

from quintain.records.bundles.exporter import export_bundle
from quintain.records.schema import Record
from quintain.records.store import Store
from quintain.report.leaderboard import build_leaderboard
from quintain.wandb_mirror import client, mirror
from quintain.wandb_mirror.client import Mode
from quintain.wandb_mirror.marker import BOARD_ID, Marker
from quintain.wandb_mirror.mirror import MirrorResult, SentRuns


@dataclass(frozen=True, kw_only=True)
class PublishResult:
    """The result of `publish`."""

    mode: str  # "online", "offline" or "disabled"
    runs: MirrorResult
    board: str  # "sent", "unchanged", "failed" or "disabled"
    report: str  # URL, "unchanged", "failed", "none without a server", or "" if not requested
    notes: tuple[str, ...]  # messages for the user

    @property
    def has_failed(self) -> bool:
        """Whether something could not be sent."""
        return bool(self.runs.failed) or "failed" in (self.board, self.report)


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
        UsageError: W&B does not accept the name of the project or entity.
    """
    destination = client.resolve_destination(project, entity)
    requested = client.requested_mode(mode)
    if requested == "disabled":
        disabled = MirrorResult(mode="disabled")
        return PublishResult(mode="disabled", runs=disabled, board="disabled", report="", notes=())
    records = store.all()
    keys, pending = mirror.find_pending(records, store, requested, destination)
    bundle = export_bundle(records, store, store.path / "mirror" / "records.qb")
    content = _hash_board(records, bundle.sha256)
    is_board_sent = Marker(store, BOARD_ID).is_sent(
        content, client.expected_mode(requested), destination
    )
    runs = SentRuns()
    if pending or report or not is_board_sent:
        runs = mirror.send_runs(
            store,
            requested,
            destination,
            keys=pending,
            limit=mirror.PUBLISH_LIMIT,
            board=None if is_board_sent else {"content": content, "bundle": bundle.sha256},
            report=report,
        )
    result = mirror.summarize_runs(runs, requested, keys, pending)
    return PublishResult(
        mode=result.mode,
        runs=result,
        board="unchanged" if is_board_sent else _board_status(runs),
        report=runs.report or ("failed" if report else ""),
        notes=tuple(dict.fromkeys([*result.notes, *bundle.notes])),
    )


def _hash_board(records: Sequence[Record], bundle_hash: str) -> str:
    text = json.dumps(asdict(build_leaderboard(records)), sort_keys=True) + bundle_hash
    return hashlib.sha256(text.encode()).hexdigest()


def _board_status(runs: SentRuns) -> str:
    if BOARD_ID in runs.unchanged:
        return "unchanged"
    return "sent" if BOARD_ID in runs.sent else "failed"
