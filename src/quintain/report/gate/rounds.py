"""Speed from rounds A A' B, taken until they decide or there are as many as were allowed.

The gain is the mean of two trimmed means, of log(A / B) and of log(A' / B): trimmed by a fifth at
each end, because other work on the machine makes some rounds wild; each ratio by itself, because it
is as often too high as too low where all three meet such work alike, which the ratio of a mean of
two to one is not, and the mean of the two has no place left for who was first. The baseline against
itself, log(A / A'), says what this machine calls equal: where its own interval
reaches beyond the slowdown that matters, only what lies beyond that too is a regression. To pass,
the slowdown that matters decides, so a machine of many moods ends inconclusive and neither alarms
nor lulls.

Error control: the rounds are looked at a fixed number of times (after a quarter, a half and all of
the rounds that are allowed), and each look of each cell has its share of the chance of a false
alarm, alarm / (cells · looks), and of a false pass: Bonferroni's inequality, whatever the looks
have to do with each other. Within a look the rounds count as independent. Moods of a machine that
outlast many rounds, and a process that is slower than its twin by its place in memory alone, break
that; the baseline's own noise, which has them too, then asks for more.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import islice
from typing import Literal, Protocol

from quintain.report.gate.judge import ALARM, PASS, Judged, judged
from quintain.report.gate.series import Series
from quintain.stats.robust import trimmed_mean
from quintain.stats.student import student_quantile

SLOWER = 0.05  # side by side: half of the slowdown that is to be found, 10 %
MOST = 192  # rounds
SECONDS = 55.0  # for one cell, warming up included: of slow steps there are fewer rounds
FIRST = 8  # rounds that tell how long one takes; fewer are never taken
LOOKS = (0.25, 0.5, 1.0)  # of the rounds that are allowed


class Turn(Protocol):
    """Seconds of a step of each in one round."""

    @property
    def baseline(self) -> float: ...
    @property
    def again(self) -> float: ...
    @property
    def candidate(self) -> float: ...


def decide(
    label: str,
    words: Sequence[str],
    rounds: Iterator[Turn],
    *,
    cells: int,
    slower: float = SLOWER,
    most: int = MOST,
) -> Judged:
    """Take rounds until one cell is decided.

    Args:
        label: of the cell.
        words: that run it again.
        rounds: as they are measured.
        cells: of the whole gate, which share the chance of a false alarm.
        slower: the slowdown that matters, as a share of the time.
        most: rounds that may be taken; at least 8.
    """
    end = time.monotonic() + SECONDS
    taken: list[Turn] = [*islice(rounds, 1)]  # warming up is part of it
    began = time.monotonic()
    taken += islice(rounds, FIRST - 1)
    now = time.monotonic()
    affordable = (FIRST - 1) * (end - now) / max(now - began, 1e-9)
    allowed = max(FIRST, min(most, FIRST + int(affordable)))
    for share in LOOKS:
        _take(taken, rounds, round(share * allowed), end)
        found = look(label, words, taken, cells=cells, slower=slower)
        if found.outcome != "inconclusive" or time.monotonic() >= end:
            break
    return found


def _take(taken: list[Turn], rounds: Iterator[Turn], number: int, end: float) -> None:
    """Rounds until there are so many, or it is the end: a machine may become slower."""
    while len(taken) < number and time.monotonic() < end:
        if (one := next(rounds, None)) is None:
            break
        taken.append(one)


def look(
    label: str, words: Sequence[str], taken: Sequence[Turn], *, cells: int, slower: float
) -> Judged:
    """What the rounds say at one look."""
    gains = [_gains(taken, "baseline"), _gains(taken, "again")]
    mean, before = trimmed_mean(*gains), 1e3 * math.exp(_usual(taken))
    series = Series(
        kind="speed", label=label, words=tuple(words), measure="step, side by side",
        margin=math.log1p(slower),
        gains=tuple(math.fsum(both) / 2 for both in zip(*gains, strict=True)),
        before=before, after=before * math.exp(-mean.value),
    )  # fmt: skip
    levels = {"alarm": ALARM / 2 / cells / len(LOOKS), "passing": PASS / len(LOOKS)}
    raised = replace(series, margin=max(series.margin, own_noise(taken)))
    found, alarmed = judged(series, mean, **levels), judged(raised, mean, **levels)
    worst = "inconclusive" if found.outcome == "regression" else found.outcome
    outcome = alarmed.outcome if alarmed.outcome == "regression" else worst
    p = None if alarmed.p is None else min(1.0, alarmed.p * cells * len(LOOKS))
    return replace(found, outcome=outcome, p=p)


def own_noise(taken: Sequence[Turn]) -> float:
    """How far from equal the baseline may be from itself: the far end of the 95 % interval."""
    found = trimmed_mean([math.log(turn.baseline / turn.again) for turn in taken])
    return abs(found.value) + student_quantile(0.975, found.degrees) * found.error


def _gains(taken: Sequence[Turn], of: Literal["baseline", "again"]) -> list[float]:
    return [math.log(getattr(turn, of) / turn.candidate) for turn in taken]


def _usual(taken: Sequence[Turn]) -> float:
    """The logarithm of the baseline's seconds of a step."""
    both = ([math.log(turn.baseline) for turn in taken], [math.log(turn.again) for turn in taken])
    return trimmed_mean(*both).value
