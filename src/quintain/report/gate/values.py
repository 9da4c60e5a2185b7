"""The rows of a gate's table, as words: the same for a terminal, Markdown and JUnit."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator

from quintain.report.gate.judge import Judged
from quintain.report.gate.verdict import Verdict
from quintain.report.text import ABSENT, decimals, number

Show = Callable[[float], str]

COLUMNS = ("verdict", "cell", "what", "baseline", "candidate", "change", "margin", "n", "p")


def rows(verdict: Verdict) -> Iterator[tuple[str, ...]]:
    """One row a cell and kind, the cells together last, regressions first."""
    order = ("regression", "inconclusive", "not judged", "passed")
    for judged in sorted(verdict.every, key=lambda one: order.index(one.outcome)):
        yield row(judged)


def row(judged: Judged) -> tuple[str, ...]:
    """`COLUMNS` of one judgement; the change has its bounds at 5 % each."""
    series = judged.series
    places = decimals([series.before, series.after])
    unit = " ms" if series.kind == "speed" else ""
    means = (number(value, places) + unit * (value is not None)
             for value in (series.before, series.after))  # fmt: skip
    word = "better" if judged.outcome == "passed" and judged.better else judged.outcome
    what = series.measure or series.kind
    p = ABSENT if judged.p is None else f"{judged.p:.2g}"
    n = str(judged.n) if judged.n else ABSENT
    return word, series.label, what, *means, change(judged), _margin(judged), n, p


def change(judged: Judged) -> str:
    """The gain and its bounds; of speed the ratio of times, candidate over baseline."""
    series = judged.series
    if judged.gain is None or judged.outcome == "not judged":
        return ABSENT
    if series.exact:
        return "the same, bit for bit"
    if series.together and series.scale is None:
        return _span(judged, lambda gain: f"{gain:+.2f}") + " margins"
    scale = series.scale or 1.0
    if series.kind == "speed":
        return _span(judged, lambda gain: f"{math.exp(-gain * scale):.3f}×", turned=True)
    places = min(decimals([series.margin * scale]), 4)
    return _span(judged, lambda gain: f"{gain * scale:+.{places}f}")


def _span(judged: Judged, show: Show, turned: bool = False) -> str:
    assert judged.gain is not None
    if judged.low is None or judged.high is None:
        return show(judged.gain)
    low, high = (judged.high, judged.low) if turned else (judged.low, judged.high)
    return f"{show(judged.gain)} [{show(low)}, {show(high)}]"


def _margin(judged: Judged) -> str:
    series = judged.series
    if not series.margin:
        return ABSENT
    if series.together and series.scale is None:
        return f"-{series.margin:g} margins"
    loss = series.margin * (series.scale or 1.0)
    return f"{math.exp(loss):.3g}×" if series.kind == "speed" else f"-{loss:.3g}"
