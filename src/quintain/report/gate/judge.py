"""From gains to a verdict: each cell against its margin, and all cells together.

Two claims have two prices. "A regression" is a false alarm at most once in a hundred gates where
nothing is worse than its margin: half of that for the cells together (Holm), half for their mean.
"Passed" needs every cell, and their mean, shown to be not worse, each at 5 %: a claim that holds
only if all parts do needs no correction (Berger 1982, intersection-union).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

from quintain.report.gate.series import Kind, Series
from quintain.stats.family import holm
from quintain.stats.margin import Mean, NonInferiority, against
from quintain.stats.seeds import POWER
from quintain.stats.strata import Stratum, not_inferior

ALARM = 0.01  # chance of a false alarm in a whole gate, quality and speed together
PASS = 0.05  # chance that a cell that is worse by its margin passes
TOGETHER = {"quality": 0.25, "speed": 0.5}
"""The mean over cells may lose this share of what one cell may: a loss everywhere counts sooner."""

Outcome = Literal["passed", "regression", "inconclusive", "not judged"]


@dataclass(frozen=True, kw_only=True)
class Judged:
    """One cell, or all together: its gains in units of the margin's scale, and what they say.

    `low` and `high` are one-sided bounds of the gain at 5 % each. `more` says how many more seeds
    or rounds would probably decide. `better`: there is a gain, as sure as an alarm. `alarm`: the
    p from which on a loss is a regression.
    """

    series: Series
    outcome: Outcome
    gain: float | None = None
    low: float | None = None
    high: float | None = None
    n: int = 0
    p: float | None = None  # of a regression, corrected
    more: int | None = None
    better: bool = False
    alarm: float | None = None


@dataclass(frozen=True)
class Side:
    """Quality or speed: its cells, and those of one measure together where there are several."""

    kind: Kind
    cells: list[Judged]
    together: list[Judged]

    @property
    def every(self) -> list[Judged]:
        return [*self.cells, *self.together]


def judge(kind: Kind, series: Sequence[Series], *, alarm: float = ALARM / 2) -> Side:
    """Judge the cells of one kind.

    Args:
        kind: of the series.
        series: one a cell.
        alarm: chance of a false alarm among all of them and their means.
    """
    known = [one for one in series if one.gains]
    means = [_Means(kind, found) for found in _by_measure(known) if len(found) > 1]
    share = alarm / 2 if means else alarm
    judged = _family([([one.stratum()], one) for one in known], share)
    together = _family([(each.strata, each.series) for each in means], share)
    given = iter(judged)
    cells = [next(given) if one.gains else _without(one) for one in series]
    return Side(kind, cells, together)


class _Means:
    """The cells of one measure as one: each one's gains in units of its margin."""

    def __init__(self, kind: Kind, cells: Sequence[Series]) -> None:
        margins = {one.margin for one in cells}
        self.strata = [one.scaled() for one in cells]
        self.series = Series(
            kind=kind,
            label=f"{len(cells)} cells together",
            measure=cells[0].measure,
            margin=TOGETHER[kind],
            exact=all(one.exact for one in cells),
            together=True,
            scale=margins.pop() if len(margins) == 1 else None,
        )


def _by_measure(series: Sequence[Series]) -> list[list[Series]]:
    found: dict[str, list[Series]] = {}
    for one in series:
        found.setdefault(one.measure, []).append(one)
    return list(found.values())


def _family(found: Sequence[tuple[Sequence[Stratum], Series]], alarm: float) -> list[Judged]:
    """Judge each; the p of a regression is corrected for all of them."""
    tests = [_tested(strata, one.margin, alarm) for strata, one in found]
    corrected = holm([test.passing.p_worse for test in tests])
    every = zip(found, tests, corrected, strict=True)
    return [_judged(one, test, p, alarm) for (_, one), test, p in every]


def _without(series: Series) -> Judged:
    return Judged(series=series, outcome="regression" if series.lost else "not judged")


class _Tested(NamedTuple):
    """The same test at the levels of the two claims."""

    passing: NonInferiority
    alarming: NonInferiority


def judged(series: Series, mean: Mean, *, alarm: float, passing: float) -> Judged:
    """One cell alone by the mean of its gains, at these levels."""
    levels = passing, alarm
    test = _Tested(*(against(mean, series.margin, level=one, power=POWER) for one in levels))
    return _judged(series, test, test.passing.p_worse, alarm, passing)


def _tested(strata: Sequence[Stratum], margin: float, alarm: float) -> _Tested:
    return _Tested(*(not_inferior(strata, margin, level=level) for level in (PASS, alarm)))


def _judged(
    series: Series, test: _Tested, p: float | None, alarm: float, passing: float = PASS
) -> Judged:
    found, strict = test
    outcome: Outcome = "inconclusive"
    if p is not None and p <= alarm:
        outcome = "regression"
    elif found.p is not None and found.p <= passing:
        outcome = "passed"
    leans = strict if found.gain is not None and found.gain < -found.margin else found
    return Judged(
        series=series, outcome=outcome, gain=found.gain, low=found.low, high=found.high,
        n=found.n, p=p, more=leans.more if outcome == "inconclusive" else None,
        better=strict.low is not None and strict.low > 0, alarm=alarm,
    )  # fmt: skip
