"""Mirrors records to Weights & Biases as runs. The store remains the source of truth.

The id of a W&B run is the key of the cell, and its W&B group is the cell's group: the key without
the seed. Markers in the store record what has been sent, so a second call does not even start the
SDK. No error of W&B makes a sweep fail.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from filelock import Timeout

from quintain.records.claims import make_lock
from quintain.records.redact import redact
from quintain.records.schema import Record
from quintain.records.store import Store
from quintain.wandb_mirror import client
from quintain.wandb_mirror.client import ActiveMode, Destination, Mode
from quintain.wandb_mirror.marker import Marker, hash_record
from quintain.wandb_mirror.process import SenderStopped, run_sender

SWEEP_LIMIT = 6.0  # seconds that W&B may need for one step; then a sweep ends without it
PUBLISH_LIMIT = 60.0  # the same for `quintain publish`, whose user waits for the upload
OFFLINE_LIMIT = 120.0  # the same without a server
LOCK_TIMEOUT = 120.0  # seconds to wait for another process that sends the same store
_NO_KEY = "no W&B API key is configured, so runs were written offline: try `wandb login`"


@dataclass(frozen=True, kw_only=True)
class MirrorResult:
    """The numbers of records that `mirror_records` sent, found unchanged, and failed to send."""

    mode: ActiveMode | Literal["disabled"]
    written: int = 0
    unchanged: int = 0
    failed: int = 0
    notes: tuple[str, ...] = ()


@dataclass
class SentRuns:
    """What a sender has reported.

    Attributes:
        mode: in which it has sent; None if it did not come so far.
        sent, unchanged: ids of runs that it has sent, and of those that had been sent before.
        report: URL of the report, or what became of it.
        notes: messages about errors.
    """

    mode: ActiveMode | None = None
    sent: set[str] = field(default_factory=set)
    unchanged: set[str] = field(default_factory=set)
    report: str = ""
    notes: list[str] = field(default_factory=list)

    def add(self, message: dict[str, Any]) -> None:
        kind = message["kind"]
        if kind == "mode":
            self.mode = message["mode"]
        elif kind in ("sent", "unchanged"):
            getattr(self, kind).add(message["run"])
        elif kind == "report":
            self.report = message["url"]
        if note := message.get("note"):
            self.notes.append(note)


def mirror_records(
    records: Iterable[Record],
    store: Store,
    mode: Mode = "auto",
    project: str | None = None,
    entity: str | None = None,
) -> MirrorResult:
    """Send ok and failed records of a store to W&B as runs, unless they have been sent before.

    The mode "auto" follows WANDB_MODE; if that is not set, it is online if an API key is configured
    and otherwise offline. Project and entity default to WANDB_PROJECT and WANDB_ENTITY. It never
    prompts or prints: errors become notes, with tracebacks in `mirror/mirror.log` of the store.
    W&B's files are in the folder `wandb/` of the store.

    Raises:
        UsageError: W&B does not accept the name of the project or entity.
    """
    destination = client.resolve_destination(project, entity)
    requested = client.requested_mode(mode)
    if requested == "disabled":
        return MirrorResult(mode="disabled")
    keys, pending = find_pending(records, store, requested, destination)
    runs = send_runs(store, requested, destination, keys=pending) if pending else SentRuns()
    return summarize_runs(runs, requested, keys, pending)


def find_pending(
    records: Iterable[Record], store: Store, requested: Mode, destination: Destination
) -> tuple[list[str], list[str]]:
    """Return the keys of the records that W&B shall have, and of those that have to be sent."""
    active = client.expected_mode(requested)
    mirrored = [record for record in records if record.status != "skipped"]
    pending = [
        record.key
        for record in mirrored
        if not Marker(store, record.key).is_sent(hash_record(record)[1], active, destination)
    ]
    return [record.key for record in mirrored], pending


def summarize_runs(
    runs: SentRuns, requested: Mode, keys: Sequence[str], pending: Sequence[str]
) -> MirrorResult:
    """Return the numbers of a mirroring; `keys` were to be mirrored, `pending` were not yet."""
    mode = runs.mode or client.expected_mode(requested)
    written, known = len(runs.sent & {*pending}), len(runs.unchanged & {*pending})
    has_no_key = requested == "online" and bool(pending) and mode == "offline"
    return MirrorResult(
        mode=mode,
        written=written,
        unchanged=len(keys) - len(pending) + known,
        failed=len(pending) - written - known,
        notes=tuple(dict.fromkeys([_NO_KEY] * has_no_key + runs.notes)),
    )


def send_runs(
    store: Store,
    requested: Mode,
    destination: Destination,
    *,
    keys: Sequence[str],
    limit: float | None = None,
    board: dict[str, str] | None = None,
    report: bool = False,
) -> SentRuns:
    """Send records, and optionally the leaderboard and the report, in a process of its own.

    Args:
        store: folder of the records.
        requested: mode.
        destination: project and entity.
        keys: of the records to send.
        limit: seconds that W&B may need for one step (default: `SWEEP_LIMIT`).
        board: hashes of the leaderboard (`content`) and of its records (`bundle`), to send it.
        report: also write the report.
    """
    runs = SentRuns()
    is_offline = client.expected_mode(requested) == "offline"
    limit = OFFLINE_LIMIT if is_offline else limit or SWEEP_LIMIT
    job: dict[str, Any] = {"store": str(store.path.absolute()), "mode": requested}
    job |= destination._asdict() | {"keys": list(keys), "board": board, "report": report}
    log = store.path / "mirror" / "mirror.log"
    try:
        for key in keys:
            store.fetch_samples(key)
        lock = make_lock(store.path, "wandb")
        with (
            lock.acquire(timeout=LOCK_TIMEOUT),
            contextlib.closing(run_sender(job, limit, log)) as messages,
        ):
            for message in messages:
                runs.add(message)
    except Timeout:
        runs.notes.append("W&B: another process is still sending this store: try quintain publish")
    except SenderStopped as error:
        runs.notes.append(f"{error}; what is missing is sent by quintain publish")
    except Exception as error:
        runs.notes.append(f"W&B: {type(error).__name__}: {redact(str(error))}")
    runs.notes = [f"{n} (details in {log})" if n.startswith("W&B: ") else n for n in runs.notes]
    return runs
