"""Formats numbers for people, in the same way in all output formats."""

from __future__ import annotations

import math
from collections.abc import Iterable

from quintain.stats.intervals import Interval

ABSENT = "–"
ARROW = {"max": "↑", "min": "↓"}
HUGE = 1e7  # from here on, numbers have an exponent
MAX_SPREAD = 1000  # a value that exceeds the median by more does not decide the decimal places


def decimal_places(values: Iterable[float | None]) -> int:
    """Return the decimal places with which the largest value has four significant digits.

    Huge values, and those far above the median, are ignored: the score of a model that diverged
    must not take the decimal places from the others.
    """
    sizes = sorted(abs(value) for value in values if value and abs(value) < HUGE)
    if not sizes:
        return 3
    median = sizes[(len(sizes) - 1) // 2]
    largest = max(size for size in sizes if size <= MAX_SPREAD * median)
    return min(max(3 - math.floor(math.log10(largest)), 0), 9)


def format_number(value: float | None, places: int) -> str:
    """Format a value with fixed decimal places, a huge one as 1.000e+30, None as a dash."""
    if value is None:
        return ABSENT
    if abs(value) < HUGE or not math.isfinite(value):
        return f"{value:.{places}f}"
    digits, exponent = f"{value:.3e}".split("e")
    return f"{digits}e{int(exponent):+d}"  # as in JavaScript, without leading zeros


def format_interval(interval: Interval, places: int) -> str:
    """Format a mean and the half-width of its interval: 0.9008 ± 0.0282."""
    return f"{format_number(interval.mean, places)} ± {format_number(interval.half_width, places)}"


def format_difference(value: float, half_width: float | None, unit: str) -> str:
    """Format a difference of scores and the half-width of its interval: 2.3 ± 0.8.

    Fractions are converted to percentage points.
    """
    scale = 100 if unit == "fraction" else 1
    size = abs(value if half_width is None else half_width) * scale
    places = min(max(-math.floor(math.log10(size)), 1), 9) if 0 < size < math.inf else 1
    shown = format_number(value * scale, places)
    return shown if half_width is None else f"{shown} ± {format_number(half_width * scale, places)}"


def unit_suffix(unit: str) -> str:
    """Return " points" for fractions and percentages, otherwise a space and the unit, if any."""
    if unit in ("fraction", "0 to 100"):
        return " points"
    return "" if unit in ("", "1") else f" {unit}"


def format_p_value(p: float) -> str:
    """Format a p value: 0.41, 0.003, < 0.001."""
    return "< 0.001" if p < 0.001 else f"{p:.3f}" if p < 0.01 else f"{p:.2f}"


def format_count(value: float | None) -> str:
    """Format a count with a unit prefix: 49800 → 49.8k."""
    if value is None or abs(value) >= 1e13:
        return format_number(value, 0)
    for size, letter in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(value) >= size:
            return f"{value / size:.1f}{letter}"
    return f"{value:.0f}" if abs(value) >= 10 or value == int(value) else f"{value:.1f}"


def format_seconds(value: float | None) -> str:
    """Format seconds with fewer decimal places for larger values: 0.42, 12.5, 3600."""
    places = 0 if value is None else 2 if value < 10 else 1 if value < 1000 else 0
    return format_number(value, places)


def first_line(text: str) -> str:
    """Return the first line that is not blank; "" if there is none."""
    return next((line.strip() for line in text.splitlines() if line.strip()), "")
