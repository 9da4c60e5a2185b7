"""Shows records in Weights & Biases. The store stays the truth: whatever W&B does, no run fails.

A run's id is the cell key and its group the cell without seed, so sending a record twice changes
nothing. `mirror/<key>` holds what was sent, so a second call does not even import wandb.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import sys
import traceback
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from quintain.records.media import show_samples
from quintain.records.schema import Record
from quintain.records.scrub import scrub, scrub_record
from quintain.records.store import Store

if TYPE_CHECKING:
    from wandb import Run

Mode = Literal["auto", "online", "offline", "disabled"]
Sent = Literal["online", "offline"]

INIT_TIMEOUT = 10.0  # seconds until a server that does not answer counts as away
FINISH_TIMEOUT = 30.0  # seconds for the upload of one record, some 20 KB
_DATA_DIR = "WANDB_DATA_DIR"
_PLACE = "place.txt"  # in an offline run's folder: entity/project
_TAG_LENGTH = 64  # W&B refuses longer tags
_VARIABLE = {"dryrun": "offline", "offline": "offline", "online": "online", "disabled": "disabled"}
_NO_KEY = "no W&B API key is configured, so runs were written offline: try `wandb login`"


@dataclass(frozen=True, kw_only=True)
class MirrorReport:
    """What `mirror` did: how many records it sent, found sent already, and could not send."""

    mode: Literal["online", "offline", "disabled"]
    written: int = 0
    unchanged: int = 0
    failed: int = 0
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class _Job:
    """One record on its way; `content` is the hash of what will be shown."""

    record: Record
    content: str
    marker: Path

    def is_sent(self, mode: str, place: str) -> bool:
        """Sent with this content to this place; online is as good as offline, not the reverse."""
        words = {f"{self.content} online {place}", f"{self.content} {mode} {place}"}
        return bool(words & set(read_marker(self.marker)))


def mirror(
    records: Iterable[Record],
    store: Store,
    mode: Mode = "auto",
    project: str | None = None,
    entity: str | None = None,
) -> MirrorReport:
    """Write ok and failed records to W&B as runs; files go below the store's `wandb/`.

    "auto" follows WANDB_MODE, else is online where an API key is configured and offline where
    none is. Without `project` and `entity` WANDB_PROJECT and WANDB_ENTITY count. Never prompts,
    never prints and never raises: what went wrong stands in the report's notes, with tracebacks in
    `mirror/mirror.log`.
    """
    project, entity = where(project, entity)
    place = f"{entity or ''}/{project}"
    wanted = _wanted(mode)
    if wanted == "disabled":
        return MirrorReport(mode="disabled")
    jobs = [_job(record, store) for record in records if record.status != "skipped"]
    pending = [job for job in jobs if not job.is_sent("online", place)]
    try:
        online = bool(pending) and wanted != "offline" and _has_key()
    except Exception as error:
        return MirrorReport(mode="offline", failed=len(pending), notes=(note(error, store),))
    actual: Sent = "online" if online else "offline"
    pending = [job for job in pending if not job.is_sent(actual, place)]
    notes = [_NO_KEY] if wanted == "online" and pending and not online else []
    written, faults = _send_all(pending, store, actual, project, entity)
    return MirrorReport(
        mode=actual,
        written=written,
        unchanged=len(jobs) - len(pending),
        failed=len(pending) - written,
        notes=tuple(dict.fromkeys(notes + faults)),
    )


def _send_all(
    jobs: list[_Job], store: Store, mode: Sent, project: str, entity: str | None
) -> tuple[int, list[str]]:
    """Send each job and mark it; the number sent, and what went wrong."""
    sent, notes = [], []
    for job in jobs:
        try:
            _send(job.record, store, mode, project, entity)
            sent.append(job)
        except Exception as error:
            notes.append(note(error, store))
            if mode == "online" and _is_away(error):
                break  # a server that is away for one is away for all: do not wait again
    try:
        settle()
        for job in sent:
            mark(job.marker, job.content, mode, f"{entity or ''}/{project}")
    except Exception as error:
        notes.append(note(error, store))
    return len(sent), notes


def _is_away(error: Exception) -> bool:
    """Whether no other record would fare better: network and disk, and what W&B itself says."""
    import wandb

    return isinstance(error, OSError | wandb.Error)


def read_marker(marker: Path) -> list[str]:
    """`content mode place` for each place that something was sent to."""
    try:
        return marker.read_text().splitlines()
    except OSError:
        return []


def mark(marker: Path, content: str, mode: str, place: str) -> None:
    """Note what was sent to a place last."""
    others = [line for line in read_marker(marker) if not line.endswith(f" {place}")]
    marker.parent.mkdir(parents=True, exist_ok=True)
    marker.write_text("\n".join([*others, f"{content} {mode} {place}"]))


def settle() -> None:
    """Wait for W&B's process to end: `finish` returns some ms before the file is written."""
    wandb = sys.modules.get("wandb")
    if wandb is not None and getattr(wandb, "run", None) is None:  # else somebody's run goes on
        wandb.teardown()


def mode_for(mode: Mode) -> Sent | Literal["disabled"]:
    """How something would be sent now; raises what W&B says of credentials that it cannot read."""
    wanted = _wanted(mode)
    if wanted in ("disabled", "offline"):
        return "disabled" if wanted == "disabled" else "offline"
    return "online" if _has_key() else "offline"


def where(project: str | None, entity: str | None) -> tuple[str, str | None]:
    """Project and entity: as asked for, else as W&B's own variables say."""
    named = os.environ.get("WANDB_PROJECT") or "quintain"
    return project or named, entity or os.environ.get("WANDB_ENTITY") or None


def _wanted(mode: Mode) -> str:
    if mode != "auto":
        return mode
    if os.environ.get("WANDB_DISABLED", "").lower() in ("true", "1", "yes"):
        return "disabled"
    return _VARIABLE.get(os.environ.get("WANDB_MODE", "").lower(), "auto")


def _job(record: Record, store: Store) -> _Job:
    clean = scrub_record(record)
    content = hashlib.sha256(clean.to_json().encode()).hexdigest()
    return _Job(record=clean, content=content, marker=store.path / "mirror" / record.key)


def _has_key() -> bool:
    """Credentials in the environment, or what wandb finds in a netrc file if there is one."""
    if os.environ.get("WANDB_API_KEY") or os.environ.get("WANDB_IDENTITY_TOKEN_FILE"):
        return True
    places = [os.environ.get("NETRC"), "~/.netrc", "~/_netrc"]
    if not any(place and Path(place).expanduser().is_file() for place in places):
        return False
    import wandb

    wandb.setup(settings=wandb.Settings(silent=True))
    return wandb.login(prompt=False, verify=False)


def note(error: Exception, store: Store) -> str:
    """One sentence about what went wrong; the traceback goes to `mirror/mirror.log`, scrubbed."""
    lines = scrub(str(error)).strip().splitlines() or [""]
    log = store.path / "mirror" / "mirror.log"
    try:
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("a", encoding="utf-8") as file:
            file.write(scrub("".join(traceback.format_exception(error))))
    except OSError:
        return f"W&B: {type(error).__name__}: {lines[0]}"
    return f"W&B: {type(error).__name__}: {lines[0]} (details in {log})"


def _send(record: Record, store: Store, mode: Sent, project: str, entity: str | None) -> None:
    with mirrored_run(
        store,
        mode,
        project,
        entity,
        succeeds=record.status == "ok",
        id=record.key,
        group=record.group,
        name=f"{record.names.dataset}/{record.names.model}/s{record.seed}",
        job_type=record.status,
        tags=_tags(record),
        config=record.cell | {"names": record.names.model_dump(), "seed": record.seed},
    ) as run:
        _fill(run, record)
        show_samples(run, store.bring_samples(record.key))


@contextmanager
def mirrored_run(
    store: Store,
    mode: Sent,
    project: str,
    entity: str | None,
    *,
    succeeds: bool = True,
    **words: Any,
) -> Iterator[Run]:
    """A run in W&B that tells nothing of this machine; an error inside makes it a failed one.

    `words` are those of `wandb.init`. An offline run of the same id and place is replaced.
    """
    import wandb

    root, place = store.path.resolve(), f"{entity or ''}/{project}"
    wandb.setup(settings=wandb.Settings(silent=True))  # no line printed before init's own settings
    for older in (store.path / "wandb").glob(f"offline-run-*-{words['id']}*"):  # -1 in one second
        if _place(older) in (place, None):  # syncing it too would bring the old content back
            shutil.rmtree(older, ignore_errors=True)
    with _kept_below(root / "wandb"):
        run = wandb.init(
            project=project,
            entity=entity,
            reinit="create_new",
            settings=wandb.Settings(mode=mode, root_dir=str(root), **_SETTINGS),
            **words,
        )
        if mode == "offline":
            (Path(run.dir).parent / _PLACE).write_text(place)
        try:
            yield run
        except Exception:
            run.finish(exit_code=1)
            raise
        run.finish(exit_code=0 if succeeds else 1)


def _place(folder: Path) -> str | None:
    """Where an offline run is to go; None where that is not known."""
    file = folder / _PLACE
    return file.read_text() if file.is_file() else None


@contextmanager
def _kept_below(folder: Path) -> Iterator[None]:
    """Let W&B put what tables and artifacts hold here, unless the user has said where.

    An offline run names these files, so that a sync finds them as long as the folder stays whole;
    W&B's own place is a folder of the user's that other programs clean.
    """
    if _DATA_DIR in os.environ:
        yield
        return
    os.environ[_DATA_DIR] = str(folder)
    try:
        yield
    finally:
        del os.environ[_DATA_DIR]


# Nothing of this machine or its code: the record says what may be told of it.
_SETTINGS: dict[str, Any] = {
    "silent": True,
    "console": "off",
    "host": "",
    "disable_git": True,
    "disable_code": True,
    "disable_job_creation": True,
    "x_disable_meta": True,
    "x_disable_stats": True,
    "x_disable_machine_info": True,
    "x_save_requirements": False,
    "init_timeout": INIT_TIMEOUT,
    "finish_timeout": FINISH_TIMEOUT,
    "finish_timeout_raises": True,
}


def _tags(record: Record) -> list[str]:
    names = [record.names.dataset, record.names.model, record.names.hardware]
    names += [record.data.modality] if record.data else []
    names += ["reference"] if record.reference else []
    return [name[:_TAG_LENGTH] for name in dict.fromkeys(names) if name]


def _fill(run: Run, record: Record) -> None:
    run.define_metric("step")
    run.define_metric("*", step_metric="step")
    for point in record.quality.curve if record.quality else ():
        values = {f"val/{name}": value for name, value in point.val.items()}
        values |= {"seconds": point.seconds, "train/loss": point.train_loss}
        run.log({"step": point.step} | {k: v for k, v in values.items() if v is not None})
    run.summary.update(summary(record))


def summary(record: Record) -> dict[str, Any]:
    """The run's final numbers: `test/<score>`, `val/<score>`, `cost/...`, `status`, `error/...`."""
    found: dict[str, Any] = {"status": record.status}
    if record.quality:
        found["best_step"] = record.quality.best_step
        for name, score in record.quality.scores.items():
            found |= {f"val/{name}": score.val, f"test/{name}": score.test}
    if record.cost:
        found |= _flat("cost", record.cost.model_dump(exclude={"absent"}))
    if record.error:
        found |= {"error/kind": record.error.kind, "error/message": record.error.message}
    return {name: value for name, value in found.items() if value is not None}


def _flat(prefix: str, value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        return {prefix: value}
    return {
        k: v for name, part in value.items() for k, v in _flat(f"{prefix}/{name}", part).items()
    }
