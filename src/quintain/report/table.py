"""The leaderboard on a terminal: a table for each comparison, then models × comparisons."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Literal

from rich.console import Console
from rich.text import Text

from quintain.records.schema import Record
from quintain.report.layout import NAME, dropped, total, widest
from quintain.report.leaderboard import Board, leaderboard
from quintain.report.matrix import print_matrix
from quintain.report.rows import Row, by, column
from quintain.report.summary import print_overall
from quintain.report.text import (
    ABSENT,
    ARROW,
    console,
    count,
    decimals,
    first_line,
    grid,
    number,
    p_value,
    plain,
    seconds,
)

SCORE = "score"
FOLDS = {"model": NAME, "hardware": NAME}
"""Columns of words; a number is never folded."""
DROPPABLE = ("p", "ranks", "samples/s", "train s", "params", "tie", "n")
"""Columns that a narrow terminal goes without, the least important first."""
TIMING = ("input_bound", "other_process", "noise_floor", "throttled", "whole_batches")
"""Checks that speak of times and costs; the others speak of the result."""
BUDGET_TOLERANCE = 0.02  # share of the asked parameters within which a model met its budget


def print_leaderboard(
    records: Iterable[Record], to: Console | None = None, *, older: int = 0
) -> Board:
    """Print the leaderboard of these records, and return it; `older` as in `leaderboard`."""
    board, out = leaderboard(records, older), to or console()
    tables = list(by(board.rows, column).values())
    hidden = [_print_dataset(out, rows) for rows in tables]
    if len(tables) > 1:
        print_matrix(out, tables)
    _print_lost(out, board)
    print_overall(out, board.overall)
    for sentence in board.sentences:
        out.print(plain(sentence))
    for note in board.notes:
        out.print(plain(f"note: {note}", "dim"))
    if any(columns for columns, _ in hidden):
        _print_hidden(out, hidden)
    if not board.rows:
        out.print(plain("no finished results to rank"))
    return board


def _print_dataset(out: Console, rows: Sequence[Row]) -> tuple[list[str], int]:
    """Print a table; gives the columns that did not fit, and the width at which all do."""
    out.print(title(rows))
    lines = worded(rows)
    widths = {
        name: widest([name, *(line[name].plain for line in lines)], FOLDS.get(name))
        for name in lines[0]
    }
    hidden = dropped(widths, DROPPABLE, out.width)
    shown = [name for name in widths if name not in hidden]
    table = grid()
    for name in shown:
        left = name in FOLDS or name == SCORE
        head = f"{rows[0].metric} {ARROW[rows[0].direction]}" if name == SCORE else name
        overflow: Literal["fold", "ellipsis"] = "fold" if name in FOLDS else "ellipsis"
        table.add_column(
            plain(head),
            justify="left" if left else "right",
            no_wrap=name not in FOLDS,
            overflow=overflow,
        )
    for row, line in zip(rows, lines, strict=True):
        table.add_row(*(line[name] for name in shown), style=_style(row))
    out.print(table)
    for text in footer(rows):
        out.print(plain(text, "dim"))
    out.print()
    return hidden, total([*widths.values()])


def _print_hidden(out: Console, hidden: Sequence[tuple[list[str], int]]) -> None:
    names = [name for name in reversed(DROPPABLE) if any(name in gone for gone, _ in hidden)]
    width = max(needed for _, needed in hidden)
    out.print(
        plain(
            f"no room in {out.width} columns for {', '.join(names)}; "
            f"COLUMNS={width} or --format json shows all",
            "dim",
        )
    )


def title(rows: Sequence[Row]) -> Text:
    """What stands above a table: dataset, modality, task, score, and what sets it apart."""
    row = rows[0]
    title = plain(row.dataset, "bold")
    unit = f" ({row.unit})" if row.unit not in ("", "1") else ""
    title.append_text(
        plain(f"  {row.modality}, {row.task}, {row.metric}{unit} {ARROW[row.direction]}")
    )
    if row.comparison:
        title.append_text(plain(f"  {row.comparison}", "bold"))
    if any(row.generated for row in rows):
        title.append_text(plain("  generated data", "yellow"))
    return title


def _style(row: Row) -> str:
    return "dim" if row.reference else "bold" if row.rank == 1 else ""


def worded(rows: Sequence[Row]) -> list[dict[str, Text]]:
    """The words of each row by the names of their columns, without columns that say nothing."""
    several = len({row.hardware for row in rows if not row.reference}) > 1
    places = decimals(row.mean for row in rows)
    lines = [_cells(row, places, several) for row in rows]
    if any(row.tie_group is not None for row in rows):
        return lines
    return [{k: v for k, v in line.items() if k not in ("tie", "ranks", "p")} for line in lines]


def _cells(row: Row, places: int, several: bool) -> dict[str, Text]:
    rank = "ref" if row.reference else ABSENT if row.rank is None else str(row.rank)
    doubt = " !" if _doubts(row, timing=False) else ""
    rough = "~" if _doubts(row, timing=True) else ""
    label = plain(f"{row.model}{doubt}")
    if row.variant:
        label.append_text(plain(f"\n{row.variant}", "dim"))
    hardware = {"hardware": plain(ABSENT if row.reference else row.hardware)} if several else {}
    numbers = {
        SCORE: _mean(row, places),
        "n": str(row.n),
        "tie": _tie(row.tie_group),
        "ranks": _ranks(row),
        "p": ABSENT if row.p_best is None else p_value(row.p_best),
        "params": count(row.params),
        "train s": rough + seconds(row.train_seconds),
        "samples/s": rough + count(row.samples_per_second),
    }
    return {"#": plain(rank), "model": label} | hardware | {k: plain(v) for k, v in numbers.items()}


def _tie(group: int | None) -> str:
    """a, b, c …; a number after z."""
    return ABSENT if group is None else chr(96 + group) if group <= 26 else str(group)


def _ranks(row: Row) -> str:
    if row.rank_low is None or row.rank_high is None:
        return ABSENT
    return f"{row.rank_low}" if row.rank_low == row.rank_high else f"{row.rank_low}–{row.rank_high}"


def _mean(row: Row, places: int) -> str:
    half = None
    if row.ci_low is not None and row.ci_high is not None:
        half = row.ci_high / 2 - row.ci_low / 2  # each half is finite, the width may not be
    return f"{number(row.mean, places)} ± {number(half, places)}"


def _doubts(row: Row, *, timing: bool) -> dict[str, str]:
    """Check → note, for the checks that a row failed; the budget has a line of its own."""
    return {
        name: trust["note"]
        for name, trust in row.trust.items()
        if trust["ok"] is False and (name in TIMING) == timing and name != "budget_met"
    }


def footer(rows: Sequence[Row]) -> Iterable[str]:
    """The sentences below a table."""
    models = [row for row in rows if not row.reference]
    if any(row.n == 1 for row in models):
        yield "one seed: no interval; seed=1,2,3 gives one"
    for row in models:
        if row.params is None or not row.params_asked:
            continue
        share = row.params / row.params_asked
        if abs(share - 1) > BUDGET_TOLERANCE:
            yield (
                f"{row.model}: {count(row.params)} parameters are {share:.0%} of the budget's "
                f"{count(row.params_asked)}"
            )
    for row in rows:
        yield from (f"{row.model}: {note}" for note in row.notes)
    yield from _doubtful(models, timing=True, mark="~ rough times")
    yield from _doubtful(models, timing=False, mark="! doubtful results")


def _doubtful(rows: Sequence[Row], *, timing: bool, mark: str) -> Iterable[str]:
    """One line a check: the rows that failed it, and what it said of the first."""
    failed: dict[str, list[tuple[str, str]]] = {}
    for row in rows:
        for name, note in _doubts(row, timing=timing).items():
            failed.setdefault(name, []).append((row.model, note))
    for name, doubts in failed.items():
        models = ", ".join(dict.fromkeys(model for model, _ in doubts))
        yield f"{mark}: {name}: {models}" + (f" (first: {doubts[0][1]})" if doubts[0][1] else "")


def _print_lost(out: Console, board: Board) -> None:
    for what, words in lost(board):
        out.print(plain(f"{what}: {words}", "red" if what == "failed" else "dim"))


def lost(board: Board) -> Iterable[tuple[str, str]]:
    """`failed` or `skipped`, the cell, and why."""
    for what, cells in (("failed", board.failed), ("skipped", board.skipped)):
        for cell in cells:
            place = f"{cell['dataset']}/{cell['model']}/s{cell['seed']} on {cell['hardware']}"
            why = cell.get("reason") or f"{cell['kind']}: {first_line(cell['message'])}"
            yield what, f"{place}: {why}"
