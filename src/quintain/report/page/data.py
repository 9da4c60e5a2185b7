"""Collects the data of the page as plain values: tables with rows, curves, costs and samples."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

from quintain._version import __version__
from quintain.records.cost import Cost
from quintain.records.hardware_classes import HardwareClass, hardware_class, most_common_classes
from quintain.records.schema import Record
from quintain.records.store import Store
from quintain.report.comparisons import group_by, split_by_content
from quintain.report.current_records import load_current_records
from quintain.report.formatting import decimal_places
from quintain.report.leaderboard import Leaderboard, build_leaderboard
from quintain.report.page.media import SampleCollector
from quintain.report.page.overall_values import add_overall_values, t_quantiles
from quintain.report.rows import TIMING_CHECKS, Row, host_name, measurements, table_key
from quintain.stats.intervals import mean_interval

Json = dict[str, Any]
CURVE_POINTS = 60  # per seed, at most

COSTS = [
    {"name": "params", "label": "parameters", "over": "largest"},
    {"name": "train_seconds", "label": "training s", "over": "sum"},
    {"name": "total_seconds", "label": "whole run s", "over": "sum"},
    {"name": "samples_per_second", "label": "samples/s", "over": "smallest"},
    {"name": "latency_ms", "label": "latency ms", "over": "largest"},
    {"name": "memory_mb", "label": "memory MiB", "over": "largest"},
    {"name": "device_mb", "label": "device MiB", "over": "largest"},
    {"name": "energy_wh", "label": "energy Wh", "over": "sum"},
    {"name": "mflops", "label": "MFLOPs a sample", "over": "largest"},
]
"""The costs that the page offers: key, label, and how values are combined over datasets."""
_COST_GETTERS: dict[str, Callable[[Cost], float | None]] = {
    "total_seconds": lambda cost: cost.seconds.total,
    "latency_ms": lambda cost: cost.latency_ms["1"].p50 if "1" in cost.latency_ms else None,
    "memory_mb": lambda cost: cost.memory_mb.host_peak,
    "device_mb": lambda cost: cost.memory_mb.device_peak,
    "energy_wh": lambda cost: None if cost.energy_kwh is None else 1e3 * cost.energy_kwh,
    "mflops": lambda cost: None if cost.flops_per_sample is None else cost.flops_per_sample / 1e6,
}
_MACHINE_DEPENDENT = ("total_seconds", "latency_ms", "energy_wh")


def collect_page_data(store: Store) -> Json:
    """Return the data that the scripts of the page show."""
    records, older = load_current_records(store)
    board = build_leaderboard(records, older)
    groups = {row.group for row in board.rows}
    ranked = [record for record in records if record.status == "ok" and record.group in groups]
    by_group = group_by(ranked, lambda record: record.group)
    collector = SampleCollector(store)
    tables = list(group_by(board.rows, table_key).values())
    runs = {(record.group, record.seed): record for record in ranked}
    values = [_table(rows, by_group, collector) for rows in tables]
    add_overall_values(values, tables, runs)
    return {
        "built": datetime.now(UTC).isoformat(timespec="minutes"),
        "quintain": __version__,
        "counts": _counts(board, ranked),
        "costs": COSTS,
        "tables": values,
        "t_quantiles": t_quantiles(),
        "machines": _machines(ranked),
        "trust": _checks(board.rows),
        "sentences": board.sentences,
        "notes": board.notes,
        "failed": board.failed,
        "skipped": board.skipped,
        "media": collector.media,
        "left_out": collector.left_out_note(),
    }


def _counts(board: Leaderboard, records: Sequence[Record]) -> Json:
    models = [row for row in board.rows if not row.baseline]
    return {
        "models": len({row.model for row in models}),
        "datasets": len({row.dataset for row in board.rows}),
        "modalities": len({row.modality for row in board.rows}),
        "seeds": max((row.n for row in models), default=0),
        "runs": len(records),
        "machines": len(set(map(host_name, records))),
    }


def _table(
    rows: Sequence[Row], by_group: Mapping[str, Sequence[Record]], collector: SampleCollector
) -> Json:
    """Return one table: its rows, and samples with the predictions of each row's first seed."""
    first = rows[0]
    records = [_find_records(row, by_group) for row in rows]
    classes = most_common_classes(record for seeds in records for record in seeds)
    return {
        "dataset": first.dataset,
        "modality": first.modality,
        "task": first.task,
        "generated": any(row.generated for row in rows),
        "metric": first.metric,
        "direction": first.direction,
        "unit": "" if first.unit == "1" else first.unit,
        "comparison": first.comparison,
        "places": decimal_places(row.mean for row in rows),
        "rows": [_row(row, seeds, classes) for row, seeds in zip(rows, records, strict=True)],
        "samples": collector.collect([seeds[0] if seeds else None for seeds in records]),
    }


def _find_records(row: Row, by_group: Mapping[str, Sequence[Record]]) -> list[Record]:
    """Return the records of a row, sorted by seed; its group may have others, on other data."""
    for records in split_by_content(list(by_group.get(row.group, ()))):
        seeds = sorted((r for r in records if r.seed in row.seeds), key=lambda r: r.seed)
        has_all = [r.seed for r in seeds] == sorted(row.seeds)
        if has_all and mean_interval(r.main_test_score() for r in seeds).mean == row.mean:
            return seeds
    return []


def _row(row: Row, records: Sequence[Record], classes: Mapping[str, HardwareClass]) -> Json:
    """Return the fields of a row with its costs, curves and confusion matrix."""
    targets = (measurements(record)[1].target for record in records)
    return asdict(row) | {
        "rough": row.has_rough_times,
        "costs": _costs(row, records, classes.get(row.hardware)),
        "curves": [_curve(record) for record in records],
        "target": next((target.value for target in targets if target), None),
        "confusion": _confusion(records),
    }


def _costs(
    row: Row, records: Sequence[Record], usual: HardwareClass | None
) -> dict[str, float | None]:
    """Return cost → mean over the seeds whose times count; None if it is missing for a seed.

    `usual` is the hardware class of the times in the table, see `rows.build_rows`.
    """
    same_host = [r for r in records if host_name(r) == row.host]
    timed = [r for r in same_host if hardware_class(r.machine) == usual]
    costs = [measurements(r)[2] for r in timed or same_host]
    means = {name: mean_interval(map(get, costs)).mean for name, get in _COST_GETTERS.items()}
    if row.train_seconds is None:  # no seed ran on the hardware class of the other rows
        means |= dict.fromkeys(_MACHINE_DEPENDENT)
    row_costs = ("params", "train_seconds", "samples_per_second")
    return {name: getattr(row, name) for name in row_costs} | means


def _curve(record: Record) -> list[list[float | None]]:
    """Return [step, seconds, main validation score] of at most `CURVE_POINTS` points."""
    quality = measurements(record)[1]
    stride = -(-len(quality.curve) // CURVE_POINTS) or 1
    points: list[list[float | None]] = []
    for point in quality.curve[::-1][::stride][::-1]:  # with the last point
        value = point.val.get(quality.main)
        rounded = None if value is None else float(f"{value:.6g}")
        points.append([point.step, round(point.seconds, 4), rounded])
    return points


def _confusion(records: Sequence[Record]) -> Json | None:
    """Return the confusion matrix summed over seeds; None if one is missing or classes differ."""
    matrices = [m for record in records if (m := measurements(record)[1].confusion) is not None]
    if len(matrices) < len(records) or len({tuple(m.classes) for m in matrices}) != 1:
        return None
    counts = [[sum(cell) for cell in zip(*line, strict=True)]
              for line in zip(*(m.counts for m in matrices), strict=True)]  # fmt: skip
    return {"classes": matrices[0].classes, "counts": counts}


def _machines(records: Iterable[Record]) -> list[Json]:
    """Return each machine: host, number of runs, properties and package versions."""
    return [
        {
            "host": host,
            "runs": len(runs),
            "facts": {k: v for k, v in runs[-1].machine.items() if k != "host" and v is not None},
            "versions": {
                package: ", ".join(sorted({v for r in runs if (v := r.versions.get(package))}))
                for package in runs[-1].versions
            },
        }
        for host, runs in group_by(records, host_name).items()
    ]


def _checks(rows: Sequence[Row]) -> list[Json]:
    """Return each check: number of rows that passed, notes about those that failed."""
    checks = [(name, row, check) for row in rows for name, check in row.trust.items()]
    return [
        {
            "check": name,
            "about": "times and costs" if name in TIMING_CHECKS else "the result",
            "good": sum(check["ok"] is True for _, _, check in cases),
            "doubtful": [
                f"{row.dataset}/{row.model}: {check['note']}"
                for _, row, check in cases
                if check["ok"] is False
            ],
            "unknown": sum(check["ok"] is None for _, _, check in cases),
        }
        for name, cases in group_by(checks, lambda check: check[0]).items()
    ]
