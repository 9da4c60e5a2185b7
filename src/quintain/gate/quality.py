"""Compare the quality of candidate and baseline: main scores on the test split, paired by seed."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace

from quintain.gate.matching import MatchedCell
from quintain.gate.paired_differences import PairedDifferences
from quintain.records.schema import Quality, Record, ScoreValue
from quintain.report.formatting import first_line
from quintain.stats.intervals import mean_interval

FRACTION_MARGIN = 0.02  # of a score from 0 to 1
HUNDRED_MARGIN = 2.0  # of a score from 0 to 100
RELATIVE_MARGIN = 0.04  # of other scores, as a fraction of the baseline's mean

Margins = Mapping[str, float]
"""The largest acceptable loss in one cell by score, in the score's unit."""

Pairs = Sequence[tuple[Record, Record]]
"""The records of baseline and candidate, one pair per seed."""


def compare_quality(cell: MatchedCell, margins: Margins) -> PairedDifferences:
    """Return the gains of a cell by seed, or the reason or failure that prevents a comparison.

    Scores that `margins` does not name have a default margin.
    """
    result = PairedDifferences(
        kind="quality", label=cell.label, overrides=cell.overrides, seeds=tuple(cell.seeds)
    )
    if not cell.seeds:
        baseline, candidate = sorted(cell.baseline), sorted(cell.candidate)
        return result.without_gains(
            f"no common seed: the baseline has {baseline}, the candidate {candidate}"
        )
    pairs = [pair for pair in cell.pairs.values() if pair[0].main_test_score() is not None]
    if not pairs:
        has_score = any(new.main_test_score() is not None for _, new in cell.pairs.values())
        result = result.without_gains("the baseline has no score")
        return replace(result, never_scored=not has_score)
    score = _quality(pairs[0][0]).main
    result = replace(result, seeds=tuple(old.seed for old, _ in pairs), measure=score)
    for old, new in pairs:
        if failure := _find_failure(new):
            return replace(result, failure=failure)
        if reason := _find_incompatibility(old, new):
            return result.without_gains(reason)
    return _add_gains(result, pairs, margins)


def _quality(record: Record) -> Quality:
    assert record.quality  # the schema requires it of an ok record
    return record.quality


def _find_failure(new: Record) -> str:
    """Return why the candidate's run has no score; "" if it has one."""
    if new.status == "failed" and new.error is not None:
        return f"seed {new.seed} failed: {new.error.kind}: {first_line(new.error.message)}"
    if new.status == "skipped":
        return f"seed {new.seed} is skipped: {new.reason}"
    if new.main_test_score() is None:
        return f"seed {new.seed} has no {_quality(new).main} on test"
    return ""


def _find_incompatibility(old: Record, new: Record) -> str:
    """Return why two scores must not be compared; "" if they may."""
    before, after = _quality(old).main, _quality(new).main
    if before != after:
        return f"the main score was {before} and is {after}"
    old_score, new_score = _quality(old).scores[before], _quality(new).scores[before]
    if (old_score.unit, old_score.direction) != (new_score.unit, new_score.direction):
        return f"{before} was in {_describe(old_score)} and is in {_describe(new_score)}"
    assert old.data and new.data  # the schema requires them of an ok record
    if old.data.fingerprint != new.data.fingerprint:
        return "the data have changed: their fingerprints differ"
    if not math.isfinite(_score_value(new) - _score_value(old)):
        return "the difference of their scores is not a finite number"
    return ""


def _score_value(record: Record) -> float:
    return float(record.main_test_score() or 0.0)


def _describe(score: ScoreValue) -> str:
    return f"{score.unit!r} ({score.direction} is better)"


def _add_gains(result: PairedDifferences, pairs: Pairs, margins: Margins) -> PairedDifferences:
    score = _quality(pairs[0][0]).scores[result.measure]
    sign = 1 if score.direction == "max" else -1
    before, after = (
        [_score_value(record) for record in records] for records in zip(*pairs, strict=True)
    )
    baseline_mean = mean_interval(before).mean
    assert pairs[0][0].data  # the schema requires it of an ok record
    test_size = pairs[0][0].data.sizes.test
    return replace(
        result,
        gains=tuple(sign * (new - old) for old, new in zip(before, after, strict=True)),
        margin=margins.get(result.measure) or default_margin(score.unit, baseline_mean or 0.0),
        exact=all(_numbers(old) == _numbers(new) for old, new in pairs),
        floor=1 / test_size if score.unit == "fraction" and test_size else 0.0,
        baseline_mean=baseline_mean,
        candidate_mean=mean_interval(after).mean,
    )


def default_margin(unit: str, mean: float) -> float:
    """Return the default margin of a score with this unit, whose mean in the baseline is `mean`."""
    if unit == "fraction":
        return FRACTION_MARGIN
    if unit == "0 to 100":
        return HUNDRED_MARGIN
    return RELATIVE_MARGIN * abs(mean) or RELATIVE_MARGIN


def _numbers(record: Record) -> object:
    """Return all scores and the learning curve, to compare two runs bit for bit."""
    quality = _quality(record)
    return quality.scores, [(point.step, point.train_loss, point.val) for point in quality.curve]
