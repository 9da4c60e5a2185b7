"""Compare the training speed of candidate and baseline, from two stores, paired by seed.

The stores were made at different times, and a machine is not always equally fast. So the speed of
each run is divided by the peak that the run measured on its machine (a matrix product). That ratio
is `mfu` (model FLOPs utilisation) divided by the operations of a sample.
"""

from __future__ import annotations

import math
from dataclasses import replace

from quintain.gate.matching import MatchedCell
from quintain.gate.paired_differences import PairedDifferences
from quintain.gate.quality import Pairs
from quintain.records.cost import Cost
from quintain.records.hardware_classes import hardware_class
from quintain.records.schema import Record
from quintain.stats.intervals import mean_interval

STORES_SLOWDOWN = 0.20
"""The largest acceptable slowdown between two stores: above the variation from day to day."""


def compare_speed(cell: MatchedCell, max_slowdown: float = STORES_SLOWDOWN) -> PairedDifferences:
    """Return the logarithm of the ratio of speeds by seed, or the reason why there is none.

    Args:
        cell: the records of baseline and candidate.
        max_slowdown: the largest acceptable slowdown; 0.2 is 20 % more time.
    """
    result = PairedDifferences(
        kind="speed", label=cell.label, overrides=cell.overrides, measure="training time"
    )
    pairs = [cell.pairs[seed] for seed in cell.ok_seeds]
    if not pairs:
        return result.without_gains("no seed was successful in both")
    if reason := _compare_machines(pairs):
        return result.without_gains(reason)
    undisturbed = [pair for pair in pairs if not any(map(_is_disturbed, pair))]
    if not undisturbed:
        return result.without_gains(
            "other processes used the CPU in the run of the baseline, of the candidate or in both,"
            " for every seed"
        )
    timed = [(pair, gain) for pair in undisturbed if (gain := _gain(*pair)) is not None]
    if not timed:
        return result.without_gains("no speed was measured")
    before, after = (
        mean_interval([_step_ms(record) for record in records]).mean
        for records in zip(*(pair for pair, _ in timed), strict=True)
    )
    return replace(
        result,
        seeds=tuple(old.seed for (old, _), _ in timed),
        gains=tuple(gain for _, gain in timed),
        margin=math.log1p(max_slowdown),
        baseline_mean=before,
        candidate_mean=after,
    )


def _compare_machines(pairs: Pairs) -> str:
    """Return why the machines' speeds must not be compared; "" if they may."""
    old, new = (
        sorted({str(hardware_class(record.machine)) for record in records})
        for records in zip(*pairs, strict=True)
    )
    if len({hardware_class(record.machine) for pair in pairs for record in pair}) == 1:
        return ""
    return f"the machines differ, {'; '.join(old)} against {'; '.join(new)}"


def _is_disturbed(record: Record) -> bool:
    entry = record.trust.get("other_process")
    return entry is not None and entry.ok is False


def _gain(old: Record, new: Record) -> float | None:
    """Return log(candidate's speed / baseline's speed)."""
    assert old.cost and new.cost  # the schema requires them of an ok record
    before, after = _calibrated_speed(old.cost), _calibrated_speed(new.cost)
    if not before or not after:
        before, after = old.cost.samples_per_second, new.cost.samples_per_second
    if not before or not after or not (0 < before < math.inf and 0 < after < math.inf):
        return None
    return math.log(after) - math.log(before)


def _calibrated_speed(cost: Cost) -> float | None:
    """Return the speed as in the head of this file: `mfu` / operations of a sample."""
    return cost.mfu / cost.flops_per_sample if cost.mfu and cost.flops_per_sample else None


def _step_ms(record: Record) -> float | None:
    cost = record.cost
    return 1e3 * cost.seconds.training / cost.steps if cost and cost.steps else None
