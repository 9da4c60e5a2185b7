"""Writes a W&B Report of a leaderboard: sentences, tables as Markdown, and charts of the runs.

wandb-workspaces writes reports directly to a server, so there are none offline. The store keeps id
and content hash of the report, so that later calls update it, and only if it has changed.
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
from quintain.report.formats.markdown import to_markdown
from quintain.report.leaderboard import Leaderboard
from quintain.wandb_mirror.client import Destination

TITLE = "Quintain leaderboard"


def write_report(board: Leaderboard, store: Store, destination: Destination) -> str:
    """Create or update the report; return its URL, or "unchanged".

    Raises:
        ImportError: wandb-workspaces is not installed.
        Exception: any error of the SDK.
    """
    text = to_markdown(board)
    content = hashlib.sha256(text.encode()).hexdigest()
    marker = store.path / "mirror" / "report.json"
    earlier: dict[str, Any] = json.loads(marker.read_text()) if marker.exists() else {}
    if earlier.get("place") != str(destination):
        earlier = {}
    if earlier.get("content") == content:
        return "unchanged"
    with _silent_sdk():
        report = _build_report(board, text, destination)
        report.id = earlier.get("id", "")
        report.save()
        url = str(report.url)
    sent = {"place": str(destination), "content": content, "id": report.id}
    marker.write_text(json.dumps(sent))
    return url


def _build_report(board: Leaderboard, text: str, destination: Destination) -> Any:
    v2: Any = import_module("wandb_workspaces.reports.v2")
    location = {k: v for k, v in destination._asdict().items() if v}
    metrics = list(dict.fromkeys(f"val/{row.metric}" for row in board.rows))
    panels = [v2.LinePlot(x="step", y=[metric], title=metric) for metric in metrics]
    blocks = [
        v2.H1(text=TITLE),
        *(v2.P(text=sentence) for sentence in board.sentences),
        v2.MarkdownBlock(text=text),
        v2.PanelGrid(runsets=[v2.Runset(**location, name="runs")], panels=panels),
    ]
    return v2.Report(**location, title=TITLE, blocks=blocks, width="fluid")


@contextmanager
def _silent_sdk() -> Iterator[None]:
    """Suppress the SDK's terminal output and deprecation warnings."""
    import wandb

    termlog = wandb.termlog
    wandb.termlog = lambda *_, **__: None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            yield
    finally:
        wandb.termlog = termlog
