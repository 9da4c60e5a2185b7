"""Starts runs of the W&B SDK: mode, credentials, destination and settings."""

from __future__ import annotations

import os
import shutil
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from quintain.records.redact import redact
from quintain.records.store import Store

if TYPE_CHECKING:
    from wandb import Run

Mode = Literal["auto", "online", "offline", "disabled"]
ActiveMode = Literal["online", "offline"]

INIT_TIMEOUT = 10.0  # seconds; a server that does not answer in time counts as unreachable
FINISH_TIMEOUT = 30.0  # seconds for the upload of one record, about 20 KB
_DATA_DIR = "WANDB_DATA_DIR"
_DESTINATION_FILE = "place.txt"  # in the folder of an offline run
_WANDB_MODES: dict[str, Mode] = {
    "dryrun": "offline", "offline": "offline", "online": "online", "disabled": "disabled",
}  # fmt: skip
RUN_SETTINGS: dict[str, Any] = {
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
"""W&B collects nothing about the machine and the code; only the redacted record is sent."""


class Destination(NamedTuple):
    """The W&B project that runs are sent to; without `entity`, in the user's default entity."""

    project: str
    entity: str | None

    def __str__(self) -> str:
        return f"{self.entity or ''}/{self.project}"


def resolve_destination(project: str | None, entity: str | None) -> Destination:
    """Return the destination; by default WANDB_PROJECT (or "quintain") and WANDB_ENTITY."""
    default = os.environ.get("WANDB_PROJECT") or "quintain"
    return Destination(project or default, entity or os.environ.get("WANDB_ENTITY") or None)


def requested_mode(mode: Mode) -> Mode:
    """Return the requested mode; "auto" is replaced by WANDB_DISABLED and WANDB_MODE if set."""
    if mode != "auto":
        return mode
    if os.environ.get("WANDB_DISABLED", "").lower() in ("true", "1", "yes"):
        return "disabled"
    return _WANDB_MODES.get(os.environ.get("WANDB_MODE", "").lower(), "auto")


def active_mode(mode: Mode) -> ActiveMode | Literal["disabled"]:
    """Return the mode of a run that is sent now; without an API key, "offline".

    Errors of W&B about unreadable credentials are raised.
    """
    requested = requested_mode(mode)
    if requested in ("disabled", "offline"):
        return "disabled" if requested == "disabled" else "offline"
    return "online" if has_credentials() else "offline"


def has_credentials() -> bool:
    """Return whether the environment, or a netrc file that W&B reads, has credentials."""
    if os.environ.get("WANDB_API_KEY") or os.environ.get("WANDB_IDENTITY_TOKEN_FILE"):
        return True
    paths = [os.environ.get("NETRC"), "~/.netrc", "~/_netrc"]
    if not any(path and Path(path).expanduser().is_file() for path in paths):
        return False
    import wandb

    wandb.setup(settings=wandb.Settings(silent=True))
    return wandb.login(prompt=False, verify=False)


@contextmanager
def start_run(
    store: Store,
    mode: ActiveMode,
    destination: Destination,
    *,
    id: str,
    succeeded: bool = True,
    **arguments: Any,
) -> Iterator[Run]:
    """Start a W&B run with its files in the folder `wandb/` of the store; finish it at the end.

    An offline run of the same id and destination is replaced. The run is marked as failed after an
    exception in the `with` block, or without `succeeded`. `arguments` are for `wandb.init`.
    """
    import wandb

    root = store.path.resolve()
    wandb.setup(settings=wandb.Settings(silent=True))  # silent before the settings of init apply
    _remove_offline_runs(root / "wandb", id, destination)
    with _data_dir(root / "wandb"):
        run = wandb.init(
            project=destination.project,
            entity=destination.entity,
            id=id,
            reinit="create_new",
            settings=wandb.Settings(mode=mode, root_dir=str(root), **RUN_SETTINGS),
            **arguments,
        )
        if mode == "offline":
            (Path(run.dir).parent / _DESTINATION_FILE).write_text(str(destination))
        try:
            yield run
        except Exception:
            run.finish(exit_code=1)
            raise
        run.finish(exit_code=0 if succeeded else 1)


def _remove_offline_runs(folder: Path, id: str, destination: Destination) -> None:
    """Remove earlier offline runs of this id, because `wandb sync` would send them too."""
    for run in folder.glob(f"offline-run-*-{id}*"):  # of two in the same second, one ends in -1
        file = run / _DESTINATION_FILE
        if not file.is_file() or file.read_text() == str(destination):
            shutil.rmtree(run, ignore_errors=True)


@contextmanager
def _data_dir(folder: Path) -> Iterator[None]:
    """Set WANDB_DATA_DIR, the folder for files of tables and artifacts, unless it is set.

    An offline run needs these files until it is synced, and the default is the user's cache folder.
    """
    if _DATA_DIR in os.environ:
        yield
        return
    os.environ[_DATA_DIR] = str(folder)
    try:
        yield
    finally:
        del os.environ[_DATA_DIR]


def shut_down_service() -> None:
    """Wait for W&B's service process to end: `finish` returns before files are written."""
    wandb = sys.modules.get("wandb")
    if (
        wandb is not None and getattr(wandb, "run", None) is None
    ):  # unless the caller has an active run
        wandb.teardown()


def describe_error(error: Exception, store: Store) -> str:
    """Return a one-line note about an error; append its redacted traceback to `mirror.log`."""
    lines = redact(str(error)).strip().splitlines() or [""]
    note = f"W&B: {type(error).__name__}: {lines[0]}"
    log = store.path / "mirror" / "mirror.log"
    try:
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("a", encoding="utf-8") as file:
            file.write(redact("".join(traceback.format_exception(error))))
    except OSError:
        return note
    return f"{note} (details in {log})"
