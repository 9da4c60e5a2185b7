"""Sends records and the leaderboard of a store with W&B's SDK: the main module of a process.

`process.run_sender` starts it with a clean environment. It reports each step as a line of JSON on
its standard output; the output of the SDK goes to `mirror.log` of the store.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
import threading
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import wandb
from wandb.sdk import wandb_run

from quintain.records.redact import redact
from quintain.records.store import Store
from quintain.wandb_mirror.client import ActiveMode, Destination
from quintain.wandb_mirror.marker import BOARD_ID, Marker, hash_record
from quintain.wandb_mirror.run_content import log_record, run_arguments, start_time

_DESTINATION_FILE = "place.txt"  # in the folder of an offline run
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
    "finish_timeout_raises": True,
}
"""W&B collects nothing about the machine and the code; only the redacted record is sent."""

Report = Callable[..., None]


class Sender:
    """Sends what a job names; `report` is called with each step."""

    def __init__(self, job: dict[str, Any], report: Report) -> None:
        self._job, self._report = job, report
        self._store = Store(job["store"])
        self._destination = Destination(job["project"], job["entity"])
        limit = job["limit"]
        self._settings = RUN_SETTINGS | {"init_timeout": 0.8 * limit, "finish_timeout": limit}
        wandb.setup(settings=wandb.Settings(silent=True))
        is_online = job["mode"] != "offline" and wandb.login(prompt=False, verify=False)
        self._mode: ActiveMode = "online" if is_online else "offline"
        report("mode", mode=self._mode)

    def send(self) -> None:
        """Send records, leaderboard and report; after an error of the server, nothing more.

        An offline run is complete when the service of W&B has ended, so it is marked then.
        """
        sent: list[tuple[str, str]] = []
        is_reachable = all(self._send_record(key, sent) for key in self._job["keys"])
        if is_reachable and self._job["board"]:
            self._send_board(sent)
        if is_reachable and self._job["report"]:
            self._write_report()
        if self._mode == "offline":
            wandb.teardown()
            for run_id, content in sent:
                self._mark(run_id, content)

    def _send_record(self, key: str, sent: list[tuple[str, str]]) -> bool:
        """Send one record unless it has been sent; return False if the server failed."""
        record = self._store.read(key)
        if record is None:
            self._report("failed", run=key, note=f"the record {key} cannot be read any more")
            return True
        record, content = hash_record(record)
        if Marker(self._store, key).is_sent(content, self._mode, self._destination):
            self._report("unchanged", run=key)  # another process has sent it meanwhile
            return True
        try:
            with self._start_run(
                started=start_time(record),
                succeeded=record.status == "ok",
                **run_arguments(record),
            ) as run:
                log_record(run, record, self._store)
        except Exception as error:
            self._report("failed", run=key, note=describe_error(error))
            return self._mode == "offline" or not isinstance(error, OSError | wandb.Error)
        self._finish(key, content, sent)
        return True

    def _send_board(self, sent: list[tuple[str, str]]) -> None:
        from quintain.report.leaderboard import build_leaderboard
        from quintain.wandb_mirror.board import log_leaderboard

        content = self._job["board"]["content"]
        if Marker(self._store, BOARD_ID).is_sent(content, self._mode, self._destination):
            self._report("unchanged", run=BOARD_ID)
            return
        records = self._store.all()
        bundle = self._store.path / "mirror" / "records.qb"
        try:
            with self._start_run(
                id=BOARD_ID, name=BOARD_ID, job_type=BOARD_ID,
                config={"records": self._job["board"]["bundle"]},
            ) as run:  # fmt: skip
                is_online = self._mode == "online"
                board = build_leaderboard(records)
                log_leaderboard(run, board, records, bundle, is_online=is_online)
        except Exception as error:
            self._report("failed", run=BOARD_ID, note=describe_error(error))
            return
        self._finish(BOARD_ID, content, sent)

    def _write_report(self) -> None:
        from quintain.report.leaderboard import build_leaderboard
        from quintain.wandb_mirror.report import write_report

        if self._mode == "offline":
            self._report("report", url="none without a server")
            return
        try:
            board = build_leaderboard(self._store.all())
            self._report("report", url=write_report(board, self._store, self._destination))
        except Exception as error:
            self._report("report", url="failed", note=describe_error(error))

    def _finish(self, run_id: str, content: str, sent: list[tuple[str, str]]) -> None:
        sent.append((run_id, content))
        if self._mode == "online":
            self._mark(run_id, content)
        else:
            self._report("written", run=run_id)

    def _mark(self, run_id: str, content: str) -> None:
        Marker(self._store, run_id).write(content, self._mode, self._destination)
        self._report("sent", run=run_id)

    @contextmanager
    def _start_run(
        self, *, id: str, started: float | None = None, succeeded: bool = True, **arguments: Any
    ) -> Iterator[wandb.Run]:
        """Start a run with its files in the folder `wandb/` of the store; finish it at the end.

        An offline run of the same id and destination is replaced. The run is marked as failed
        after an exception in the `with` block, or without `succeeded`.
        """
        root = self._store.path.resolve()
        _remove_offline_runs(root / "wandb", id, self._destination)
        # An offline run needs the files of tables and artifacts until it is synced.
        os.environ["WANDB_DATA_DIR"] = str(root / "wandb")
        with _run_start(started):
            run = wandb.init(
                project=self._destination.project,
                entity=self._destination.entity,
                id=id,
                reinit="create_new",
                settings=wandb.Settings(mode=self._mode, root_dir=str(root), **self._settings),
                **arguments,
            )
        if self._mode == "offline":
            folder = Path(run.dir).parent
            (folder / _DESTINATION_FILE).write_text(str(self._destination))
        self._report("started", run=id)
        try:
            yield run
        except Exception:
            run.finish(exit_code=1)
            raise
        self._report("logged", run=id)
        run.finish(exit_code=0 if succeeded else 1)


@contextmanager
def _run_start(moment: float | None) -> Iterator[None]:
    """Give the run that is created in the block its start; W&B has no setting for it."""
    original = wandb_run.Run._init

    def init(run: wandb_run.Run, *arguments: Any, **settings: Any) -> None:
        original(run, *arguments, **settings)
        if moment is not None:
            run._start_time = moment

    wandb_run.Run._init = init  # type: ignore[method-assign,assignment]
    try:
        yield
    finally:
        wandb_run.Run._init = original  # type: ignore[method-assign]


def _remove_offline_runs(folder: Path, id: str, destination: Destination) -> None:
    """Remove earlier offline runs of this id, because `wandb sync` would send them too."""
    for run in folder.glob(f"offline-run-*-{id}*"):  # of two in the same second, one ends in -1
        file = run / _DESTINATION_FILE
        if not file.is_file() or file.read_text() == str(destination):
            shutil.rmtree(run, ignore_errors=True)


def describe_error(error: Exception) -> str:
    """Return a one-line note about an error; print its redacted traceback, for `mirror.log`."""
    print(redact("".join(traceback.format_exception(error))), file=sys.stderr, flush=True)
    lines = redact(str(error)).strip().splitlines() or [""]
    return f"W&B: {type(error).__name__}: {lines[0]}"


def main() -> None:
    """Send the job in the file that the command line names."""
    output = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what the SDK prints goes to the log

    def report(kind: str, **values: Any) -> None:
        print(json.dumps({"kind": kind, **values}), file=output, flush=True)

    def end_with_parent() -> None:
        while os.read(0, 1):  # nothing is written; its end is that of the parent
            pass
        os._exit(1)

    threading.Thread(target=end_with_parent, daemon=True).start()
    job = json.loads(Path(sys.argv[1]).read_text())
    try:
        Sender(job, report).send()
    except Exception as error:
        report("error", note=describe_error(error))
    report("done")


if __name__ == "__main__":
    main()
