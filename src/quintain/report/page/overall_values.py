"""What the page needs to aggregate models over the datasets that its filters show.

The scripts compute interquartile means, their intervals, mean ranks and performance profiles like
`report.overall`; a test compares the two.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from quintain.report.overall import (
    Runs,
    Table,
    group_by_budget,
    rows_by_label,
    score_scale,
    seconds_to_target,
    seeds_of_models,
    target_score,
)
from quintain.report.table_names import name_tables
from quintain.stats.aggregate import MAX_DEGREES_OF_FREEDOM
from quintain.stats.intervals import t_quantile

NEVER = -1  # seconds to a target that was not reached; JSON has no infinity


def add_overall_values(
    values: Sequence[dict[str, Any]], tables: Sequence[Table], runs: Runs
) -> None:
    """Add `overall` to the values of each table and its rows; None if its budget has no other.

    For a table these are the label of the budget, the name of the table, and the scores that are
    normalised to 0 and 1; for a row its label and the seconds to the target, one per seed of the
    table's models.
    """
    by_table = {id(table): value for table, value in zip(tables, values, strict=True)}
    for value in values:
        value["overall"] = None
    for budget, same_budget in group_by_budget(tables, runs):
        labels = {id(row): label for label, rows in rows_by_label(same_budget).items()
                  for row in rows}  # fmt: skip
        for table, name in zip(same_budget, name_tables(same_budget), strict=True):
            value, (zero, one) = by_table[id(table)], score_scale(table)
            name = name.replace("`", "")
            value["overall"] = {"budget": budget, "name": name, "zero": zero, "one": one}
            target, seeds = target_score(table, runs), seeds_of_models(table)
            for row, row_value in zip(table, value["rows"], strict=True):
                times = [seconds_to_target(row, seed, target, runs) for seed in seeds]
                row_value["overall"] = {
                    "label": labels[id(row)],
                    "times": [NEVER if t == math.inf else t for t in times],
                }


def t_quantiles() -> list[float]:
    """Return the 97.5 % quantiles of Student's t for 1, 1.25, 1.5, … degrees of freedom."""
    steps = range(4, 4 * MAX_DEGREES_OF_FREEDOM + 1)
    return [round(t_quantile(0.975, step / 4), 9) for step in steps]
