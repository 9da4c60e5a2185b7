"""Writes one record to a W&B run: configuration, curve, summary and samples."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

from quintain.records.schema import Record
from quintain.records.store import Store
from quintain.wandb_mirror.media import log_samples
from quintain.wandb_mirror.names import shorten

if TYPE_CHECKING:
    from wandb import Run

_MAX_TAG_LENGTH = 64  # W&B refuses longer tags


def run_arguments(record: Record) -> dict[str, Any]:
    """Return the arguments of `wandb.init` for a record, except settings."""
    names = record.names
    times = {"started": record.started, "finished": record.finished}
    return {
        "id": record.key,
        "group": record.group,
        "name": shorten(f"{names.dataset}/{names.model}/s{record.seed}"),
        "job_type": record.status,
        "tags": _make_tags(record),
        "config": record.cell | {"names": names.model_dump(), "seed": record.seed} | times,
    }


def log_record(run: Run, record: Record, store: Store) -> None:
    """Log curve, summary and samples of a record."""
    _log_curve(run, record)
    run.summary.update(_summarize(record))
    log_samples(run, store.samples(record.key))


def start_time(record: Record) -> float:
    """Return the start of the run in seconds since 1970."""
    return datetime.fromisoformat(record.started).timestamp()


def _make_tags(record: Record) -> list[str]:
    tags = [record.names.dataset, record.names.model, record.names.hardware]
    tags += [record.data.modality] if record.data else []
    tags += ["baseline"] if record.baseline else []
    return [shorten(tag, _MAX_TAG_LENGTH) for tag in dict.fromkeys(tags) if tag.strip()]


def _log_curve(run: Run, record: Record) -> None:
    """Log each validation to the run's history, with the optimizer step as x-axis.

    The time of a point is the start of the run plus the seconds of training until then.
    """
    run.define_metric("step")
    run.define_metric("*", step_metric="step")
    start = start_time(record)
    for point in record.quality.curve if record.quality else ():
        values = {f"val/{name}": value for name, value in point.val.items()}
        values |= {"seconds": point.seconds, "train/loss": point.train_loss}
        row = {"step": point.step} | {k: v for k, v in values.items() if v is not None}
        run.log(row | {"_timestamp": start + point.seconds})


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
