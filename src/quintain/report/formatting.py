"""Formats numbers for people, in the same way in all output formats."""

from __future__ import annotations

import math
from collections.abc import Iterable

from quintain.stats.intervals import Interval

ABSENT = "–"
ARROW = {"max": "↑", "min": "↓"}


def decimal_places(values: Iterable[float | None]) -> int:
    """Return the decimal places with which the largest value has four significant digits."""
    largest = max((abs(value) for value in values if value is not None), default=0.0)
    if largest == 0:
        return 3
    return min(max(3 - math.floor(math.log10(largest)), 0), 9)


def format_number(value: float | None, places: int) -> str:
    """Format a value with a fixed number of decimal places; a dash if it is missing."""
    return ABSENT if value is None else f"{value:.{places}f}"


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
    shown = f"{value * scale:.{places}f}"
    return shown if half_width is None else f"{shown} ± {half_width * scale:.{places}f}"


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
    if value is None:
        return ABSENT
    for size, letter in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(value) >= size:
            return f"{value / size:.1f}{letter}"
    return f"{value:.0f}" if abs(value) >= 10 or value == int(value) else f"{value:.1f}"


def format_seconds(value: float | None) -> str:
    """Format seconds with fewer decimal places for larger values: 0.42, 12.5, 3600."""
    if value is None:
        return ABSENT
    return f"{value:.2f}" if value < 10 else f"{value:.1f}" if value < 1000 else f"{value:.0f}"


def first_line(text: str) -> str:
    """Return the first line that is not blank; "" if there is none."""
    return next((line.strip() for line in text.splitlines() if line.strip()), "")
