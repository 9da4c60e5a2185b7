"""Aggregates models over datasets: interquartile mean, mean rank and performance profile."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from quintain.records.schema import Record
from quintain.report.comparisons import budget_settings, group_by
from quintain.report.configuration_labels import non_default_settings
from quintain.report.rows import Row, is_default
from quintain.report.table_names import name_tables
from quintain.stats.aggregate import iqm_interval, mean_ranks, normalise
from quintain.stats.intervals import mean_interval
from quintain.stats.performance_profiles import Profile, Time, performance_profiles

Table = Sequence[Row]
Runs = Mapping[tuple[str, int], Record]
"""(group, seed) → record."""

TARGET = 0.9
"""Target of the time to score, normalized: the worst baseline of a table is 0, its best row 1."""


@dataclass(frozen=True, kw_only=True)
class Aggregate:
    """One model over all tables of one budget; numbers are None if it is not in every table.

    `iqm` is the interquartile mean over datasets and seeds of normalized scores (0: worst baseline
    of the table, 1: best row), with its 95 % interval over seeds (jackknife, Student's t).
    `mean_rank` is among the models that are in every table. `profile` is the performance profile of
    the training time until the normalized validation score reaches 0.9; `has_rough_times` says that
    a check of these times failed. `missing` lists the tables without a row of the model.
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
    has_rough_times: bool = False


def aggregate_models(tables: Sequence[Table], runs: Runs) -> list[Aggregate]:
    """Return the aggregates of every budget with more than one table, best model first."""
    return [
        aggregate
        for label, same_budget in group_by_budget(tables, runs)
        for aggregate in _aggregate(label, same_budget, runs)
    ]


def group_by_budget(tables: Sequence[Table], runs: Runs) -> Iterator[tuple[str, list[Table]]]:
    """Yield a label and the tables of each budget that has several."""
    ranked = [table for table in tables if not all(row.baseline for row in table)]
    by_budget = group_by(ranked, lambda table: budget_settings(_first_record(table, runs)))
    for same_budget in by_budget.values():
        if len(same_budget) > 1:
            record = _first_record(same_budget[0], runs)
            settings = non_default_settings(record, ("budget", "measure"))
            changed = [f"{k}={v}" for k, v in settings.items() if k != "budget"]
            yield ", ".join([record.names.budget, *changed]), same_budget


def rows_by_label(tables: Sequence[Table]) -> dict[str, list[Row]]:
    """Group the rows of all tables by a label of the model; baselines come last.

    The label is the model's name, with the hardware if the tables have several options, and with
    the variant where a table has several rows of the same name. Of those, a single row with default
    settings has no variant in its label.
    """
    rows = [row for table in tables for row in table]
    has_several = len({row.hardware for row in rows if not row.baseline}) > 1

    def name(row: Row) -> str:
        return row.model + (f" on {row.hardware}" if has_several and not row.baseline else "")

    counts = [Counter((name(row), is_default(row)) for row in table) for table in tables]

    def label(row: Row) -> str:
        key, default_key = (name(row), is_default(row)), (name(row), True)
        is_ambiguous = any(
            count[key] > 1 or (key != default_key and count[key] and count[default_key])
            for count in counts
        )
        return name(row) + (f" ({row.variant})" if row.variant and is_ambiguous else "")

    return group_by(sorted(rows, key=lambda row: row.baseline), label)


def find_row(rows: Sequence[Row], table: Table) -> Row | None:
    """Return the first of these rows that belongs to the table."""
    in_table = {id(row) for row in table}
    return next((row for row in rows if id(row) in in_table), None)


def _first_record(table: Table, runs: Runs) -> Record:
    row = next(row for row in table if not row.baseline)
    return runs[row.group, row.seeds[0]]


def _aggregate(budget: str, tables: Sequence[Table], runs: Runs) -> list[Aggregate]:
    table_names = [name.replace("`", "") for name in name_tables(tables)]
    models = {name: rows for name, rows in rows_by_label(tables).items() if not rows[0].baseline}
    grid = [[find_row(rows, table) for table in tables] for rows in models.values()]
    scales = [score_scale(table) for table in tables]
    ranks = mean_ranks([[None if row is None or row.mean is None else row.sign * row.mean
                         for row in line] for line in grid])  # fmt: skip
    profiles = performance_profiles(_times(grid, tables, runs))
    aggregates = []
    for name, line, rank, profile in zip(models, grid, ranks, profiles, strict=True):
        iqm = iqm_interval([
            [normalise(score, *scale) for score in (row.scores if row else [])]
            for row, scale in zip(line, scales, strict=True)
        ])  # fmt: skip
        missing = [name for row, name in zip(line, table_names, strict=True) if row is None]
        aggregates.append(
            Aggregate(
                budget=budget, model=name, tables=len(tables),
                iqm=iqm.mean, iqm_low=iqm.low, iqm_high=iqm.high,
                mean_rank=rank, profile=profile, missing=", ".join(missing),
                has_rough_times=any(row.has_rough_times for row in line if row),
            )
        )  # fmt: skip
    return sorted(aggregates, key=lambda a: (a.iqm is None, -(a.iqm or 0.0), a.model))


def score_scale(table: Table) -> tuple[float | None, float | None]:
    """Return the scores that are normalized to 0 (worst baseline) and 1 (best row)."""
    sign = table[0].sign
    means = [sign * row.mean for row in table if row.mean is not None]
    baselines = [sign * row.mean for row in table if row.baseline and row.mean is not None]
    return (sign * min(baselines) if baselines else None), (sign * max(means) if means else None)


def _times(
    grid: Sequence[Sequence[Row | None]], tables: Sequence[Table], runs: Runs
) -> list[list[Time]]:
    """Return for each model its training times until the target, one per table and seed."""
    problems = [(i, seed) for i, table in enumerate(tables) for seed in seeds_of_models(table)]
    targets = [target_score(table, runs) for table in tables]
    return [
        [seconds_to_target(line[i], seed, targets[i], runs) for i, seed in problems]
        for line in grid
    ]


def seeds_of_models(table: Table) -> list[int]:
    """Return the seeds of all models of a table."""
    return sorted({seed for row in table if not row.baseline for seed in row.seeds})


def target_score(table: Table, runs: Runs) -> float | None:
    """Return the validation score of the target; None if the table has no baseline."""
    sign = table[0].sign
    scores = [(row.baseline, _validation_mean(row, runs)) for row in table]
    known = [(baseline, sign * score) for baseline, score in scores if score is not None]
    zero = min((score for baseline, score in known if baseline), default=None)
    if zero is None:
        return None
    return sign * (zero + TARGET * (max(score for _, score in known) - zero))


def _validation_mean(row: Row, runs: Runs) -> float | None:
    """Return the mean main validation score of a row; None if a seed has none."""
    records = [runs.get((row.group, seed)) for seed in row.seeds]
    values = [r.quality.main_score.val for r in records if r and r.quality]
    known = [value for value in values if value is not None]
    return mean_interval(known).mean if len(known) == len(row.seeds) else None


def seconds_to_target(row: Row | None, seed: int, target: float | None, runs: Runs) -> Time:
    """Return the training time until the first validation at the target; see `Time`."""
    if row is None or target is None or seed not in row.seeds:
        return None
    record = runs.get((row.group, seed))
    is_timed = row.train_seconds is not None  # on the same hardware class as the other rows
    if record is None or record.quality is None or not is_timed:
        return None
    for point in record.quality.curve:
        value = point.val.get(row.metric)
        if value is not None and row.sign * value >= row.sign * target:
            return point.seconds
    return math.inf
