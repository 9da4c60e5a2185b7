"""How good the candidate is beside the baseline: main scores on test, paired by seed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from quintain.records.schema import Quality, Record, ScoreValue
from quintain.report.gate.matching import Match
from quintain.report.gate.series import Series
from quintain.report.text import first_line
from quintain.stats.intervals import mean_interval

POINTS = 0.02  # of a score in [0, 1]: two points
SHARE = 0.04  # of the baseline's mean, for errors that have other units
HUNDRED = 2.0  # of a score from 0 to 100

Margins = Mapping[str, float]
"""Score → the loss that matters in one cell, in the score's own unit; others by default."""


def quality_series(match: Match, margins: Margins) -> Series:
    """Gains by seed; what cannot be compared, or is no longer there, says why."""
    found = Series(kind="quality", label=match.label, words=match.words, seeds=tuple(match.seeds))
    had = [seed for seed in match.seeds if match.baseline[seed].main_test() is not None]
    if not match.seeds:
        mine, other = (sorted(side) for side in (match.baseline, match.candidate))
        return found.without(f"no common seed: the baseline has {mine}, the candidate {other}")
    if not had:
        has = any(match.candidate[seed].main_test() is not None for seed in match.seeds)
        return replace(found.without("the baseline has no score"), never=not has)
    pairs = [(match.baseline[seed], match.candidate[seed]) for seed in had]
    found = _named(found, pairs[0][0], had)
    for before, after in pairs:
        if why := _lost(after):
            return Series(kind="quality", label=match.label, words=match.words,
                          measure=found.measure, seeds=found.seeds, lost=why)  # fmt: skip
        if why := _unlike(before, after):
            return found.without(why)
    return _gains(found, pairs, margins)


def _named(found: Series, record: Record, seeds: list[int]) -> Series:
    return Series(kind="quality", label=found.label, words=found.words, seeds=tuple(seeds),
                  measure=_quality(record).main)  # fmt: skip


def _quality(record: Record) -> Quality:
    assert record.quality  # the schema demands it of an ok record
    return record.quality


def _lost(after: Record) -> str:
    if after.status == "failed" and after.error is not None:
        return f"seed {after.seed} failed: {after.error.kind}: {first_line(after.error.message)}"
    if after.status == "skipped":
        return f"seed {after.seed} is skipped: {after.reason}"
    if after.main_test() is None:
        return f"seed {after.seed} has no {_quality(after).main} on test"
    return ""


def _unlike(before: Record, after: Record) -> str:
    ours, theirs = _quality(before).main, _quality(after).main
    if ours != theirs:
        return f"the main score was {ours} and is {theirs}"
    had, has = _quality(before).scores[ours], _quality(after).scores[ours]
    if (had.unit, had.direction) != (has.unit, has.direction):
        return f"{ours} was in {_meant(had)} and is in {_meant(has)}"
    assert before.data and after.data  # the schema demands them of an ok record
    if before.data.fingerprint != after.data.fingerprint:
        return "the data differ (their fingerprints do)"
    return ""


def _meant(score: ScoreValue) -> str:
    return f"{score.unit!r} ({score.direction} is better)"


def _gains(found: Series, pairs: list[tuple[Record, Record]], margins: Margins) -> Series:
    score = _quality(pairs[0][0]).scores[found.measure]
    sign = 1 if score.direction == "max" else -1
    ours, theirs = (
        [float(r.main_test() or 0.0) for r in side] for side in zip(*pairs, strict=True)
    )
    before, after = mean_interval(ours).mean, mean_interval(theirs).mean
    assert pairs[0][0].data  # the schema demands it of an ok record
    tests = pairs[0][0].data.sizes.test
    return Series(
        kind="quality",
        label=found.label,
        words=found.words,
        measure=found.measure,
        seeds=found.seeds,
        gains=tuple(sign * (b - a) for a, b in zip(ours, theirs, strict=True)),
        margin=margins.get(found.measure) or usual_margin(score.unit, before or 0.0),
        exact=all(same_numbers(a, b) for a, b in pairs),
        floor=1 / tests if score.unit == "fraction" and tests else 0.0,
        before=before,
        after=after,
    )


def usual_margin(unit: str, mean: float) -> float:
    """The loss that matters in a score of this unit: two points of 100, or 4 % of an error."""
    if unit == "fraction":
        return POINTS
    if unit == "0 to 100":
        return HUNDRED
    return SHARE * abs(mean) or SHARE


def same_numbers(a: Record, b: Record) -> bool:
    """Whether two runs gave the same numbers bit for bit: every score and the whole curve."""
    return _numbers(a) == _numbers(b)


def _numbers(record: Record) -> object:
    quality = _quality(record)
    curve = [(point.step, point.train_loss, point.val) for point in quality.curve]
    return quality.scores, curve
