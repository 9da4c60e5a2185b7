"""Fields that every record of a cell has; imports no torch, because launchers write records too."""

from __future__ import annotations

from typing import Any

from quintain.compose.settings import PARTS
from quintain.plan.cell import RESULTS_VERSION, Cell, result_settings
from quintain.records.schema import Record, utc_now


def build_identity_fields(cell: Cell) -> dict[str, Any]:
    """Return the fields of a record that describe its cell.

    `names` has the option of each part of the configuration, "none" for a part that the cell lacks.
    """
    parts = {part: result_settings(node) for part, node in cell.config.items()}
    return {
        "key": cell.key,
        "group": cell.group,
        "baseline": cell.baseline is not None,
        "names": dict.fromkeys(PARTS, "none") | cell.names,
        "seed": cell.seed,
        "changed": cell.non_defaults,
        "trial": {k: cell.trial[k] for k in ("study", "number")} if cell.trial else None,
        "tuned": cell.tuned,
        "cell": {**parts, "sources": cell.sources, "results_version": RESULTS_VERSION},
    }


def build_failed_record(cell: Cell, error: dict[str, str], started: str) -> Record:
    """Return the record of a run that failed; `error` as from `describe_failure`."""
    result = {"status": "failed", "error": error, "started": started, "finished": utc_now()}
    return Record.model_validate(build_identity_fields(cell) | result)


def build_skipped_record(cell: Cell, reason: str) -> Record:
    """Return the record of a cell whose parts do not fit together, with the reason."""
    now = utc_now()
    result = {"status": "skipped", "reason": reason, "started": now, "finished": now}
    return Record.model_validate(build_identity_fields(cell) | result)
