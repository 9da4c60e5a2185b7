"""Student's t, central and noncentral, computed here.

`scipy.special` takes longer to import than a leaderboard to print.
"""

from __future__ import annotations

import math

_TINY = 1e-300
_EVEN = 400  # steps of Simpson's rule: power to about 1e-9
_FAR = 8.0  # standard deviations beyond which a normal density is nothing (6e-16)


def student_quantile(probability: float, degrees: int) -> float:
    """Quantile of Student's t with a whole number of degrees of freedom, to about 12 digits.

    Raises:
        ValueError: `probability` is not in [0.5, 1) or `degrees` is below 1.
    """
    if not 0.5 <= probability < 1 or degrees < 1:
        raise ValueError(
            f"expected 0.5 ≤ probability < 1 and degrees ≥ 1, got {probability} and {degrees}"
        )
    inside, low, high = 2 * probability - 1, 0.0, math.pi / 2
    for _ in range(60):  # halvings of π/2: down to the spacing of floats
        middle = (low + high) / 2
        low, high = (middle, high) if _inside(middle, degrees) < inside else (low, middle)
    return math.sqrt(degrees) * math.tan((low + high) / 2)


def _inside(angle: float, degrees: int) -> float:
    """P(|t| < tan(angle)·√degrees): Abramowitz and Stegun, 26.7.3 and 26.7.4."""
    cosine = math.cos(angle)
    odd = degrees % 2 == 1
    total, term = 0.0, cosine if odd else 1.0
    for k in range(2 if odd else 1, degrees, 2):
        total += term
        term *= cosine * cosine * k / (k + 1)
    total *= math.sin(angle)
    return 2 / math.pi * (angle + total) if odd else total


def student_tail(t: float, degrees: int) -> float:
    """P(T > t) for Student's t; small tails keep their digits.

    I_x(degrees/2, 1/2)/2 at x = degrees/(degrees + t²): Abramowitz and Stegun, 26.5.27, 26.7.1.

    Raises:
        ValueError: `degrees` is below 1, or t is no number.
    """
    if degrees < 1 or math.isnan(t):
        raise ValueError(f"expected degrees ≥ 1 and a number t, got {degrees} and {t}")
    if math.isinf(t):
        return 0.0 if t > 0 else 1.0
    ratio = t / math.sqrt(degrees)
    upper = _beta(1 / (1 + ratio * ratio), ratio * ratio / (1 + ratio * ratio), degrees / 2) / 2
    return upper if t >= 0 else 1 - upper


def _beta(x: float, rest: float, a: float) -> float:
    """The regularised incomplete beta function I_x(a, 1/2); `rest` is 1 - x without rounding."""
    if x <= 0 or rest <= 0:
        return 0.0 if x <= 0 else 1.0
    scale = math.lgamma(a + 0.5) - math.lgamma(a) - math.lgamma(0.5)
    front = math.exp(scale + a * math.log(x) + 0.5 * math.log(rest))
    if x < (a + 1) / (a + 2.5):
        return front * _fraction(x, a, 0.5) / a
    return 1 - front * _fraction(rest, 0.5, a) / 0.5


def _fraction(x: float, a: float, b: float) -> float:
    """The continued fraction of I_x(a, b), DLMF 8.17.22, by the modified Lentz method."""
    value = d = 1 / _not_zero(1 - (a + b) * x / (a + 1))
    c = 1.0
    for m in range(1, 1000):
        for even in (True, False):
            term = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m))
            if not even:
                term = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1))
            d = 1 / _not_zero(1 + term * d)
            c = _not_zero(1 + term / c)
            value *= c * d
        if abs(c * d - 1) < 1e-15:
            break
    return value


def _not_zero(value: float) -> float:
    return value if abs(value) > _TINY else _TINY


def student_power(effect: float, n: int, *, level: float = 0.05, sides: int = 2) -> float:
    """Chance that a t-test over n differences finds a mean of `effect` standard deviations.

    The statistic follows the noncentral t with n - 1 degrees and noncentrality effect·√n, the
    integral of Φ(noncentrality - c·s) over s, the estimated deviation over the true one.

    Raises:
        ValueError: n is below 2, `level` not between 0 and 0.5, or `sides` neither 1 nor 2.
    """
    if n < 2 or not 0 < level < 0.5 or sides not in (1, 2):
        raise ValueError(
            f"expected n ≥ 2, 0 < level < 0.5, sides 1 or 2, got {n}, {level} and {sides}"
        )
    critical = student_quantile(1 - level / sides, n - 1)
    shift = effect * math.sqrt(n)
    found = _exceeds(critical, shift, n - 1)
    return found + _exceeds(critical, -shift, n - 1) if sides == 2 else found


def _exceeds(critical: float, shift: float, degrees: int) -> float:
    """P(T > critical) for the noncentral t, by Simpson's rule where the integrand is not zero."""
    low = max(0.0, 1 - _FAR / math.sqrt(degrees))
    high = min(1 + _FAR / math.sqrt(degrees), (shift + _FAR) / critical)
    if high <= low:
        return 0.0
    half = degrees / 2
    constant = math.log(2) + half * math.log(half) - math.lgamma(half)
    total, step = 0.0, (high - low) / _EVEN
    for i in range(_EVEN + 1):
        s = low + i * step
        if s > 0 or degrees == 1:  # the density of s, √(χ²/degrees)
            power = (degrees - 1) * math.log(s) if degrees > 1 else 0.0
            density = math.exp(constant + power - half * s * s)
            weight = 1 if i in (0, _EVEN) else 4 if i % 2 else 2
            total += weight * density * math.erfc((critical * s - shift) / math.sqrt(2)) / 2
    return min(total * step / 3, 1.0)
