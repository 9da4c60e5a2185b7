"""A W&B Report of a leaderboard: sentences, tables as text, and the project's runs as panels.

wandb-workspaces writes reports straight to a server, so there is none offline. The report's id is
marked in the store with the hash of what it shows: a second call writes nothing, a changed
leaderboard changes the same report.
"""

from __future__ import annotations

import hashlib
import json
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from typing import Any

from quintain.records.store import Store
from quintain.report.formats.markdown import markdown
from quintain.report.leaderboard import Board

TITLE = "Quintain leaderboard"


def write_report(board: Board, store: Store, project: str, entity: str | None) -> str:
    """Write or change the report; its URL, or "unchanged". Whatever the SDK raises comes through.

    Raises:
        ImportError: wandb-workspaces is not installed.
    """
    text = markdown(board)
    content = hashlib.sha256(text.encode()).hexdigest()
    marker = store.path / "mirror" / "report.json"
    place = f"{entity or ''}/{project}"
    before: dict[str, Any] = json.loads(marker.read_text()) if marker.exists() else {}
    known = before if before.get("place") == place else {}
    if known.get("content") == content:
        return "unchanged"
    with _quiet():
        report = _report(board, text, project, entity)
        report.id = known.get("id", "")
        report.save()
        url = str(report.url)
    marker.write_text(json.dumps({"place": place, "content": content, "id": report.id}))
    return url


def _report(board: Board, text: str, project: str, entity: str | None) -> Any:
    v2: Any = import_module("wandb_workspaces.reports.v2")
    where = {"project": project} | ({"entity": entity} if entity else {})
    runs = v2.Runset(**where, name="runs")
    metrics = list(dict.fromkeys(f"val/{row.metric}" for row in board.rows))
    panels = [v2.LinePlot(x="step", y=[metric], title=metric) for metric in metrics]
    blocks = [
        v2.H1(text=TITLE),
        *(v2.P(text=sentence) for sentence in board.sentences),
        v2.MarkdownBlock(text=text),
        v2.PanelGrid(runsets=[runs], panels=panels),
    ]
    return v2.Report(**where, title=TITLE, blocks=blocks, width="fluid")


@contextmanager
def _quiet() -> Iterator[None]:
    """Without the SDK's lines on the terminal, and without warnings of what is outdated in it."""
    import wandb

    log = wandb.termlog
    wandb.termlog = lambda *_, **__: None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            yield
    finally:
        wandb.termlog = log
