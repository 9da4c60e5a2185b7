"""The records of a store as a list: what ran, how it ended, and what to ask for next."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from rich.console import Console

from quintain.records.schema import Record
from quintain.report.text import ABSENT, console, first_line, grid, plain, seconds

_STYLE = {"ok": "green", "failed": "red", "skipped": "dim"}


def records_json(
    records: Iterable[Record], bundles: Mapping[str, str] | None = None
) -> list[dict[str, Any]]:
    """One dict of plain values for each record, by dataset, model, hardware and seed.

    `score` is the main score on test, `seconds` the run's wall time, `why` the error or reason,
    `bundle` the SHA-256 of the bundle that it was imported with (`bundles`: key → SHA-256).
    """
    came = bundles or {}
    return [_entry(r) | {"bundle": came.get(r.key)} for r in sorted(records, key=_order)]


def print_records(records: Iterable[Record], to: Console | None = None) -> None:
    """Print the list as a table."""
    out, table, entries = to or console(), grid(), records_json(records)
    for name in ("status", "dataset", "model", "hardware"):
        table.add_column(name, overflow="fold")
    for name in ("seed", "score", "seconds"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("key", no_wrap=True)
    if any(entry["why"] for entry in entries):
        table.add_column("why", overflow="fold")
    for entry in entries:
        cells = _cells(entry)[: len(table.columns)]
        table.add_row(*(plain(value) for value in cells), style=_STYLE[entry["status"]])
    out.print(table if entries else plain("no records"))


def _order(record: Record) -> tuple[str, str, str, int, str]:
    names = record.names
    return names.dataset, names.model, names.hardware, record.seed, record.key


def _entry(record: Record) -> dict[str, Any]:
    names = record.names
    place = {"dataset": names.dataset, "model": names.model, "hardware": names.hardware}
    ends = {"key": record.key, "group": record.group, "status": record.status}
    return ends | place | {
        "budget": names.budget,
        "seed": record.seed,
        "reference": record.reference,
        "metric": record.quality.main if record.quality else None,
        "score": record.main_test(),
        "seconds": record.cost.seconds.total if record.cost else None,
        "kind": record.error.kind if record.error else None,
        "why": record.error.message if record.error else record.reason,
        "finished": record.finished,
    }  # fmt: skip


def _cells(entry: dict[str, Any]) -> list[str]:
    score = ABSENT if entry["score"] is None else f"{entry['score']:.4g}"
    kind = f"{entry['kind']}: " if entry["kind"] else ""
    return [
        entry["status"],
        entry["dataset"],
        entry["model"],
        entry["hardware"],
        str(entry["seed"]),
        score,
        seconds(entry["seconds"]),
        entry["key"][:8],
        kind + first_line(entry["why"] or ""),
    ]
