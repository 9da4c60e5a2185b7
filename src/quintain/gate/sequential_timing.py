"""Decide about speed from rounds of side by side timing, with as few rounds as possible.

A round has the step times of two processes of the baseline, A and A', and of the candidate, B.

Gain: the mean of the trimmed means of log(A / B) and log(A' / B). Trimming a fifth at each end
removes rounds that other processes disturbed. The two ratios are trimmed separately, because each
of them has a symmetric distribution if disturbances are equally likely in all three processes; the
ratio (A + A') / 2B has not.

Noise of the machine: log(A / A') compares the baseline with itself. If its 95 % interval extends
beyond the largest acceptable slowdown, a slowdown is a regression only if it exceeds that interval
too. The rule for a pass does not change. So on a machine that is too noisy a slowdown is neither a
regression nor a pass, and the gate is inconclusive.

Error control: the rounds are evaluated three times, after a quarter, a half and all of the allowed
rounds. At each evaluation of each cell, an alarm has the level ALARM_LEVEL / 2 / (cells ·
evaluations), because the other half of ALARM_LEVEL is for quality, and a pass has the level
PASS_LEVEL / evaluations (Bonferroni's inequality, which holds for any dependence). Rounds are
treated as independent. They are not if the machine's speed changes for many rounds, or if the
memory layout makes a process slower throughout; both widen the interval of log(A / A').
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import islice

from quintain.gate.cell_decisions import ALARM_LEVEL, PASS_LEVEL, Decision, decide_by_mean
from quintain.gate.interleaved_timing import Round
from quintain.gate.paired_differences import PairedDifferences
from quintain.stats.intervals import t_quantile
from quintain.stats.mean_estimates import trimmed_mean

SLOWDOWN = 0.05  # the largest acceptable one: half of the 10 % that should be found reliably
MAX_ROUNDS = 192
MIN_ROUNDS = 8  # always measured; their duration limits the number of further rounds
MAX_SECONDS = 55.0  # for one cell, including warm-up
EVALUATIONS = (0.25, 0.5, 1.0)  # after these fractions of the allowed rounds


def time_until_decided(
    label: str,
    overrides: Sequence[str],
    rounds: Iterator[Round],
    *,
    cells: int,
    max_slowdown: float = SLOWDOWN,
    max_rounds: int = MAX_ROUNDS,
) -> Decision:
    """Measure rounds of one cell until they decide, or until rounds or time run out.

    Args:
        label: name of the cell for messages.
        overrides: with which `quintain sweep` runs the cell again.
        rounds: measures a round each time it is advanced.
        cells: number of cells of the gate, which share the probability of a false alarm.
        max_slowdown: the largest acceptable slowdown; 0.05 is 5 % more time.
        max_rounds: at least `MIN_ROUNDS`.
    """
    end = time.monotonic() + MAX_SECONDS
    measured: list[Round] = [*islice(rounds, 1)]  # the first round includes warm-up
    start = time.monotonic()
    measured += islice(rounds, MIN_ROUNDS - 1)
    now = time.monotonic()
    affordable = (MIN_ROUNDS - 1) * (end - now) / max(now - start, 1e-9)
    allowed = max(MIN_ROUNDS, min(max_rounds, MIN_ROUNDS + int(affordable)))
    for share in EVALUATIONS:
        # The clock is read for each round, because a machine may become slower.
        while len(measured) < round(share * allowed) and time.monotonic() < end:
            if (result := next(rounds, None)) is None:
                break
            measured.append(result)
        decision = evaluate_rounds(label, overrides, measured, cells, max_slowdown)
        if decision.outcome != "inconclusive" or time.monotonic() >= end:
            break
    return decision


def evaluate_rounds(
    label: str,
    overrides: Sequence[str],
    rounds: Sequence[Round],
    cells: int,
    max_slowdown: float,
) -> Decision:
    """Decide about a cell at one of the evaluations, by the rules of the module's docstring."""
    baselines = [[r.baseline for r in rounds], [r.baseline_again for r in rounds]]
    gains = [
        [math.log(seconds / r.candidate) for seconds, r in zip(column, rounds, strict=True)]
        for column in baselines
    ]
    log_seconds = trimmed_mean(*([math.log(seconds) for seconds in column] for column in baselines))
    mean, step_ms = trimmed_mean(*gains), 1e3 * math.exp(log_seconds.value)
    differences = PairedDifferences(
        kind="speed", label=label, overrides=tuple(overrides), measure="step, side by side",
        margin=math.log1p(max_slowdown),
        gains=tuple(math.fsum(both) / 2 for both in zip(*gains, strict=True)),
        baseline_mean=step_ms, candidate_mean=step_ms * math.exp(-mean.value),
    )  # fmt: skip
    levels = {
        "pass_level": PASS_LEVEL / len(EVALUATIONS),
        "alarm_level": ALARM_LEVEL / 2 / cells / len(EVALUATIONS),
    }
    decision = decide_by_mean(differences, mean, **levels)
    noise_margin = max(differences.margin, baseline_noise(rounds))
    beyond_noise = decide_by_mean(replace(differences, margin=noise_margin), mean, **levels)
    outcome = decision.outcome
    if beyond_noise.outcome == "regression":
        outcome = "regression"
    elif outcome == "regression":  # equal versions differ as much on this machine
        outcome = "inconclusive"
    assert beyond_noise.p is not None  # there are at least `MIN_ROUNDS` rounds
    p = min(1.0, beyond_noise.p * cells * len(EVALUATIONS))  # corrected, so the level is not
    return replace(decision, outcome=outcome, p=p, alarm_level=ALARM_LEVEL / 2)


def baseline_noise(rounds: Sequence[Round]) -> float:
    """Return the largest absolute value in the 95 % interval of log(A / A')."""
    mean = trimmed_mean([math.log(r.baseline / r.baseline_again) for r in rounds])
    return abs(mean.value) + t_quantile(0.975, mean.degrees_of_freedom) * mean.standard_error
