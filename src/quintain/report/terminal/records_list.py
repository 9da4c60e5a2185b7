"""Lists the records of a store: cell, status, score and key."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from rich.console import Console

from quintain.records.schema import Record
from quintain.report.formatting import ABSENT, first_line, format_seconds
from quintain.report.terminal.console import make_console, make_table, safe_text

_STYLE = {"ok": "green", "failed": "red", "skipped": "dim"}


def records_json(
    records: Iterable[Record], bundles: Mapping[str, str] | None = None
) -> list[dict[str, Any]]:
    """Return plain values for each record, sorted by dataset, model, hardware and seed.

    `score` is the main score on test, `seconds` the wall time of the run, `why` the error or the
    reason for skipping, `settings` the non-default ones, `bundle` the SHA-256 of the bundle that
    the record was imported from.

    Args:
        records: of any status.
        bundles: key → SHA-256 of the bundle, for imported records.
    """
    bundles = bundles or {}
    return [_entry(r) | {"bundle": bundles.get(r.key)} for r in sorted(records, key=_sort_key)]


def print_records(records: Iterable[Record], to: Console | None = None) -> None:
    """Print the list as a table."""
    out, table, entries = to or make_console(), make_table(), records_json(records)
    for name in ("status", "dataset", "model", "hardware", "settings"):
        table.add_column(name, overflow="fold")
    for name in ("seed", "score", "seconds"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("key", no_wrap=True)
    if any(entry["why"] for entry in entries):
        table.add_column("why", overflow="fold")
    for entry in entries:
        cells = _cells(entry)[: len(table.columns)]
        table.add_row(*map(safe_text, cells), style=_STYLE[entry["status"]])
    out.print(table if entries else safe_text("no records"))


def _sort_key(record: Record) -> tuple[str, str, str, int, str]:
    names = record.names
    return names.dataset, names.model, names.hardware, record.seed, record.key


def _entry(record: Record) -> dict[str, Any]:
    return {
        "key": record.key,
        "group": record.group,
        "status": record.status,
        "dataset": record.names.dataset,
        "model": record.names.model,
        "hardware": record.names.hardware,
        "budget": record.names.budget,
        "settings": dict(record.changed or {}),
        "seed": record.seed,
        "baseline": record.baseline,
        "metric": record.quality.main if record.quality else None,
        "score": record.main_test_score(),
        "seconds": record.cost.seconds.total if record.cost else None,
        "kind": record.error.kind if record.error else None,
        "why": record.error.message if record.error else record.reason,
        "finished": record.finished,
    }


def _cells(entry: dict[str, Any]) -> list[str]:
    score = ABSENT if entry["score"] is None else f"{entry['score']:.4g}"
    kind = f"{entry['kind']}: " if entry["kind"] else ""
    return [
        *(entry[name] for name in ("status", "dataset", "model", "hardware")),
        ", ".join(f"{name}={value}" for name, value in entry["settings"].items()),
        str(entry["seed"]),
        score,
        format_seconds(entry["seconds"]),
        entry["key"][:8],
        kind + first_line(entry["why"] or ""),
    ]
