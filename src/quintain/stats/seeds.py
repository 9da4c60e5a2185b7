"""How many seeds a question needs: from the deviation seen so far to the power of a t-test."""

from __future__ import annotations

import math
from collections.abc import Sequence

from quintain.stats.paired import RESOLUTION
from quintain.stats.student import student_power

POWER = 0.8  # chance to see a difference of the size seen so far; Cohen's (1988) convention
MOST = 1000  # seeds; nobody runs more for one comparison


def seeds_needed(
    effect: float, *, level: float = 0.05, power: float = POWER, sides: int = 2
) -> int | None:
    """The fewest paired seeds at which a t-test finds `effect` with this power; None over `MOST`.

    Args:
        effect: expected mean difference in standard deviations of the differences.
        level: of the test.
        power: chance to find it.
        sides: 1 where only a difference in the expected direction counts.
    """
    if not math.isfinite(effect) or student_power(effect, MOST, level=level, sides=sides) < power:
        return None
    low, high = 1, MOST  # power grows with n: low is too few, high is enough
    while high - low > 1:
        middle = (low + high) // 2
        enough = student_power(effect, middle, level=level, sides=sides) >= power
        low, high = (low, middle) if enough else (middle, high)
    return high


def more_seeds(
    differences: Sequence[float], *, level: float = 0.05, power: float = POWER
) -> int | None:
    """How many more paired seeds would probably separate two models.

    Takes the mean and the deviation of the differences seen so far for the true ones, so it is a
    guess as rough as they are. 0 where the seeds there are should do already. None where no number
    helps: fewer than two pairs, no mean difference, or more than `MOST` needed; and where all
    differences are equal, for their deviation is not known.

    Args:
        differences: of the common seeds, as `pair_differences` gives them.
        level: that p must not exceed; divided by the number of pairs tested with it.
        power: chance that the models are separated then.
    """
    n = len(differences)
    if n < 2:
        return None
    size = max(map(abs, differences)) or 1.0  # so that no square under- or overflows
    scaled = [value / size for value in differences]
    mean = math.fsum(scaled) / n
    deviation = math.sqrt(math.fsum((value - mean) ** 2 for value in scaled) / (n - 1))
    if deviation <= RESOLUTION * abs(mean):
        return None
    needed = seeds_needed(abs(mean) / deviation, level=level, power=power)
    return None if needed is None else max(needed - n, 0)
