"""Prints a comparison as a table, as Markdown or as JSON."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence

from rich.console import Console

from quintain.records.store import Store
from quintain.report.compare.compare import (
    ComparedPair,
    Comparison,
    compare_sides,
    comparison_to_json,
)
from quintain.report.configuration_labels import split_settings
from quintain.report.formats.markdown import escape_markdown, table_line
from quintain.report.formatting import (
    ABSENT,
    ARROW,
    decimal_places,
    format_difference,
    format_interval,
    format_number,
    format_p_value,
    unit_suffix,
)
from quintain.report.terminal.console import make_console, make_table, safe_text
from quintain.stats.intervals import Interval

FORMATS = ("table", "md", "json")


def print_comparison(
    sides: Sequence[str], find_store: Callable[[], Store], format: str, to: Console | None = None
) -> Comparison:
    """Print the comparison of two sides in one of `FORMATS`, and return it.

    Raises:
        StoreError: see `select_sides`.
    """
    a, b = sides
    comparison = compare_sides(a, b, find_store)
    if format == "json":
        values = comparison_to_json(comparison)
        print(json.dumps(values, indent=1, allow_nan=False, ensure_ascii=False))
    elif format == "md":
        print(_to_markdown(comparison))
    else:
        _print_table(comparison, to or make_console())
    return comparison


def _print_table(comparison: Comparison, out: Console) -> None:
    out.print(safe_text(_title(comparison), "bold"))
    if comparison.pairs:
        table = make_table()
        for i, name in enumerate(_header(comparison)):
            table.add_column(safe_text(name), justify="right" if i else "left", overflow="fold")
        for cells in _rows(comparison):
            table.add_row(*map(safe_text, cells))
        out.print(table)
    for text in _footnotes(comparison):
        out.print(safe_text(text, "dim"))


def _to_markdown(comparison: Comparison) -> str:
    lines = [f"### {escape_markdown(_title(comparison))}", ""]
    if comparison.pairs:
        head, *rows = (
            table_line(map(escape_markdown, cells))
            for cells in (_header(comparison), *_rows(comparison))
        )
        lines += [head, table_line(["---"] * len(_header(comparison))), *rows, ""]
    return "\n".join(lines + [f"- {escape_markdown(text)}" for text in _footnotes(comparison)])


def _title(comparison: Comparison) -> str:
    names = f"{comparison.a} against {comparison.b} ({comparison.kind})"
    return "  ".join(filter(None, (names, ", ".join(_common_settings(comparison)))))


def _common_settings(comparison: Comparison) -> list[str]:
    """Return the settings of all rows, which the title shows once."""
    first, *others = [split_settings(pair.settings) for pair in comparison.pairs] or [[]]
    return [part for part in first if all(part in each for each in others)]


def _rows(comparison: Comparison) -> list[list[str]]:
    common = _common_settings(comparison)
    return [
        _cells(pair, [part for part in split_settings(pair.settings) if part not in common])
        for pair in comparison.pairs
    ]


def _header(comparison: Comparison) -> list[str]:
    names = ["dataset", comparison.a, comparison.b, "gain", "n", "p", "corrected", "Hedges' g"]
    return [*names, "train s, A/B", "latency, A/B", "params, A/B"]


def _cells(pair: ComparedPair, settings: Sequence[str]) -> list[str]:
    places = decimal_places([pair.a.mean, pair.b.mean])
    means = [format_interval(side, places) for side in (pair.a, pair.b)]
    score = f"{pair.metric} {ARROW[pair.direction]}"
    measure = "measure=speed" if pair.measure == "speed" else ""
    names = (pair.dataset, pair.model, pair.hardware, ", ".join(settings), measure, score)
    label = " ".join(filter(None, names))
    ps = [ABSENT if p is None else format_p_value(p) for p in (pair.p, pair.p_holm)]
    ratios = [_ratio(pair.seconds), _ratio(pair.latency), format_number(pair.params, 2)]
    effect = format_number(pair.hedges_g, 2)
    return [label, *means, _gain(pair), str(pair.n), *ps, effect, *ratios]


def _gain(pair: ComparedPair) -> str:
    if pair.gain is None:
        return ABSENT
    half_width = Interval(pair.gain, pair.low, pair.high, pair.n).half_width
    return f"{format_difference(pair.gain, half_width, pair.unit)}{unit_suffix(pair.unit)}"


def _ratio(ratio: Interval) -> str:
    if ratio.mean is None:
        return ABSENT
    if ratio.low is None or ratio.high is None:
        return format_number(ratio.mean, 2)
    low, mean, high = (format_number(value, 2) for value in (ratio.low, ratio.mean, ratio.high))
    return f"{mean} [{low}, {high}]"


def _footnotes(comparison: Comparison) -> list[str]:
    texts = []
    if not comparison.pairs:
        texts.append(
            "nothing to compare: no results of the two have the same dataset, budget and settings"
        )
    for name, count in ((comparison.a, comparison.only_a), (comparison.b, comparison.only_b)):
        if count:
            noun = "configuration" if count == 1 else "configurations"
            texts.append(f"{count} {noun} only in {name}")
    if any(pair.dropped for pair in comparison.pairs):
        texts.append("gain and p use only the common seeds")
    if any(pair.n < 2 for pair in comparison.pairs):
        texts.append("one common seed, so no interval and no p: run more, as with seed=1,2,3")
    return texts + [f"note: {note}" for note in comparison.notes]
