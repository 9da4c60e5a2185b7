"""What every record of a cell says, however its run ended. Light: the launcher writes these too."""

from __future__ import annotations

from typing import Any

from quintain.compose.cells import PARTS, RESULTS_VERSION, Cell, deciding
from quintain.records.schema import Record, utc_now


def identity(cell: Cell) -> dict[str, Any]:
    """The fields of a record that the cell decides; a part it does not have is "none"."""
    parts = {part: deciding(node) for part, node in cell.config.items()}
    return {
        "key": cell.key,
        "group": cell.group,
        "reference": cell.reference is not None,
        "names": dict.fromkeys(PARTS, "none") | cell.names,
        "seed": cell.seed,
        "changed": cell.changed,
        "trial": {k: cell.trial[k] for k in ("study", "number")} if cell.trial else None,
        "tuned": cell.tuned,
        "cell": {**parts, "sources": cell.sources, "results_version": RESULTS_VERSION},
    }


def failed(cell: Cell, error: dict[str, str], started: str) -> Record:
    """The record of a run that did not end well."""
    ended = {"status": "failed", "error": error, "started": started, "finished": utc_now()}
    return Record.model_validate(identity(cell) | ended)


def skipped(cell: Cell, reason: str) -> Record:
    """The record of a cell that cannot work, with the reason."""
    now = utc_now()
    ended = {"status": "skipped", "reason": reason, "started": now, "finished": now}
    return Record.model_validate(identity(cell) | ended)
