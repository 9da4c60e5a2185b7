"""Prints all datasets together: a matrix of means, and the aggregates over datasets."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from rich.console import Console
from rich.text import Text

from quintain.report.comparisons import group_by
from quintain.report.configuration_labels import split_settings
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
OVERALL_HEADER = ("model", "score, 0 to 1", "mean rank", "fastest", "reached")
OVERALL_LEGEND = (
    "score: interquartile mean over datasets and seeds [95 % interval], where 0 is the worst "
    "baseline and 1 the best row of a table; reached: share of runs that reached a score of 0.9 on "
    "validation; fastest: share of runs that did so first"
)


@dataclass(frozen=True, kw_only=True)
class Matrix:
    """The mean of every model (row) in every table (column)."""

    title: str
    header: list[str]  # one for each table; several lines
    models: list[str]
    is_baseline: list[bool]  # for each model
    columns: list[list[Text]]  # for each table the cells of the models; winners are bold
    footnotes: list[str]


def make_matrix(tables: Sequence[Sequence[Row]]) -> Matrix:
    """Collect the means of all tables.

    A `*` marks a mean with non-default settings that are not in the model's label, but in the table
    of the dataset.
    """
    models, shared = rows_by_label(tables), _shared_settings(tables)
    columns = [_means(rows, models) for rows in tables]
    has_mark = any(text.plain.startswith("*") for column in columns for text in column)
    return Matrix(
        title="  ".join(filter(None, ("all datasets", ", ".join(shared)))),
        header=[_header(rows[0], shared) for rows in tables],
        models=[*models],
        is_baseline=[rows[0].baseline for rows in models.values()],
        columns=columns,
        footnotes=["* non-default settings: see the table of the dataset"] if has_mark else [],
    )


def print_matrix(out: Console, tables: Sequence[Sequence[Row]]) -> None:
    """Print the mean of every model in every table, split to fit the width."""
    matrix = make_matrix(tables)
    first = min(text_width(matrix.models, MAX_NAME_WIDTH), out.width // 2)
    widths = _column_widths(matrix.header, matrix.columns, out.width - first)
    out.print(safe_text(matrix.title, "bold"))
    for part in split_columns(first, widths, out.width):
        table = make_table()
        table.add_column("model", overflow="fold", min_width=first)
        for index in part:
            text = safe_text(matrix.header[index])
            table.add_column(text, justify="right", overflow="fold", width=widths[index])
        for position, label in enumerate(matrix.models):
            values = [matrix.columns[index][position] for index in part]
            if all(value.plain == ABSENT for value in values):
                continue
            style = "dim" if matrix.is_baseline[position] else ""
            table.add_row(safe_text(label), *values, style=style)
        out.print(table)
    for footnote in matrix.footnotes:
        out.print(safe_text(footnote, "dim"))
    out.print()


def _shared_settings(tables: Sequence[Sequence[Row]]) -> list[str]:
    """Return the settings in the titles of all tables, which the matrix shows only once."""
    settings = [split_settings(rows[0].comparison) for rows in tables]
    return [part for part in settings[0] if all(part in each for each in settings)]


def _header(row: Row, shared: Sequence[str]) -> str:
    others = [part for part in split_settings(row.comparison) if part not in shared]
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
    return safe_text(f"{mark}{format_number(row.mean, places)}", "bold" if row.is_winner else "")


@dataclass(frozen=True, kw_only=True)
class OverallTable:
    """The aggregates of the models over all tables of one budget, as text."""

    title: str
    rows: list[list[str]]  # with the columns `OVERALL_HEADER`
    footnotes: list[str]


def make_overall_tables(aggregates: Sequence[Aggregate]) -> list[OverallTable]:
    """Return a table for each budget in which at least one model has results on all datasets."""
    tables = []
    for budget, models in group_by(aggregates, lambda aggregate: aggregate.budget).items():
        if all(model.missing for model in models):
            continue
        footnotes = [OVERALL_LEGEND]
        if any(model.profile and model.has_rough_times for model in models):
            footnotes.append("~ rough times: see the tables of the datasets")
        footnotes += [f"{m.model}: no result on {m.missing}" for m in models if m.missing]
        tables.append(
            OverallTable(
                title=f"over {models[0].tables} tables  {budget}",
                rows=[_overall_cells(model) for model in models],
                footnotes=footnotes,
            )
        )
    return tables


def print_overall(out: Console, aggregates: Sequence[Aggregate]) -> None:
    """Print the tables of `make_overall_tables`."""
    for overall in make_overall_tables(aggregates):
        out.print(safe_text(overall.title, "bold"))
        table = make_table()
        for name in OVERALL_HEADER:
            table.add_column(name, justify="left" if name == "model" else "right", overflow="fold")
        for cells in overall.rows:
            table.add_row(*map(safe_text, cells))
        out.print(table)
        for text in overall.footnotes:
            out.print(safe_text(text, "dim"))
        out.print()


def _overall_cells(model: Aggregate) -> list[str]:
    score = format_number(model.iqm, 3)
    if model.iqm_low is not None and model.iqm_high is not None:
        score += f" [{format_number(model.iqm_low, 3)}, {format_number(model.iqm_high, 3)}]"
    profile, mark = model.profile, "~" if model.has_rough_times else ""
    fastest = f"{mark}{profile.share_within(1):.0%}" if profile else ABSENT
    reached = f"{1 - profile.never:.0%}" if profile else ABSENT
    return [model.model, score, format_number(model.mean_rank, 2), fastest, reached]
