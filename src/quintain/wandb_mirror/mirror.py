"""Mirrors records to Weights & Biases as runs. The store remains the source of truth.

The id of a W&B run is the key of the cell, and its W&B group is the cell's group: the key without
the seed. Markers in the store record what has been sent, so a second call does not even import
wandb. No error of W&B makes a run fail.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from quintain.records.redact import redact_record
from quintain.records.schema import Record
from quintain.records.store import Store
from quintain.wandb_mirror import client
from quintain.wandb_mirror.client import ActiveMode, Destination, Mode
from quintain.wandb_mirror.media import log_samples

if TYPE_CHECKING:
    from wandb import Run

_MAX_TAG_LENGTH = 64  # W&B refuses longer tags
_NO_KEY = "no W&B API key is configured, so runs were written offline: try `wandb login`"


@dataclass(frozen=True, kw_only=True)
class MirrorResult:
    """The numbers of records that `mirror_records` sent, found unchanged, and failed to send."""

    mode: ActiveMode | Literal["disabled"]
    written: int = 0
    unchanged: int = 0
    failed: int = 0
    notes: tuple[str, ...] = ()


class Marker:
    """A file in a store that lists what has been sent to W&B as the run `run_id`.

    Each line has the hash of the content, the mode and the destination; one line per destination.
    """

    def __init__(self, store: Store, run_id: str) -> None:
        self._path = store.path / "mirror" / run_id

    def is_sent(self, content_hash: str, mode: ActiveMode, destination: Destination) -> bool:
        """Return whether the content with this hash was sent in this mode, or online."""
        lines = {f"{content_hash} online {destination}", f"{content_hash} {mode} {destination}"}
        return bool(lines & set(self._read_lines()))

    def write(self, content_hash: str, mode: ActiveMode, destination: Destination) -> None:
        """Replace the line of the destination."""
        others = [line for line in self._read_lines() if not line.endswith(f" {destination}")]
        self._path.parent.mkdir(parents=True, exist_ok=True)
        self._path.write_text("\n".join([*others, f"{content_hash} {mode} {destination}"]))

    def _read_lines(self) -> list[str]:
        try:
            return self._path.read_text().splitlines()
        except OSError:
            return []


@dataclass(frozen=True, kw_only=True)
class _Upload:
    """A redacted record to send; `content_hash` is the hash of its JSON."""

    record: Record
    content_hash: str
    marker: Marker


def mirror_records(
    records: Iterable[Record],
    store: Store,
    mode: Mode = "auto",
    project: str | None = None,
    entity: str | None = None,
) -> MirrorResult:
    """Send ok and failed records to W&B as runs, unless they have been sent before.

    The mode "auto" follows WANDB_MODE; if that is not set, it is online if an API key is configured
    and otherwise offline. Project and entity default to WANDB_PROJECT and WANDB_ENTITY. It never
    prompts, prints or raises: errors become notes, with tracebacks in `mirror/mirror.log` of the
    store. W&B's files are in the folder `wandb/` of the store.
    """
    destination = client.resolve_destination(project, entity)
    requested = client.requested_mode(mode)
    if requested == "disabled":
        return MirrorResult(mode="disabled")
    uploads = [_prepare(record, store) for record in records if record.status != "skipped"]
    # The mode is known after a look at the credentials, which is skipped if nothing is pending.
    pending = [u for u in uploads if not u.marker.is_sent(u.content_hash, "online", destination)]
    try:
        is_online = bool(pending) and requested != "offline" and client.has_credentials()
    except Exception as error:
        note = client.describe_error(error, store)
        return MirrorResult(mode="offline", failed=len(pending), notes=(note,))
    active: ActiveMode = "online" if is_online else "offline"
    pending = [u for u in pending if not u.marker.is_sent(u.content_hash, active, destination)]
    written, errors = _send_all(pending, store, active, destination)
    has_no_key = requested == "online" and bool(pending) and not is_online
    return MirrorResult(
        mode=active,
        written=written,
        unchanged=len(uploads) - len(pending),
        failed=len(pending) - written,
        notes=tuple(dict.fromkeys([_NO_KEY] * has_no_key + errors)),
    )


def _prepare(record: Record, store: Store) -> _Upload:
    redacted = redact_record(record)
    content_hash = hashlib.sha256(redacted.to_json().encode()).hexdigest()
    return _Upload(record=redacted, content_hash=content_hash, marker=Marker(store, record.key))


def _send_all(
    uploads: list[_Upload], store: Store, mode: ActiveMode, destination: Destination
) -> tuple[int, list[str]]:
    """Send and mark records; return the number of sent ones, and notes about errors."""
    sent, notes = [], []
    for upload in uploads:
        try:
            _send(upload.record, store, mode, destination)
            sent.append(upload)
        except Exception as error:
            notes.append(client.describe_error(error, store))
            if mode == "online" and _affects_all_records(error):
                break  # do not wait for a timeout for each record
    try:
        client.shut_down_service()
        for upload in sent:
            upload.marker.write(upload.content_hash, mode, destination)
    except Exception as error:
        notes.append(client.describe_error(error, store))
    return len(sent), notes


def _affects_all_records(error: Exception) -> bool:
    """Return whether other records would fail too: errors of network, disk or W&B itself."""
    import wandb

    return isinstance(error, OSError | wandb.Error)


def _send(record: Record, store: Store, mode: ActiveMode, destination: Destination) -> None:
    with client.start_run(
        store,
        mode,
        destination,
        id=record.key,
        succeeded=record.status == "ok",
        group=record.group,
        name=f"{record.names.dataset}/{record.names.model}/s{record.seed}",
        job_type=record.status,
        tags=_make_tags(record),
        config=record.cell | {"names": record.names.model_dump(), "seed": record.seed},
    ) as run:
        _log_curve(run, record)
        run.summary.update(_summarize(record))
        log_samples(run, store.fetch_samples(record.key))


def _make_tags(record: Record) -> list[str]:
    tags = [record.names.dataset, record.names.model, record.names.hardware]
    tags += [record.data.modality] if record.data else []
    tags += ["baseline"] if record.baseline else []
    return [tag[:_MAX_TAG_LENGTH] for tag in dict.fromkeys(tags) if tag]


def _log_curve(run: Run, record: Record) -> None:
    """Log each validation to the run's history, with the optimizer step as x-axis."""
    run.define_metric("step")
    run.define_metric("*", step_metric="step")
    for point in record.quality.curve if record.quality else ():
        values = {f"val/{name}": value for name, value in point.val.items()}
        values |= {"seconds": point.seconds, "train/loss": point.train_loss}
        run.log({"step": point.step} | {k: v for k, v in values.items() if v is not None})


def _summarize(record: Record) -> dict[str, Any]:
    """Return the run's summary: `val/<score>`, `test/<score>`, `cost/…`, `status`, `error/…`."""
    summary: dict[str, Any] = {"status": record.status}
    if record.quality:
        summary["best_step"] = record.quality.best_step
        for name, score in record.quality.scores.items():
            summary |= {f"val/{name}": score.val, f"test/{name}": score.test}
    if record.cost:
        summary |= _flatten("cost", record.cost.model_dump(exclude={"absent"}))
    if record.error:
        summary |= {"error/kind": record.error.kind, "error/message": record.error.message}
    return {name: value for name, value in summary.items() if value is not None}


def _flatten(prefix: str, value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        return {prefix: value}
    return {
        k: v for name, part in value.items() for k, v in _flatten(f"{prefix}/{name}", part).items()
    }
