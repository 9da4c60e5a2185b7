"""Decide from gains: each cell against its margin, and all cells together.

If no true loss exceeds its margin, at most one gate in a hundred reports a regression. Quality and
speed have half of this probability each. If there are several cells, half of that is for the single
cells and half for the means over cells, each corrected by Holm's method.

A gate passes if every cell and every mean is significantly above -margin, each at 5 %. A claim that
needs all of its parts to hold needs no correction (Berger 1982, intersection-union tests).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from quintain.gate.paired_differences import Kind, PairedDifferences
from quintain.stats.mean_estimates import MeanEstimate, Stratum
from quintain.stats.multiple_comparisons import holm_correction
from quintain.stats.noninferiority import (
    NonInferiority,
    compare_with_margin,
    stratified_non_inferiority,
)
from quintain.stats.sample_size import POWER

ALARM_LEVEL = 0.01  # probability of a false alarm in a whole gate, quality and speed together
PASS_LEVEL = 0.05  # probability that a cell passes although its true loss is the margin
AGGREGATE_MARGIN = {"quality": 0.25, "speed": 0.5}
"""The largest acceptable mean loss of several cells, as a fraction of the margin of one cell."""

Outcome = Literal["passed", "regression", "inconclusive", "not judged"]
Unit = Literal["seeds", "rounds"]


@dataclass(frozen=True, kw_only=True)
class Decision:
    """The decision about one cell, or about several cells together."""

    differences: PairedDifferences  # what was tested
    outcome: Outcome
    gain: float | None = None  # the mean gain; None if nothing was compared
    low: float | None = None  # one-sided bounds of the gain, each at the level of passing
    high: float | None = None
    n: int = 0  # number of seeds or rounds
    p: float | None = None  # corrected p value of a regression
    additional: int | None = None  # how many more seeds or rounds would probably decide
    improved: bool = False  # the gain is significantly above zero, at the level of an alarm
    alarm_level: float | None = None  # if `p` is at most this, the loss is a regression


@dataclass(frozen=True)
class KindResult:
    """The decisions about quality or speed."""

    kind: Kind
    cells: list[Decision]  # one for each cell
    aggregates: list[Decision]  # one for all cells of a measure together, if there are several
    unit: Unit = "seeds"  # what was measured repeatedly

    @property
    def decisions(self) -> list[Decision]:
        return [*self.cells, *self.aggregates]


def decide_cells(
    kind: Kind, cells: Sequence[PairedDifferences], *, alarm_level: float = ALARM_LEVEL / 2
) -> KindResult:
    """Decide about all cells of one kind.

    Args:
        kind: quality or speed.
        cells: the paired differences of each cell.
        alarm_level: probability of a false alarm among all cells and their means.
    """
    compared = [cell for cell in cells if cell.gains]
    by_measure: dict[str, list[PairedDifferences]] = {}
    for cell in compared:
        by_measure.setdefault(cell.measure, []).append(cell)
    groups = [group for group in by_measure.values() if len(group) > 1]
    level = alarm_level / 2 if groups else alarm_level
    tested = iter(_decide_family([([cell.to_stratum()], cell) for cell in compared], level))
    decisions = []
    for cell in cells:
        outcome: Outcome = "regression" if cell.failure else "not judged"
        untested = Decision(differences=cell, outcome=outcome)
        decisions.append(next(tested) if cell.gains else untested)
    aggregates = [
        ([cell.to_stratum(unit=cell.margin) for cell in group], _describe_aggregate(kind, group))
        for group in groups
    ]
    return KindResult(kind, decisions, _decide_family(aggregates, level))


def decide_by_mean(
    differences: PairedDifferences, mean: MeanEstimate, *, pass_level: float, alarm_level: float
) -> Decision:
    """Decide about one cell by an estimate of its mean gain, at these two levels."""
    pass_test, alarm_test = (
        compare_with_margin(mean, differences.margin, level=level, power=POWER)
        for level in (pass_level, alarm_level)
    )
    return _decide(differences, pass_test, alarm_test, alarm_test.p_worse, alarm_level)


def _describe_aggregate(kind: Kind, cells: Sequence[PairedDifferences]) -> PairedDifferences:
    """Return what is tested for all cells together, without gains: those are in the strata.

    The unit of its margin, and of the gains in the strata, is the margin of each cell.
    """
    margins = {cell.margin for cell in cells}
    return PairedDifferences(
        kind=kind,
        label=f"{len(cells)} cells together",
        measure=cells[0].measure,
        margin=AGGREGATE_MARGIN[kind],
        exact=all(cell.exact for cell in cells),
        is_aggregate=True,
        shared_margin=margins.pop() if len(margins) == 1 else None,
    )


def _decide_family(
    family: Sequence[tuple[Sequence[Stratum], PairedDifferences]], alarm_level: float
) -> list[Decision]:
    """Decide about each member; the p values of regressions are corrected for the family."""
    pass_tests, alarm_tests = (
        [stratified_non_inferiority(strata, cell.margin, level=level) for strata, cell in family]
        for level in (PASS_LEVEL, alarm_level)
    )
    corrected = holm_correction([test.p_worse for test in alarm_tests])
    return [
        _decide(cell, pass_test, alarm_test, p, alarm_level)
        for (_, cell), pass_test, alarm_test, p in zip(
            family, pass_tests, alarm_tests, corrected, strict=True
        )
    ]


def _decide(
    differences: PairedDifferences,
    pass_test: NonInferiority,
    alarm_test: NonInferiority,
    p: float | None,
    alarm_level: float,
) -> Decision:
    outcome: Outcome = "inconclusive"
    if p is not None and p <= alarm_level:
        outcome = "regression"
    elif pass_test.outcome == "not worse":
        outcome = "passed"
    gain, margin = pass_test.gain, pass_test.margin
    # With more seeds a loss beyond the margin is probably a regression, anything else a pass.
    expected_test = alarm_test if gain is not None and gain < -margin else pass_test
    return Decision(
        differences=differences, outcome=outcome, gain=gain, low=pass_test.low,
        high=pass_test.high, n=pass_test.n, p=p, alarm_level=alarm_level,
        additional=expected_test.additional if outcome == "inconclusive" else None,
        improved=alarm_test.low is not None and alarm_test.low > 0,
    )  # fmt: skip
