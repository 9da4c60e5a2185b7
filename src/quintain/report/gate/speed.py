"""How fast the candidate is beside the baseline, from two stores: training, paired by seed.

The stores were made at two times, so speeds are taken relative to a calibration kernel where both
runs timed it: the matrix product whose speed each run measures as its machine's peak. `mfu` over
the operations of a sample is samples a second over that peak, whatever the model computes.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from quintain.records.schema import Cost, Record
from quintain.report.gate.matching import Match
from quintain.report.gate.series import Series
from quintain.stats.intervals import mean_interval

STORED_MARGIN = (
    0.20  # slower: of measurements at two times less is not told from the machine's mood
)
CLASS = ("cpu", "architecture", "cores", "threads", "gpu")


def machine_class(record: Record) -> tuple[str, ...]:
    """What must be equal for speeds to compare."""
    return tuple(str(record.machine.get(name)) for name in CLASS)


def speed_series(match: Match, slower: float = STORED_MARGIN) -> Series:
    """Logarithms of the ratio of speeds by seed.

    Args:
        match: the records of both sides.
        slower: the slowdown that matters, as a share: 0.2 is 20 % more time.
    """
    found = Series(kind="speed", label=match.label, words=match.words, measure="training time")
    ok = [s for s in match.seeds if match.baseline[s].status == match.candidate[s].status == "ok"]
    pairs = [(match.baseline[seed], match.candidate[seed]) for seed in ok]
    if not pairs:
        return found.without("no seed ran on both sides")
    if unlike := _unlike_machines(pairs):
        return found.without(unlike)
    calm = [pair for pair in pairs if not any(map(_disturbed, pair))]
    gains = [gain for pair in calm if (gain := _gain(*pair)) is not None]
    if not gains:
        return found.without(
            "other processes took the CPU" if not calm else "no speed was measured"
        )
    ours, theirs = (mean_interval([_step_ms(r) for r in side]) for side in zip(*calm, strict=True))
    return Series(
        kind="speed", label=match.label, words=match.words, measure="training time",
        seeds=tuple(pair[0].seed for pair in calm), gains=tuple(gains), margin=math.log1p(slower),
        before=ours.mean, after=theirs.mean,
    )  # fmt: skip


def _unlike_machines(pairs: Sequence[tuple[Record, Record]]) -> str:
    ours, theirs = ({machine_class(r) for r in side} for side in zip(*pairs, strict=True))
    if ours == theirs and len(ours) == 1:
        return ""
    mine, other = (", ".join(sorted(" ".join(c) for c in side)) for side in (ours, theirs))
    return f"other machines, so quality only: {mine} against {other}"


def _disturbed(record: Record) -> bool:
    trust = record.trust.get("other_process")
    return trust is not None and trust.ok is False


def _gain(before: Record, after: Record) -> float | None:
    """log of candidate's speed over baseline's."""
    assert before.cost and after.cost  # the schema demands them of an ok record
    ours, theirs = _calibrated(before.cost), _calibrated(after.cost)
    if not ours or not theirs:
        ours, theirs = before.cost.samples_per_second, after.cost.samples_per_second
    if not ours or not theirs or ours < 0 or theirs < 0:
        return None
    return math.log(theirs) - math.log(ours)


def _calibrated(cost: Cost) -> float | None:
    """Samples a second in units of the machine's peak, but for a constant."""
    return cost.mfu / cost.flops_per_sample if cost.mfu and cost.flops_per_sample else None


def _step_ms(record: Record) -> float | None:
    cost = record.cost
    return 1e3 * cost.seconds.training / cost.steps if cost and cost.steps else None
