"""Prints all datasets together: a matrix of means, and the aggregates over datasets."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from rich.console import Console
from rich.text import Text

from quintain.report.comparisons import group_by
from quintain.report.formatting import ABSENT, ARROW, decimal_places, format_number
from quintain.report.overall import Aggregate, find_row, rows_by_label
from quintain.report.rows import Row, is_default
from quintain.report.terminal.console import (
    make_table,
    safe_text,
    split_columns,
    table_width,
    text_width,
)

MAX_NAME_WIDTH = 32  # characters; longer model names are folded
_MAX_HEADER_WIDTH = 24  # characters of one word
_OVERALL_HEADER = ("model", "score, 0 to 1", "mean rank", "fastest", "reached")
_OVERALL_LEGEND = (
    "score: interquartile mean over datasets and seeds [95 % interval], where 0 is the worst "
    "baseline and 1 the best row of a table; reached: share of runs that reached a score of 0.9 on "
    "validation; fastest: share of runs that did so first"
)


def print_matrix(out: Console, tables: Sequence[Sequence[Row]]) -> None:
    """Print the mean of every model (row) in every table (column), split to fit the width.

    A `*` marks a mean with non-default settings that are not in the model's label, but in the table
    of the dataset.
    """
    models = rows_by_label(tables)
    columns = [_means(rows, models) for rows in tables]
    shared = _shared_settings(tables)
    header = [_header(rows[0], shared) for rows in tables]
    first = min(text_width([*models], MAX_NAME_WIDTH), out.width // 2)
    widths = _column_widths(header, columns, out.width - first)
    out.print(safe_text("  ".join(filter(None, ("all datasets", ", ".join(shared)))), "bold"))
    for part in split_columns(first, widths, out.width):
        table = make_table()
        table.add_column("model", overflow="fold", min_width=first)
        for index in part:
            text = safe_text(header[index])
            table.add_column(text, justify="right", overflow="fold", width=widths[index])
        for position, (label, rows) in enumerate(models.items()):
            values = [columns[index][position] for index in part]
            if all(value.plain == ABSENT for value in values):
                continue
            table.add_row(safe_text(label), *values, style="dim" if rows[0].baseline else "")
        out.print(table)
    if any(text.plain.startswith("*") for column in columns for text in column):
        out.print(safe_text("* non-default settings: see the table of the dataset", "dim"))
    out.print()


def _shared_settings(tables: Sequence[Sequence[Row]]) -> list[str]:
    """Return the settings in the titles of all tables, which the matrix shows only once."""
    settings = [rows[0].comparison.split(", ") for rows in tables]
    return [part for part in settings[0] if part and all(part in each for each in settings)]


def _header(row: Row, shared: Sequence[str]) -> str:
    others = [part for part in row.comparison.split(", ") if part and part not in shared]
    return "\n".join([row.dataset, f"{row.metric} {ARROW[row.direction]}", *others])


def _column_widths(
    header: Sequence[str], columns: Sequence[Sequence[Text]], width: int
) -> list[int]:
    """Return the widths of the columns; if they exceed `width`, the header is folded."""
    header_widths = [text_width([text]) for text in header]
    value_widths = [text_width([text.plain for text in column]) for column in columns]
    unfolded = list(map(max, header_widths, value_widths))
    if table_width(unfolded) < width:
        return unfolded
    folded = [min(width, _MAX_HEADER_WIDTH) for width in header_widths]
    return list(map(max, folded, value_widths))


def _means(table: Sequence[Row], models: Mapping[str, Sequence[Row]]) -> list[Text]:
    """Return the cell of each model in the column of one table."""
    places = decimal_places(row.mean for row in table)
    return [_mean(find_row(rows, table), label, places) for label, rows in models.items()]


def _mean(row: Row | None, label: str, places: int) -> Text:
    if row is None:
        return safe_text(ABSENT)
    mark = "*" if row.variant and row.variant not in label and not is_default(row) else ""
    return safe_text(f"{mark}{format_number(row.mean, places)}", "bold" if row.rank == 1 else "")


def print_overall(out: Console, aggregates: Sequence[Aggregate]) -> None:
    """Print a table for each budget in which at least one model has results on all datasets."""
    for budget, models in group_by(aggregates, lambda aggregate: aggregate.budget).items():
        if all(model.missing for model in models):
            continue
        out.print(safe_text(f"over {models[0].tables} tables  {budget}", "bold"))
        table = make_table()
        for name in _OVERALL_HEADER:
            table.add_column(name, justify="left" if name == "model" else "right", overflow="fold")
        for model in models:
            table.add_row(*map(safe_text, _overall_cells(model)))
        out.print(table)
        out.print(safe_text(_OVERALL_LEGEND, "dim"))
        for model in models:
            if model.missing:
                out.print(safe_text(f"{model.model}: no result on {model.missing}", "dim"))
        out.print()


def _overall_cells(model: Aggregate) -> list[str]:
    score = format_number(model.iqm, 3)
    if model.iqm_low is not None and model.iqm_high is not None:
        score += f" [{model.iqm_low:.3f}, {model.iqm_high:.3f}]"
    profile = model.profile
    fastest = f"{profile.share_within(1):.0%}" if profile else ABSENT
    reached = f"{1 - profile.never:.0%}" if profile else ABSENT
    return [model.model, score, format_number(model.mean_rank, 2), fastest, reached]
