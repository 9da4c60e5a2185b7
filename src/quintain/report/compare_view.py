"""A comparison as a terminal's table and as Markdown, with the same words."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence

from rich.console import Console

from quintain.records.store import Store
from quintain.report.compare import Comparison, Pair, compare, compare_json
from quintain.report.formats.markdown import escaped
from quintain.report.sentences import amount, unit_name
from quintain.report.text import ABSENT, ARROW, console, decimals, grid, number, p_value, plain
from quintain.stats.intervals import Interval

FORMATS = ("table", "md", "json")


def show(
    sides: Sequence[str], find: Callable[[], Store], format: str, to: Console | None = None
) -> None:
    """Print the comparison of two sides in one of `FORMATS`.

    Raises:
        StoreError: A and B are no two of one kind.
    """
    a, b = sides
    found = compare(a, b, find)
    if format == "json":
        print(json.dumps(compare_json(found), indent=1, allow_nan=False, ensure_ascii=False))
    elif format == "md":
        print(_markdown(found))
    else:
        _table(found, to or console())


def _table(found: Comparison, out: Console) -> None:
    out.print(plain(f"{found.a} against {found.b} ({found.kind})", "bold"))
    if found.pairs:
        table = grid()
        for place, name in enumerate(_heads(found)):
            table.add_column(plain(name), justify="right" if place else "left", overflow="fold")
        for pair in found.pairs:
            table.add_row(*map(plain, _words(pair)))
        out.print(table)
    for sentence in _footer(found):
        out.print(plain(sentence, "dim"))


def _markdown(found: Comparison) -> str:
    lines = [f"### {escaped(f'{found.a} against {found.b} ({found.kind})')}", ""]
    if found.pairs:
        rows = [_heads(found), *map(_words, found.pairs)]
        shown = [f"| {' | '.join(map(escaped, row))} |" for row in rows]
        lines += [shown[0], f"| {' | '.join(['---'] * len(rows[0]))} |", *shown[1:], ""]
    return "\n".join(lines + [f"- {escaped(sentence)}" for sentence in _footer(found)])


def _heads(found: Comparison) -> list[str]:
    heads = ["dataset", found.a, found.b, "gain", "n", "p", "corrected", "Hedges' g"]
    return [*heads, "train s, A/B", "latency, A/B", "params, A/B"]


def _words(pair: Pair) -> list[str]:
    places = decimals([pair.a.mean, pair.b.mean])
    means = [f"{number(i.mean, places)} ± {number(i.half_width, places)}" for i in (pair.a, pair.b)]
    score = f"{pair.metric} {ARROW[pair.direction]}"
    alone = "measure=speed" if pair.measure == "speed" else ""
    label = " ".join(filter(None, (pair.dataset, pair.model, pair.hardware, alone, score)))
    ps = [ABSENT if p is None else p_value(p) for p in (pair.p, pair.p_holm)]
    ratios = [_ratio(pair.seconds), _ratio(pair.latency), number(pair.params, 2)]
    return [label, *means, _gain(pair), str(pair.n), *ps, number(pair.hedges_g, 2), *ratios]


def _gain(pair: Pair) -> str:
    if pair.gain is None:
        return ABSENT
    half = None if pair.low is None or pair.high is None else pair.high / 2 - pair.low / 2
    return f"{amount(pair.gain, half, pair.unit)}{unit_name(pair.unit)}"


def _ratio(ratio: Interval) -> str:
    if ratio.mean is None:
        return ABSENT
    if ratio.low is None or ratio.high is None:
        return f"{ratio.mean:.2f}"
    return f"{ratio.mean:.2f} [{ratio.low:.2f}, {ratio.high:.2f}]"


def _footer(found: Comparison) -> list[str]:
    said = []
    if not found.pairs:
        said.append("nothing to compare: no dataset, budget and setting has results of both")
    for name, count in ((found.a, found.only_a), (found.b, found.only_b)):
        if count:
            said.append(f"{count} more of {name} alone")
    if any(pair.dropped for pair in found.pairs):
        said.append("seeds that only one side has are left out of gain and p")
    if any(pair.n < 2 for pair in found.pairs):
        said.append("one common seed: no interval and no p; seed=1,2,3 gives them")
    return said + [f"note: {note}" for note in found.notes]
