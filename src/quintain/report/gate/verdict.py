"""What a gate says in the end: an exit code and one line."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from quintain.records.schema import Record
from quintain.report.gate.judge import Judged, Side, judge
from quintain.report.gate.matching import Match, Matches, matched, once
from quintain.report.gate.quality import Margins, quality_series
from quintain.report.gate.speed import STORED_MARGIN, speed_series

PASSED, REGRESSION, USAGE, INCONCLUSIVE = 0, 1, 2, 3

Unit = Literal["seeds", "rounds"]


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """The whole of a gate; `notes` are what a reader must know to believe it."""

    sides: list[Side]
    missing: list[str]  # cells of the baseline that the candidate did not run
    notes: list[str]
    unit: Mapping[str, Unit]  # kind → what more of would decide

    @property
    def every(self) -> list[Judged]:
        return [judged for side in self.sides for judged in side.every]

    def having(self, outcome: str) -> list[Judged]:
        """All that ended so."""
        return [judged for judged in self.every if judged.outcome == outcome]

    @property
    def exit_code(self) -> int:
        """0 passed, 1 a regression, 3 inconclusive."""
        if self.having("regression"):
            return REGRESSION
        judged = self.having("passed")
        if self.having("inconclusive") or self.missing or self._unjudged() or not judged:
            return INCONCLUSIVE
        return PASSED

    def _unjudged(self) -> list[Judged]:
        """Cells whose quality is not known; speeds that do not compare are said and let pass, and
        so is what had no result before and has none now.
        """
        found = [one for one in self.having("not judged") if one.series.kind == "quality"]
        return [one for one in found if not one.series.never]

    @property
    def sentence(self) -> str:
        """The verdict in one line."""
        word = {PASSED: "passed", REGRESSION: "REGRESSION", INCONCLUSIVE: "inconclusive"}
        return f"gate: {word[self.exit_code]}: {'; '.join(self._parts())}"

    def _parts(self) -> Iterator[str]:
        if found := self.having("regression"):
            yield _named("worse", found)
        for kind in ("quality", "speed"):
            open_ = [one for one in self.having("inconclusive") if one.series.kind == kind]
            if open_:
                yield f"{_named(f'{kind} undecided', open_)}{self._more(kind, open_)}"
        if self.missing:
            yield f"{len(self.missing)} of the baseline's cells were not run by the candidate"
        if unjudged := self._unjudged():
            yield _named("not comparable", unjudged)
        if better := [one for one in self.every if one.better]:
            yield _named("better", better)
        counts = dict(self._counts())
        known = [
            f"{kind} of {n} {'cell' if n == 1 else 'cells'}" for kind, n in counts.items() if n
        ]
        if self.exit_code == PASSED:
            yield f"no worse in {' and '.join(known)}"
        speeds = [cell for side in self.sides if side.kind == "speed" for cell in side.cells]
        if speeds and all(cell.outcome == "not judged" for cell in speeds):
            yield "speed not judged"

    def _counts(self) -> Iterator[tuple[str, int]]:
        for side in self.sides:
            yield side.kind, sum(cell.outcome == "passed" for cell in side.cells)

    def _more(self, kind: str, found: Sequence[Judged]) -> str:
        known = [one.more for one in found if one.more is not None]
        unit = self.unit.get(kind, "seeds")
        if not known:
            return ""
        if kind == "speed" and unit == "seeds":
            return f" (about {max(known)} more seeds, or --baseline-code, would decide)"
        return f" (about {max(known)} more {unit} would decide)"


def _named(word: str, found: Sequence[Judged]) -> str:
    labels = list(dict.fromkeys(f"{one.series.label} ({one.series.kind})" for one in found))
    more = f" and {len(labels) - 2} more" if len(labels) > 2 else ""
    return f"{word}: {', '.join(labels[:2])}{more}"


def compare(
    baseline: Sequence[Record],
    candidate: Sequence[Record],
    *,
    margins: Margins | None = None,
    slower: float | None = STORED_MARGIN,
    every_seed: bool = True,
) -> Verdict:
    """Judge two sets of records.

    Args:
        baseline: what was good.
        candidate: what is to be judged.
        margins: score → loss that matters, in its own unit.
        slower: the slowdown that matters, as a share of the time; None: speeds are not judged.
        every_seed: a seed of the baseline that the candidate did not run leaves the gate open; not
            so where fewer were asked for.
    """
    found = matched(baseline, candidate)
    sides = [judge("quality", [quality_series(m, margins or {}) for m in once(found.both)])]
    if slower is not None:
        sides.append(judge("speed", [speed_series(match, slower) for match in found.both]))
    return Verdict(
        sides=sides,
        missing=[*found.missing, *(_lone_seeds(found) if every_seed else ())],
        notes=[*_notes(found), *_unjudged_notes(sides), *_near_notes(sides)],
        unit={"quality": "seeds", "speed": "seeds"},
    )


def _notes(found: Matches) -> Iterator[str]:
    for match in found.both:
        yield from match.notes
        yield from _seed_notes(match)
    if found.missing:
        yield f"not run by the candidate: {_listed(found.missing)}"
    if found.new:
        yield f"new, without a baseline: {_listed(found.new)}"


def _seed_notes(match: Match) -> Iterator[str]:
    failed = [s for s in match.seeds if match.baseline[s].status != "ok"]
    if failed:
        yield f"{match.label}: the baseline has no result of seed {_listed(map(str, failed))}"
    if match.seeds and (lone := _lone(match)):
        yield f"{match.label}: the candidate did not run seed {_listed(map(str, lone))}"


def _lone(match: Match) -> list[int]:
    """Seeds that the baseline has a result of, and the candidate no record."""
    ran = [seed for seed, record in match.baseline.items() if record.status == "ok"]
    return sorted(set(ran) - match.candidate.keys())


def _lone_seeds(found: Matches) -> Iterator[str]:
    for match in found.both:
        if lone := _lone(match):
            yield f"{match.label} (seed {_listed(map(str, lone))})"


def _unjudged_notes(sides: Sequence[Side]) -> Iterator[str]:
    """Each reason once, with the cells that it holds for."""
    for side in sides:
        why: dict[str, list[str]] = {}
        for cell in side.cells:
            if reason := cell.series.unjudged or cell.series.lost:
                why.setdefault(reason, []).append(cell.series.label)
        for reason, labels in why.items():
            yield f"{side.kind} of {_listed(labels)}: {reason}"


def _near_notes(sides: Sequence[Side]) -> Iterator[str]:
    """What looks like a regression and is none yet."""
    for one in (one for side in sides for one in side.every):
        beyond = one.high is not None and one.high < -one.series.margin
        if one.outcome == "inconclusive" and beyond and one.p is not None and one.alarm:
            yield (
                f"{one.series.kind} of {one.series.label}: the loss lies beyond its margin, and"
                f" p = {one.p:.2g} is not yet the {one.alarm:.2g} from which on a gate alarms"
            )


def _listed(names: Iterable[str]) -> str:
    found = list(names)
    return ", ".join(found[:5]) + (f" and {len(found) - 5} more" if len(found) > 5 else "")
