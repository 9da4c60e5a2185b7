"""Names of the tables of a leaderboard, for sentences."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from quintain.report.configuration_labels import split_settings
from quintain.report.rows import Row


def name_tables(tables: Sequence[Sequence[Row]]) -> list[str]:
    """Return for each table its dataset, with the settings that say which data: own files, noise.

    Settings of the budget are included if another table has the same data:
    "`csv_series` (path=sales.csv, budget.steps=300)".
    """
    settings = [split_settings(table[0].comparison) for table in tables]
    data = [[s for s in each if s.startswith("dataset.")] for each in settings]
    short = [_format_name(table[0], each) for table, each in zip(tables, data, strict=True)]
    count = Counter(short)
    return [
        name if count[name] == 1 else _format_name(table[0], each)
        for name, table, each in zip(short, tables, settings, strict=True)
    ]


def _format_name(row: Row, settings: Sequence[str]) -> str:
    texts = [setting.removeprefix("dataset.") for setting in settings]
    return f"`{row.dataset}`" + (f" ({', '.join(texts)})" if texts else "")
