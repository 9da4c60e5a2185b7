"""The result of a gate: its decisions, its exit code and its verdict in one line."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from quintain.gate.cell_decisions import Decision, KindResult, Outcome, decide_cells
from quintain.gate.matching import MatchedCell, MatchedCells, drop_repeated_scores, match_cells
from quintain.gate.quality import Margins, compare_quality
from quintain.gate.speed import STORES_SLOWDOWN, compare_speed
from quintain.records.schema import Record

PASSED, REGRESSION, INCONCLUSIVE = 0, 1, 3  # exit codes


@dataclass(frozen=True, kw_only=True)
class GateResult:
    """The result of a gate."""

    kinds: list[KindResult]  # the decisions about quality, speed or both
    missing: list[str]  # cells and seeds of the baseline that the candidate did not run
    notes: list[str]  # remarks that a reader needs to judge the result

    @property
    def decisions(self) -> list[Decision]:
        return [decision for kind in self.kinds for decision in kind.decisions]

    def with_outcome(self, outcome: Outcome) -> list[Decision]:
        """Return the decisions with this outcome."""
        return [decision for decision in self.decisions if decision.outcome == outcome]

    @property
    def exit_code(self) -> int:
        """0 passed, 1 a regression, 3 inconclusive."""
        if self.with_outcome("regression"):
            return REGRESSION
        undecided = self.with_outcome("inconclusive") or self.missing or self._blocking()
        return INCONCLUSIVE if undecided or not self.with_outcome("passed") else PASSED

    def _blocking(self) -> list[Decision]:
        return [d for d in self.with_outcome("not judged") if is_blocking(d)]

    @property
    def summary(self) -> str:
        """The verdict in one line."""
        word = {PASSED: "passed", REGRESSION: "REGRESSION", INCONCLUSIVE: "inconclusive"}
        parts = list(self._summary_parts()) or [self._describe_nothing_judged()]
        unjudged = self.describe_unjudged_speed()
        remark = f" ({unjudged})" if unjudged else ""
        return f"gate: {word[self.exit_code]}{remark}: {'; '.join(parts)}"

    def describe_unjudged_speed(self) -> str:
        """Return `speed of 1 of 4 cells not judged`; "" if all that were asked for were judged."""
        speeds = [cell for kind in self.kinds if kind.kind == "speed" for cell in kind.cells]
        unjudged = sum(cell.outcome == "not judged" for cell in speeds)
        if not unjudged:
            return ""
        share = "" if unjudged == len(speeds) else f" of {unjudged} of {len(speeds)} cells"
        return f"speed{share} not judged"

    def _describe_nothing_judged(self) -> str:
        reasons = dict.fromkeys(d.differences.reason for d in self.decisions)
        return ": ".join(filter(None, ("no cell could be judged", shorten(filter(None, reasons)))))

    def _summary_parts(self) -> Iterator[str]:
        if worse := self.with_outcome("regression"):
            yield _list_decisions("worse", worse)
        for kind in self.kinds:
            undecided = [d for d in kind.decisions if d.outcome == "inconclusive"]
            if undecided:
                listed = _list_decisions(f"{kind.kind} undecided", undecided)
                yield listed + _suggest_repetitions(kind, undecided)
        if self.missing:
            yield f"{len(self.missing)} of the baseline's cells were not run by the candidate"
        if blocking := self._blocking():
            yield _list_decisions("not comparable", blocking)
        if improved := [decision for decision in self.decisions if decision.improved]:
            yield _list_decisions("better", improved)
        if self.exit_code == PASSED:
            counts = {k.kind: sum(d.outcome == "passed" for d in k.cells) for k in self.kinds}
            texts = [f"{kind} of {n} cell{'s' * (n != 1)}" for kind, n in counts.items() if n]
            yield f"no worse in {' and '.join(texts)}"


def is_blocking(decision: Decision) -> bool:
    """Return whether a decision with the outcome "not judged" makes the gate inconclusive.

    Quality that is not judged does, unless the baseline has no result either. Speed does not.
    """
    differences = decision.differences
    return differences.kind == "quality" and not differences.never_scored


def shorten(items: Iterable[object], shown: int = 5, separator: str = ", ") -> str:
    """Join the first items, and count the rest."""
    texts = [str(item) for item in items]
    more = f" and {len(texts) - shown} more" if len(texts) > shown else ""
    return separator.join(texts[:shown]) + more


def _list_decisions(title: str, decisions: Sequence[Decision]) -> str:
    labels = [f"{d.differences.label} ({d.differences.kind})" for d in decisions]
    return f"{title}: {shorten(dict.fromkeys(labels), 2)}"


def _suggest_repetitions(kind: KindResult, undecided: Sequence[Decision]) -> str:
    known = [d.additional for d in undecided if d.additional is not None]
    if not known:
        return ""
    is_from_stores = kind.kind == "speed" and kind.unit == "seeds"
    alternative = ", or --baseline-code," if is_from_stores else ""
    return f" (about {max(known)} more {kind.unit}{alternative} would decide)"


def compare_records(
    baseline: Sequence[Record],
    candidate: Sequence[Record],
    *,
    margins: Margins | None = None,
    max_slowdown: float | None = STORES_SLOWDOWN,
    every_seed: bool = True,
) -> GateResult:
    """Decide whether candidate results are worse than baseline results.

    Args:
        baseline: records that are known to be good.
        candidate: the records to judge.
        margins: the largest acceptable loss by score, in the score's unit.
        max_slowdown: the largest acceptable slowdown; 0.2 is 20 % more time. None: quality only.
        every_seed: a seed of the baseline that the candidate did not run makes the gate
            inconclusive. False if fewer seeds were requested.
    """
    cells = match_cells(baseline, candidate)
    qualities = [compare_quality(c, margins or {}) for c in drop_repeated_scores(cells.matched)]
    kinds = [decide_cells("quality", qualities)]
    if max_slowdown is not None:
        speeds = [compare_speed(cell, max_slowdown) for cell in cells.matched]
        kinds.append(decide_cells("speed", speeds))
    missing = [f"{cell.label} (seed {shorten(seeds)})"
               for cell in cells.matched if (seeds := _missing_seeds(cell))]  # fmt: skip
    return GateResult(
        kinds=kinds,
        missing=[*cells.missing, *(missing if every_seed else ())],
        notes=[*_matching_notes(cells), *_reason_notes(kinds), *near_regression_notes(kinds)],
    )


def _matching_notes(cells: MatchedCells) -> Iterator[str]:
    for cell in cells.matched:
        yield from cell.notes
        failed = [old.seed for old, _ in cell.pairs.values() if old.status != "ok"]
        if failed:
            yield f"{cell.label}: the baseline has no result for seed {shorten(failed)}"
        if cell.seeds and (missing := _missing_seeds(cell)):
            yield f"{cell.label}: the candidate did not run seed {shorten(missing)}"
    if cells.missing:
        yield f"not run by the candidate: {shorten(cells.missing)}"
    if cells.new:
        yield f"new, without a baseline: {shorten(cells.new)}"


def _missing_seeds(cell: MatchedCell) -> list[int]:
    """Return the seeds for which the baseline has a result and the candidate no record."""
    ok = {seed for seed, record in cell.baseline.items() if record.status == "ok"}
    return sorted(ok - cell.candidate.keys())


def _reason_notes(kinds: Sequence[KindResult]) -> Iterator[str]:
    """Yield each reason why cells have no gains, with these cells."""
    for kind in kinds:
        labels: dict[str, list[str]] = {}
        for cell in kind.cells:
            if reason := cell.differences.reason or cell.differences.failure:
                labels.setdefault(reason, []).append(cell.differences.label)
        for reason, cells in labels.items():
            yield f"{kind.kind} of {shorten(cells)}: {reason}"


def near_regression_notes(kinds: Sequence[KindResult]) -> Iterator[str]:
    """Yield a note for each loss beyond its margin that is not significant enough for an alarm."""
    for decision in (decision for kind in kinds for decision in kind.decisions):
        differences = decision.differences
        is_beyond_margin = decision.high is not None and decision.high < -differences.margin
        if decision.outcome == "inconclusive" and is_beyond_margin:
            yield (
                f"{differences.kind} of {differences.label}: the loss exceeds its margin at the 5 %"
                f" level, but an alarm needs p ≤ {decision.alarm_level:.2g} and p is"
                f" {decision.p:.2g}"
            )
