"""What the page shows, as plain values: the board's rows with their curves, costs and samples."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

import quintain
from quintain.records.machines import HardwareClass, usual_classes
from quintain.records.schema import Record
from quintain.records.store import Store
from quintain.report.comparisons import by_content
from quintain.report.leaderboard import Board, leaderboard
from quintain.report.live import live
from quintain.report.page import costs
from quintain.report.page.media import Album
from quintain.report.rows import Row, by, column, parts
from quintain.report.table import TIMING
from quintain.report.text import decimals
from quintain.stats.intervals import mean_interval

Json = dict[str, Any]
POINTS = 60  # of a seed's curve; more could not be told apart on a screen


def page_data(store: Store) -> Json:
    """Everything that stands on the page."""
    records, older = live(store)
    board = leaderboard(records, older)
    shown = {row.group for row in board.rows}
    done = [record for record in records if record.status == "ok" and record.group in shown]
    found = by(done, lambda record: record.group)
    album = Album(store)
    return {
        "built": datetime.now(UTC).isoformat(timespec="minutes"),
        "quintain": quintain.__version__,
        "counts": _counts(board, done),
        "costs": costs.COSTS,
        "tables": [_table(rows, found, album) for rows in by(board.rows, column).values()],
        "machines": _machines(done),
        "trust": _trust(board.rows),
        "overall": [asdict(one) for one in board.overall],
        "sentences": board.sentences,
        "notes": board.notes,
        "failed": board.failed,
        "skipped": board.skipped,
        "media": album.media,
        "left_out": album.left_out(),
    }


def _counts(board: Board, records: Sequence[Record]) -> Json:
    """Of what the page shows."""
    models = [row for row in board.rows if not row.reference]
    return {
        "models": len({row.model for row in models}),
        "datasets": len({row.dataset for row in board.rows}),
        "modalities": len({row.modality for row in board.rows}),
        "seeds": max((row.n for row in models), default=0),
        "runs": len(records),
        "machines": len({str(r.machine.get("host")) for r in records}),
    }


def _table(rows: Sequence[Row], found: Mapping[str, Sequence[Record]], album: Album) -> Json:
    """One comparison: its rows, and the samples that their first seeds answered."""
    first = rows[0]
    seeds = [_records(row, found) for row in rows]
    usual = usual_classes(record for of in seeds for record in of)
    return {
        "dataset": first.dataset,
        "modality": first.modality,
        "task": first.task,
        "generated": any(row.generated for row in rows),
        "metric": first.metric,
        "direction": first.direction,
        "unit": "" if first.unit == "1" else first.unit,
        "comparison": first.comparison,
        "places": decimals(row.mean for row in rows),
        "rows": [_row(row, of, usual) for row, of in zip(rows, seeds, strict=True)],
        "samples": album.samples([of[0] if of else None for of in seeds], first.task),
    }


def _records(row: Row, found: Mapping[str, Sequence[Record]]) -> list[Record]:
    """Those a row is the mean of, seeds in order; a group may be of several contents of data."""
    for of in by_content(list(found.get(row.group, ()))):
        mine = sorted((r for r in of if r.seed in row.seeds), key=lambda r: r.seed)
        same = [r.seed for r in mine] == sorted(row.seeds)
        if same and mean_interval(r.main_test() for r in mine).mean == row.mean:
            return mine
    return []


def _row(row: Row, records: Sequence[Record], usual: Mapping[str, HardwareClass]) -> Json:
    """The board's row, the costs one can choose, the seeds' curves, the confusion."""
    return asdict(row) | {
        "costs": costs.of(records, row, usual.get(row.hardware)),
        "curves": [_curve(record) for record in records],
        "target": next((q.target.value for q in (parts(r)[1] for r in records) if q.target), None),
        "confusion": _confusion(records),
    }


def _curve(record: Record) -> list[list[float | None]]:
    """[step, seconds, main score on validation], thinned to `POINTS`; the last one stays."""
    quality = parts(record)[1]
    every = [[p.step, round(p.seconds, 4), _short(p.val.get(quality.main))] for p in quality.curve]
    stride = -(-len(every) // POINTS) or 1
    return every[::-1][::stride][::-1]


def _short(value: float | None) -> float | None:
    return None if value is None else float(f"{value:.6g}")


def _confusion(records: Sequence[Record]) -> Json | None:
    """Counts summed over seeds; None where a seed has none, or the classes differ."""
    every = [parts(record)[1].confusion for record in records]
    given = [one for one in every if one is not None]
    if not given or len(given) < len(every) or len({tuple(one.classes) for one in given}) > 1:
        return None
    counts = [[sum(cell) for cell in zip(*line, strict=True)]
              for line in zip(*(one.counts for one in given), strict=True)]  # fmt: skip
    return {"classes": given[0].classes, "counts": counts}


def _machines(records: Iterable[Record]) -> list[Json]:
    """Each machine once, with the number of runs on it and the versions they had."""
    found: dict[str, list[Record]] = by(records, lambda r: str(r.machine.get("host")))
    return [
        {
            "host": host,
            "runs": len(of),
            "facts": {k: v for k, v in of[-1].machine.items() if k != "host" and v is not None},
            "versions": {k: ", ".join(sorted({r.versions[k] for r in of if k in r.versions}))
                         for k in of[-1].versions},
        }
        for host, of in found.items()
    ]  # fmt: skip


def _trust(rows: Sequence[Row]) -> list[Json]:
    """Of each check how many rows passed, are doubtful, are not known; and what the first said."""
    found: dict[str, list[tuple[Row, Json]]] = {}
    for row in rows:
        for name, said in row.trust.items():
            found.setdefault(name, []).append((row, said))
    return [
        {
            "check": name,
            "about": "times and costs" if name in TIMING else "the result",
            "good": sum(said["ok"] is True for _, said in of),
            "doubtful": [f"{row.dataset}/{row.model}: {said['note']}" for row, said in of
                         if said["ok"] is False],
            "unknown": sum(said["ok"] is None for _, said in of),
        }
        for name, of in found.items()
    ]  # fmt: skip
