"""Models over all datasets of one budget: interquartile mean, mean rank, time to a target."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from quintain.records.schema import Record
from quintain.report.comparisons import budget_settings
from quintain.report.matrix import labels
from quintain.report.rows import Row, by
from quintain.report.variants import off_default
from quintain.stats.aggregate import iqm_interval, mean_ranks, normalised
from quintain.stats.profiles import Profile, Time, performance_profiles

Table = Sequence[Row]
Runs = Mapping[tuple[str, int], Record]
"""Group and seed → record."""

NEAR = 0.9  # of the way from the worst reference to the best row: the target that times are to


@dataclass(frozen=True, kw_only=True)
class Aggregate:
    """One model over all tables of one budget; a table that it lacks makes the numbers missing.

    `iqm` is the interquartile mean over datasets and seeds of scores on a scale where the worst
    reference row of a table is 0 and its best row 1, with its bootstrap interval over seeds.
    `mean_rank` is over the models that have all tables. `profile` is over the seconds of training
    to a validation score nine tenths of the way from that 0 to that 1. `missing` says what lacks.
    """

    budget: str
    model: str
    tables: int
    iqm: float | None
    iqm_low: float | None
    iqm_high: float | None
    mean_rank: float | None
    profile: Profile | None
    missing: str


def overall(tables: Sequence[Table], runs: Runs) -> list[Aggregate]:
    """Aggregates for each budget with several tables, best first; nothing where there is none."""
    found = []
    ranked = [table for table in tables if not all(row.reference for row in table)]
    for same in by(ranked, lambda table: budget_settings(_first(table, runs))).values():
        if len(same) > 1:
            first = _first(same[0], runs)
            told = [
                f"{k}={v}"
                for k, v in off_default(first, ("budget", "measure")).items()
                if k != "budget"
            ]
            found += _aggregates(", ".join([first.names.budget, *told]), same, runs)
    return found


def _first(table: Table, runs: Runs) -> Record:
    row = next(row for row in table if not row.reference)
    return runs[row.group, row.seeds[0]]


def _aggregates(budget: str, tables: Sequence[Table], runs: Runs) -> list[Aggregate]:
    models = {name: rows for name, rows in labels(tables).items() if not rows[0].reference}
    grid = [[_row(rows, table) for table in tables] for rows in models.values()]
    scales = [_scale(table) for table in tables]
    signs = [1 if table[0].direction == "max" else -1 for table in tables]
    ranks = mean_ranks([[_signed(row, sign) for row, sign in zip(line, signs, strict=True)]
                        for line in grid])  # fmt: skip
    profiles = performance_profiles(_times(grid, tables, runs))
    found = []
    for name, line, rank, profile in zip(models, grid, ranks, profiles, strict=True):
        pairs = zip(line, scales, strict=True)
        scores = [
            [normalised(s, *scale) for s in (row.scores if row else [])] for row, scale in pairs
        ]
        iqm = iqm_interval(scores)
        lacks = [table[0].dataset for row, table in zip(line, tables, strict=True) if row is None]
        found.append(
            Aggregate(
                budget=budget, model=name, tables=len(tables),
                iqm=iqm.mean, iqm_low=iqm.low, iqm_high=iqm.high,
                mean_rank=rank, profile=profile, missing=", ".join(lacks),
            )
        )  # fmt: skip
    return sorted(found, key=lambda one: (one.iqm is None, -(one.iqm or 0.0), one.model))


def _row(rows: Sequence[Row], table: Table) -> Row | None:
    here = {id(row) for row in table}
    return next((row for row in rows if id(row) in here), None)


def _signed(row: Row | None, sign: int) -> float | None:
    return None if row is None or row.mean is None else sign * row.mean


def _scale(table: Table) -> tuple[float | None, float | None]:
    """The scores that count as 0 and 1."""
    best = max if table[0].direction == "max" else min
    worst = min if table[0].direction == "max" else max
    means = [row.mean for row in table if row.mean is not None]
    references = [row.mean for row in table if row.reference and row.mean is not None]
    return (worst(references) if references else None), (best(means) if means else None)


def _times(
    grid: Sequence[Sequence[Row | None]], tables: Sequence[Table], runs: Runs
) -> list[list[Time]]:
    """For each model the seconds to the target of each table and seed."""
    problems = [(i, seed) for i, table in enumerate(tables) for seed in _seeds(table)]
    targets = [_target(table, runs) for table in tables]
    return [
        [_time(line[i], seed, targets[i], runs) for i, seed in problems] if problems else []
        for line in grid
    ]


def _seeds(table: Table) -> list[int]:
    return sorted({seed for row in table if not row.reference for seed in row.seeds})


def _target(table: Table, runs: Runs) -> float | None:
    found = [(row.reference, _validated(row, runs)) for row in table]
    best = max if table[0].direction == "max" else min
    worst = min if table[0].direction == "max" else max
    zero = [value for reference, value in found if reference and value is not None]
    known = [value for _, value in found if value is not None]
    if not zero:
        return None
    return worst(zero) + NEAR * (best(known) - worst(zero))


def _validated(row: Row, runs: Runs) -> float | None:
    """Mean validation score of a row's runs."""
    found = [_run(row, seed, runs) for seed in row.seeds]
    values = [r.quality.scores[r.quality.main].val for r in found if r and r.quality]
    known = [value for value in values if value is not None]
    return math.fsum(known) / len(known) if known and len(known) == len(row.seeds) else None


def _time(row: Row | None, seed: int, target: float | None, runs: Runs) -> Time:
    record = _run(row, seed, runs) if row else None
    if row is None or target is None or record is None or record.quality is None:
        return None
    if row.train_seconds is None:  # of another class of machines than the others' times
        return None
    sign = 1 if row.direction == "max" else -1
    for point in record.quality.curve:
        value = point.val.get(row.metric)
        if value is not None and sign * value >= sign * target:
            return point.seconds
    return math.inf


def _run(row: Row, seed: int, runs: Runs) -> Record | None:
    return runs.get((row.group, seed)) if seed in row.seeds else None
