"""The number of seeds that a comparison needs, from the power of the paired t-test."""

from __future__ import annotations

import bisect
import math
from collections.abc import Sequence

from quintain.stats.intervals import t_quantile
from quintain.stats.paired import SCORE_RESOLUTION

POWER = 0.8  # probability of detecting the effect; convention of Cohen (1988)
MAX_SEEDS = 1000  # more are not practical


def t_test_power(effect: float, n: int, *, level: float = 0.05, sides: int = 2) -> float:
    """Return the probability that a t-test over `n` differences detects an effect.

    The statistic follows the noncentral t distribution (`scipy.special.nctdtr`) with n - 1 degrees
    of freedom and noncentrality effect·√n.

    Args:
        effect: mean difference in standard deviations of the differences.
        n: number of pairs, at least 2.
        level: significance level.
        sides: 2, or 1 for a one-sided test.
    """
    import numpy as np
    from scipy.special import nctdtr

    critical = t_quantile(1 - level / sides, n - 1)
    below = nctdtr(n - 1, effect * math.sqrt(n), [critical, -critical])
    below = np.nan_to_num(below)  # SciPy returns NaN where the probability underflows
    return float(1 - below[0] + (below[1] if sides == 2 else 0.0))


def required_seeds(
    effect: float, *, level: float = 0.05, power: float = POWER, sides: int = 2
) -> int | None:
    """Return the smallest number of paired seeds for this power; None if over `MAX_SEEDS`.

    See `t_test_power` for the arguments.
    """

    def power_of(n: int) -> float:
        return t_test_power(effect, n, level=level, sides=sides)

    if not math.isfinite(effect) or power_of(MAX_SEEDS) < power:
        return None
    sizes = range(2, MAX_SEEDS + 1)
    return sizes[bisect.bisect_left(sizes, power, key=power_of)]  # power grows with n


def additional_seeds(
    differences: Sequence[float], *, level: float = 0.05, power: float = POWER
) -> int | None:
    """Return the number of additional paired seeds that would probably separate two models.

    It assumes the observed mean and standard deviation, so it is a rough estimate. 0 if the present
    seeds suffice. None for fewer than two pairs, for equal differences (unknown standard
    deviation), and if more than `MAX_SEEDS` are needed.

    Args:
        differences: see `paired_differences`.
        level: significance level of each test (family-wise level / number of tests).
        power: probability of separating the models.
    """
    n = len(differences)
    if n < 2:
        return None
    largest = max(map(abs, differences)) or 1.0  # scaled so that no square overflows or underflows
    scaled = [value / largest for value in differences]
    mean = math.fsum(scaled) / n
    deviation = math.sqrt(math.fsum((value - mean) ** 2 for value in scaled) / (n - 1))
    if deviation <= SCORE_RESOLUTION * abs(mean):
        return None
    required = required_seeds(abs(mean) / deviation, level=level, power=power)
    return None if required is None else max(required - n, 0)
