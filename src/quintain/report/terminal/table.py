"""Prints the leaderboard: a table for each dataset and budget, then the overview."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from rich.console import Console
from rich.text import Text

from quintain.records.schema import Record
from quintain.report.comparisons import group_by
from quintain.report.formatting import (
    ABSENT,
    ARROW,
    decimal_places,
    first_line,
    format_count,
    format_interval,
    format_p_value,
    format_seconds,
)
from quintain.report.leaderboard import Leaderboard, build_leaderboard
from quintain.report.rows import Row, table_key
from quintain.report.terminal.console import (
    columns_to_drop,
    make_console,
    make_table,
    safe_text,
    table_width,
    text_width,
)
from quintain.report.terminal.overview import MAX_NAME_WIDTH, print_matrix, print_overall
from quintain.stats.intervals import Interval

SCORE = "score"
TEXT_COLUMNS = ("model", "hardware")
"""Columns that may be folded, unlike those of numbers."""
OPTIONAL_COLUMNS = ("p", "ranks", "samples/s", "train s", "params", "tie", "n")
"""Columns that are dropped if the terminal is too narrow, in this order."""
MAX_DATA_NOTES = 8  # lines below a table
BUDGET_TOLERANCE = 0.02  # a larger relative difference from the budget gets a footnote


def print_leaderboard(
    records: Iterable[Record], to: Console | None = None, *, num_superseded: int = 0
) -> Leaderboard:
    """Print and return the leaderboard of these records; arguments: `build_leaderboard`."""
    board, out = build_leaderboard(records, num_superseded), to or make_console()
    tables = list(group_by(board.rows, table_key).values())
    dropped = [_print_table(out, rows) for rows in tables]
    if len(tables) > 1:
        print_matrix(out, tables)
    for status, text in cells_without_score(board):
        out.print(safe_text(f"{status}: {text}", "red" if status == "failed" else "dim"))
    print_overall(out, board.overall)
    for sentence in board.sentences:
        out.print(safe_text(sentence))
    for text in legend(board):
        out.print(safe_text(text, "dim"))
    for note in board.notes:
        out.print(safe_text(f"note: {note}", "dim"))
    if any(columns for columns, _ in dropped):
        missing = {name for columns, _ in dropped for name in columns}
        names = ", ".join(name for name in reversed(OPTIONAL_COLUMNS) if name in missing)
        width = max(width for _, width in dropped)
        text = f"no room in {out.width} columns for {names}; COLUMNS={width} or --format json"
        out.print(safe_text(f"{text} shows all", "dim"))
    if not board.rows:
        out.print(safe_text("no finished results to rank"))
    return board


def legend(board: Leaderboard) -> list[str]:
    """Return an explanation of the columns with test results, if a table has them."""
    if all(row.tie_group is None for row in board.rows):
        return []
    return [
        "tie: models that share a letter are not shown to differ at their number of seeds; ranks:"
        " 95 % confidence range of the rank; p: against the best model, corrected for all pairs of"
        " the table"
    ]


def _print_table(out: Console, rows: Sequence[Row]) -> tuple[list[str], int]:
    """Print a table; return the dropped columns, and the width at which all would fit."""
    out.print(table_title(rows))
    cells = text_cells(rows)
    widths = {
        name: text_width(
            [name, *(row[name].plain for row in cells)],
            MAX_NAME_WIDTH if name in TEXT_COLUMNS else None,
        )
        for name in cells[0]
    }
    dropped = columns_to_drop(widths, OPTIONAL_COLUMNS, out.width)
    shown = [name for name in widths if name not in dropped]
    table = make_table()
    for name in shown:
        header = f"{rows[0].metric} {ARROW[rows[0].direction]}" if name == SCORE else name
        table.add_column(
            safe_text(header),
            justify="left" if name in (*TEXT_COLUMNS, SCORE) else "right",
            no_wrap=name not in TEXT_COLUMNS,
            overflow="fold" if name in TEXT_COLUMNS else "ellipsis",
        )
    for row, texts in zip(rows, cells, strict=True):
        style = "dim" if row.baseline else "bold" if row.is_winner else ""
        table.add_row(*(texts[name] for name in shown), style=style)
    out.print(table)
    for text in footnotes(rows):
        out.print(safe_text(text, "dim"))
    out.print()
    return dropped, table_width([*widths.values()])


def table_title(rows: Sequence[Row]) -> Text:
    """Return the title: dataset, modality, task, main score, settings of the comparison."""
    row = rows[0]
    title = safe_text(row.dataset, "bold")
    unit = f" ({row.unit})" if row.unit not in ("", "1") else ""
    title.append_text(
        safe_text(f"  {row.modality}, {row.task}, {row.metric}{unit} {ARROW[row.direction]}")
    )
    if row.comparison:
        title.append_text(safe_text(f"  {row.comparison}", "bold"))
    if any(row.generated for row in rows):
        title.append_text(safe_text("  generated data", "yellow"))
    return title


def text_cells(rows: Sequence[Row]) -> list[dict[str, Text]]:
    """Return column → cell for each row, without columns that would be empty."""
    show_hardware = len({row.hardware for row in rows if not row.baseline}) > 1
    places = decimal_places(row.mean for row in rows)
    cells = [_cells(row, places, show_hardware) for row in rows]
    if any(row.tie_group is not None for row in rows):
        return cells
    return [{k: v for k, v in texts.items() if k not in ("tie", "ranks", "p")} for texts in cells]


def _cells(row: Row, places: int, show_hardware: bool) -> dict[str, Text]:
    rank = "base" if row.baseline else ABSENT if row.rank is None else str(row.rank)
    result_mark = " !" if _failed_checks(row, timing=False) or row.collapsed_seeds else ""
    timing_mark = "~" if row.has_rough_times else ""
    model = safe_text(row.model + result_mark)
    if row.variant:
        model.append_text(safe_text(f"\n{row.variant}", "dim"))
    texts = {"hardware": ABSENT if row.baseline else row.hardware} if show_hardware else {}
    texts |= {
        SCORE: format_interval(Interval(row.mean, row.ci_low, row.ci_high, row.n), places),
        "n": str(row.n),
        "tie": row.letters or ABSENT,
        "ranks": _rank_range(row),
        "p": ABSENT if row.p_best is None else format_p_value(row.p_best),
        "params": format_count(row.params),
        "train s": timing_mark + format_seconds(row.train_seconds),
        "samples/s": timing_mark + format_count(row.samples_per_second),
    }
    return {"#": safe_text(rank), "model": model} | {k: safe_text(v) for k, v in texts.items()}


def _rank_range(row: Row) -> str:
    if row.rank_low is None or row.rank_high is None:
        return ABSENT
    return f"{row.rank_low}" if row.rank_low == row.rank_high else f"{row.rank_low}–{row.rank_high}"


def _failed_checks(row: Row, *, timing: bool) -> dict[str, str]:
    """Return failed check → note; without `budget_met`, for which `footnotes` has another text."""
    failed = row.failed_checks(timing=timing)
    return {name: note for name, note in failed.items() if name != "budget_met"}


def footnotes(rows: Sequence[Row]) -> Iterable[str]:
    """Yield the footnotes of a table."""
    models = [row for row in rows if not row.baseline]
    if models and models[0].beaten_by:
        yield f"no model beats {models[0].beaten_by}"
    if any(row.n == 1 for row in models):
        yield "one seed, so no interval: run more, as with seed=1,2,3"
    for row in models:
        share = (row.params or 0) / row.params_asked if row.params_asked else 1.0
        if row.params is not None and abs(share - 1) > BUDGET_TOLERANCE:
            yield (
                f"{row.model}: {row.params:,} parameters are {share:.0%} of the budget's"
                f" {row.params_asked:,}"
            )
    for row in rows:
        yield from (f"{row.model}: {note}" for note in row.notes)
    notes = list(dict.fromkeys(note for row in rows for note in row.data_notes))
    yield from (f"data: {note}" for note in notes[:MAX_DATA_NOTES])
    if len(notes) > MAX_DATA_NOTES:
        yield f"data: {len(notes) - MAX_DATA_NOTES} more notes are in the records"
    yield from _check_footnotes(models, timing=True, label="~ rough times")
    yield from _check_footnotes(models, timing=False, label="! doubtful results")


def _check_footnotes(rows: Sequence[Row], *, timing: bool, label: str) -> Iterable[str]:
    """Yield one line per check: the models that failed it, and the note of the first one."""
    failed: dict[str, list[tuple[str, str]]] = {}
    for row in rows:
        for name, note in _failed_checks(row, timing=timing).items():
            failed.setdefault(name, []).append((row.model, note))
    for name, cases in failed.items():
        models = ", ".join(dict.fromkeys(model for model, _ in cases))
        yield f"{label}: {name}: {models}" + (f" (first: {cases[0][1]})" if cases[0][1] else "")


def cells_without_score(board: Leaderboard) -> Iterable[tuple[str, str]]:
    """Yield (status, description) of each failed or skipped cell."""
    for status, cells in (("failed", board.failed), ("skipped", board.skipped)):
        for cell in cells:
            name = f"{cell['dataset']}/{cell['model']}/s{cell['seed']} on {cell['hardware']}"
            reason = cell.get("reason") or f"{cell['kind']}: {first_line(cell['message'])}"
            yield status, f"{name}: {reason}"
