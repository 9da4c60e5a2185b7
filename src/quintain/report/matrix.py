"""Models × comparisons: the means of a whole store on one page."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from rich.console import Console
from rich.text import Text

from quintain.report.layout import NAME, WORD, bands, total, widest
from quintain.report.rows import Row, by, usual
from quintain.report.text import ABSENT, ARROW, decimals, grid, number, plain

Name = tuple[str, str, bool]
"""Model, hardware, and whether all its settings are at their defaults."""


def print_matrix(out: Console, tables: Sequence[Sequence[Row]]) -> None:
    """Means of every model (row) in every comparison (column), in as many parts as it takes.

    A `*` stands before a mean whose settings are off their defaults, where the model's name does
    not tell them; its own table does.
    """
    named = labels(tables)
    columns = [_means(rows_of, named) for rows_of in tables]
    shared = _shared(tables)
    heads = [_head(rows_of[0], shared) for rows_of in tables]
    first = min(widest([*named], NAME), out.width // 2)
    widths = _widths(heads, columns, out.width - first)
    out.print(plain("  ".join(filter(None, ("all datasets", ", ".join(shared)))), "bold"))
    for band in bands(first, widths, out.width):
        table = grid()
        table.add_column("model", overflow="fold", min_width=first)
        for index in band:
            head = plain(heads[index])
            table.add_column(head, justify="right", overflow="fold", width=widths[index])
        for place, (label, mine) in enumerate(named.items()):
            values = [columns[index][place] for index in band]
            if all(value.plain == ABSENT for value in values):
                continue
            table.add_row(plain(label), *values, style="dim" if mine[0].reference else "")
        out.print(table)
    if any(text.plain.startswith("*") for column in columns for text in column):
        out.print(plain("* settings off their defaults: see the dataset's own table", "dim"))
    out.print()


def labels(tables: Sequence[Sequence[Row]]) -> dict[str, list[Row]]:
    """Rows by the name of their model; by its settings too, where a table has it twice."""
    rows = [row for rows_of in tables for row in rows_of]
    several = len({row.hardware for row in rows if not row.reference}) > 1
    counts = [Counter(map(_name, rows_of)) for rows_of in tables]
    same = {name for found in counts for name, count in found.items() if count > 1}
    both = {name[:2] for found in counts for name in found if (*name[:2], not name[2]) in found}

    def label(row: Row) -> str:
        name = _name(row)
        told = row.variant and (name in same or (name[:2] in both and not name[2]))
        hardware = f" on {row.hardware}" if several and not row.reference else ""
        return f"{row.model}{hardware}" + (f" ({row.variant})" if told else "")

    return by(sorted(rows, key=lambda row: row.reference), label)


def _name(row: Row) -> Name:
    return row.model, "" if row.reference else row.hardware, usual(row)


def _shared(tables: Sequence[Sequence[Row]]) -> list[str]:
    """What all comparisons have in common: said once and not in every heading."""
    told = [rows[0].comparison.split(", ") for rows in tables]
    return [part for part in told[0] if part and all(part in other for other in told)]


def _head(row: Row, shared: Sequence[str]) -> str:
    own = [part for part in row.comparison.split(", ") if part and part not in shared]
    return "\n".join([row.dataset, f"{row.metric} {ARROW[row.direction]}", *own])


def _widths(heads: Sequence[str], columns: Sequence[Sequence[Text]], width: int) -> list[int]:
    """Headings unfolded if all find room so, else long ones folded; numbers are never folded."""
    values = [[text.plain for text in column] for column in columns]
    whole = [widest([head, *texts]) for head, texts in zip(heads, values, strict=True)]
    if total(whole) < width:
        return whole
    pairs = zip(heads, values, strict=True)
    return [max(min(widest([head]), WORD), widest(texts)) for head, texts in pairs]


def _means(rows: Sequence[Row], labels: Mapping[str, Sequence[Row]]) -> list[Text]:
    """One entry a label: the mean of its row among these."""
    places = decimals(row.mean for row in rows)
    here = {id(row) for row in rows}
    found = [next((row for row in mine if id(row) in here), None) for mine in labels.values()]
    return [_entry(row, label, places) for row, label in zip(found, labels, strict=True)]


def _entry(row: Row | None, label: str, places: int) -> Text:
    if row is None:
        return plain(ABSENT)
    mark = "*" if row.variant and row.variant not in label and not usual(row) else ""
    return plain(f"{mark}{number(row.mean, places)}", "bold" if row.rank == 1 else "")
