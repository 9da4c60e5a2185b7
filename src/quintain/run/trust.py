"""How far a measurement can be trusted. A doubtful number is shown, and said to be doubtful."""

from __future__ import annotations

import statistics
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from quintain.run.pieces import Pieces

WAIT_LIMIT = 0.02  # share of training that may be spent waiting for data
CPU_SHARE = 0.9  # of its threads' time that an undisturbed run gets
NOISE_LIMIT = 0.10  # median deviation of a step's time, relative to the median
BUDGET_LIMIT = 0.02  # of the asked parameters


def check(ok: bool | None, note: str) -> dict[str, Any]:
    """One trust label."""
    return {"ok": ok, "note": note}


def waiting(share: float) -> dict[str, Any]:
    """Whether training waited for its data."""
    return check(share <= WAIT_LIMIT, f"{share:.1%} of training waited for data")


def undisturbed(share: float, on_cpu: bool) -> dict[str, Any]:
    """Whether other processes took the CPU: time on the CPU over time on the wall, in training."""
    if not on_cpu:
        return check(None, "not measured on this hardware")
    return check(share >= CPU_SHARE, f"the run had {share:.0%} of a core while it trained")


def noise(step_ms: list[float]) -> dict[str, Any]:
    """Spread of the step times: median absolute deviation over median."""
    if len(step_ms) < 2:
        return check(None, "fewer than two steps")
    middle = statistics.median(step_ms)
    spread = statistics.median(abs(ms - middle) for ms in step_ms) / middle
    return check(spread <= NOISE_LIMIT, f"step times deviate by {spread:.1%} of their median")


def same_data(found: str, card: str | None, changed: bool) -> dict[str, Any]:
    """Whether the data is what the dataset's card says."""
    if card is None or changed:
        return check(None, "the card has no fingerprint for these settings")
    if found == card:
        return check(True, "as the dataset's card says")
    return check(False, f"the card says {card}, the data are {found}")


def budget_met(asked: int | None, params: int) -> dict[str, Any]:
    """Whether the parameters are within 2 % of the budget."""
    if not asked:
        return check(None, "no parameter budget")
    off, most = params - asked, BUDGET_LIMIT * asked
    return check(abs(off) <= most, f"{params} of {asked} parameters asked ({off / asked:+.1%})")


def pieces(taken: Pieces) -> dict[str, dict[str, Any]]:
    """Nothing, unless memory ran out: times are then those of more and smaller steps."""
    if taken.training == taken.evaluation == 1:
        return {}
    note = (
        f"memory ran out: each batch was taken in {taken.training} pieces in training, up to"
        f" {taken.evaluation} in evaluation; the same sums but for rounding and random draws"
    )
    return {"whole_batches": check(False, note)}


def unknown(note: str) -> dict[str, Any]:
    """A label for what this machine does not tell."""
    return check(None, note)
