"""What a leaderboard says of the searches behind its rows, and of rows not tuned alike."""

from __future__ import annotations

from collections.abc import Sequence

from quintain.records.schema import Record, Tuned

Means = tuple[int, tuple[str, ...]]


def tuning_notes(group: Sequence[Record], together: Sequence[Sequence[Record]]) -> list[str]:
    """Notes of one row: the search that fed it, and whether others of its table had the same.

    Args:
        group: the row's records.
        together: all groups of its table, references among them.
    """
    if group[0].reference:
        return []
    told = [_said(one.tuned) for one in group if one.tuned]
    searched = {_means(other) for other in together if not other[0].reference} - {frozenset()}
    if searched and not told:
        told = ["not tuned, unlike others of this table"]
    elif len(searched) > 1:
        told.append("others of this table were tuned with other trials or settings")
    return list(dict.fromkeys(told))


def _said(tuned: Tuned) -> str:
    ended = f", {tuned.pruned} ended early" if tuned.pruned else ""
    ended += f", {tuned.failed} failed" if tuned.failed else ""
    return (
        f"tuned: best of {tuned.trials} trials ({tuned.steps:,} steps{ended}) over"
        f" {', '.join(sorted(tuned.space))}; {tuned.metric} {tuned.best_value:.4g} on validation"
    )


def _means(group: Sequence[Record]) -> frozenset[Means]:
    """The trials and kinds of settings of a group's searches; empty where it was not tuned."""
    return frozenset(
        (one.tuned.trials, tuple(sorted(one.tuned.space))) for one in group if one.tuned
    )
