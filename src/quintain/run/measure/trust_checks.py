"""Checks whether the measurements of a run can be trusted; reports mark those that cannot.

Each function returns a `TrustCheck` of a record: `ok` is True, False, or None if it is unknown.
"""

from __future__ import annotations

import statistics
from typing import Any

from quintain.run.measure.readings import Readings

WAIT_LIMIT = 0.02  # largest share of training spent waiting for data
CPU_SHARE = 0.9  # smallest CPU time over wall time of a run without other processes
NOISE_LIMIT = 0.10  # largest median absolute deviation of step times, relative to their median
BUDGET_LIMIT = 0.02  # largest deviation from the parameter budget, relative to it


def make_check(ok: bool | None, note: str) -> dict[str, Any]:
    return {"ok": ok, "note": note}


def check_input(wait_share: float) -> dict[str, Any]:
    """Check the share of training that was spent waiting for data."""
    return make_check(wait_share <= WAIT_LIMIT, f"{wait_share:.1%} of training waited for data")


def check_cpu_share(share: float, is_one_cpu_thread: bool) -> dict[str, Any]:
    """Check CPU time over wall time of training, which other processes on the CPU lower."""
    if not is_one_cpu_thread:
        return make_check(None, "not measured on this hardware")
    return make_check(share >= CPU_SHARE, f"training used {share:.0%} of a core")


def check_noise(step_ms: list[float]) -> dict[str, Any]:
    """Check the spread of step times: median absolute deviation over median."""
    if len(step_ms) < 2:
        return make_check(None, "fewer than two steps")
    median = statistics.median(step_ms)
    spread = statistics.median(abs(ms - median) for ms in step_ms) / median
    return make_check(spread <= NOISE_LIMIT, f"step times deviate by {spread:.1%} of their median")


def check_fingerprint(
    actual: str, expected: str | None, *, has_other_settings: bool
) -> dict[str, Any]:
    """Compare the fingerprint of the data with the one in the dataset's card."""
    if expected is None or has_other_settings:
        return make_check(None, "the dataset's card has no fingerprint for these settings")
    if actual == expected:
        return make_check(True, "the data have the fingerprint in the dataset's card")
    return make_check(False, f"the data have fingerprint {actual}, the card expects {expected}")


def check_budget(budget: int | None, params: int) -> dict[str, Any]:
    """Check that the number of parameters is within 2 % of the budget."""
    if not budget:
        return make_check(None, "no parameter budget")
    difference = params - budget
    return make_check(
        abs(difference) <= BUDGET_LIMIT * budget,
        f"{params} parameters, budget {budget} ({difference / budget:+.1%})",
    )


def check_throttling(readings: Readings) -> dict[str, Any]:
    """Check the meters that count readings or events of throttling by heat or power."""
    share, events = readings.get("throttled_share"), readings.get("throttled_events")
    only_share = not isinstance(events, float) or not events
    if isinstance(share, float) and (share or only_share):
        note = f"heat or power throttled the device in {share:.0%} of the readings"
        return make_check(not share, note)
    if isinstance(events, float):
        return make_check(not events, f"heat throttled the CPU {events:.0f} times during the run")
    return make_check(None, "this machine does not report throttling")


def report_micro_batches(training: int, evaluation: int) -> dict[str, Any]:
    """Report that memory ran out, so that step times are those of micro-batches."""
    return make_check(
        False,
        f"memory ran out: batches were split into {training} micro-batches in training and up to"
        f" {evaluation} in evaluation; results differ only by rounding and random numbers",
    )
