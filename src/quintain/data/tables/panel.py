"""Split the series of a table by time and cut them into forecasting windows.

Legend: S steps, C channels, K targets (the first K channels).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from quintain.contracts import Split
from quintain.data.files.problems import abbreviate
from quintain.data.tables.series import RegularSeries
from quintain.data.tables.time_formats import Int64
from quintain.data.tables.timestamps import format_time, parse_time_as
from quintain.data.user_files.splits import SHARES, SPLITS, resolve_borders
from quintain.errors import DataError

Ranges = dict[Split, tuple[int, int]]
"""First step of each split of a series, and its end (exclusive)."""
Borders = Sequence[float] | Sequence[str]


@dataclass(frozen=True)
class Panel:
    """Series of the same channels and frequency, by name (a single one has the name "")."""

    names: list[str]
    series: list[RegularSeries]

    def __post_init__(self) -> None:
        """Raise DataError if the series differ in their frequency."""
        texts = {one.frequency.text: name for name, one in zip(self.names, self.series, strict=True)
                 if one.frequency and one.is_regular}  # fmt: skip
        if len(texts) > 1:
            found = abbreviate((f"{text} ({name!r})" for text, name in texts.items()), shown=3)
            raise DataError(
                f"the series have steps of different length: {', '.join(found)}; resample them, "
                "or forecast them apart"
            )

    @property
    def season(self) -> int:
        return max(one.season for one in self.series)

    @property
    def timeline(self) -> Int64 | None:
        """All times of all series in order, (times,); None if the table has none."""
        if any(one.times is None for one in self.series):
            return None
        return np.unique(
            np.concatenate([one.times for one in self.series if one.times is not None])
        )

    def describe(self) -> str:
        """Return the number of series and steps, and the period, for a note."""
        steps = sum(len(one.values) for one in self.series)
        text = f"{steps:,} steps" if len(self.series) == 1 else (
            f"{len(self.series):,} series, {steps:,} steps"
        )  # fmt: skip
        timeline, is_dated = self.timeline, self.series[0].is_dated
        if timeline is None:
            return text
        first, last = (format_time(int(timeline[k]), is_dated) for k in (0, -1))
        return f"{text} from {first} to {last}"


def split_by_borders(panel: Panel, borders: Borders | None) -> list[Ranges]:
    """Return the ranges of each series; all series are split at the same times.

    Args:
        panel: the series. If they have no times, each is split by its own steps.
        borders: see `resolve_borders`; strings are times.

    Raises:
        ValueError: a border is not a time, the series have no times, or a split would be empty.
    """
    timeline = panel.timeline
    if timeline is None:
        if any(isinstance(border, str) for border in borders or ()):
            raise ValueError(f"borders are times ({borders}), but the series has none")
        numbers = _select_numbers(borders)
        return [_make_ranges(*resolve_borders(len(one.values), numbers)) for one in panel.series]
    val, test, end = _find_borders(timeline, panel.series[0].is_dated, borders)
    limits = [timeline[val], timeline[test]]
    ranges = []
    for one in panel.series:
        times = one.times
        assert times is not None  # else there is no timeline
        first, second = np.searchsorted(times, limits).tolist()
        ranges.append(
            _make_ranges(first, second, int(np.searchsorted(times, timeline[end - 1], "right")))
        )
    return ranges


def split_by_column(panel: Panel, splits: Sequence[Split | None]) -> tuple[list[Ranges], str]:
    """Return the ranges of each series by the split of each row of the table, and a method.

    A missing val is the last eighth of train.

    Raises:
        DataError: the splits of a series are not in order of time, or train or test is missing.
    """
    ranges = []
    for name, one in zip(panel.names, panel.series, strict=True):
        order = [SPLITS.index(splits[row] or "train") for row in one.rows if row >= 0]
        steps = np.flatnonzero(one.rows >= 0)
        if order != sorted(order):
            raise DataError(
                f"the splits of {repr(name) if name else 'the rows'} are not in order of time: "
                "expected all of train before val, and val before test; leave the column out "
                "(dataset.split=false) to split by time"
            )
        val, test = (
            int(steps[order.index(next(s for s in order if s >= k))]) if order and order[-1] >= k
            else len(one.values) for k in (1, 2)
        )  # fmt: skip
        ranges.append(_make_ranges(val, test, len(one.values)))
    counts = {s: sum(r[s][1] - r[s][0] for r in ranges) for s in SPLITS}
    if not counts["train"] or not counts["test"]:
        raise DataError("the column of the splits must have train and test")
    if counts["val"]:
        return ranges, "as given"
    share = SHARES[1] / (SHARES[0] + SHARES[1])
    return [
        _make_ranges(round(r["train"][1] * (1 - share)), *r["test"]) for r in ranges
    ], "as given, val from the end of train"


def count_steps(ranges: Sequence[Ranges]) -> str:
    """Return the number of steps of each split, for a note."""
    counts = {s: sum(stop - start for start, stop in (r[s] for r in ranges)) for s in SPLITS}
    return ", ".join(f"{count:,} for {split}" for split, count in counts.items())


def find_starts(
    lengths: Sequence[int], ranges: Sequence[Ranges], look_back: int, horizon: int
) -> tuple[dict[Split, Tensor], list[str]]:
    """Return the first step of each window in the concatenated series, and notes.

    The steps to predict are all in their own split; the look-back may reach into the one before.

    Args:
        lengths: of the series.
        ranges: of each series.
        look_back, horizon: steps of x and y.

    Raises:
        DataError: a split has no window.
    """
    offsets = np.cumsum([0, *lengths[:-1]]).tolist()
    starts: dict[Split, Tensor] = {}
    notes = []
    for split in SPLITS:
        parts, short = [], 0
        for offset, own in zip(offsets, ranges, strict=True):
            first, stop = max(own[split][0], look_back), own[split][1] - horizon + 1
            parts.append(np.arange(first, max(first, stop)) - look_back + offset)
            short += stop <= first
        starts[split] = torch.from_numpy(np.concatenate(parts))
        if short and len(starts[split]):
            notes.append(f"{short:,} of {len(lengths):,} series have no window in {split}")
    if empty := [split for split in SPLITS if not len(starts[split])]:
        needed = {"train": look_back + horizon, "val": horizon, "test": horizon}
        longest = {s: max(r[s][1] - r[s][0] for r in ranges) for s in SPLITS}
        found = ", ".join(f"{s} has {longest[s]:,} of {needed[s]:,}" for s in empty)
        raise DataError(
            f"look-back {look_back} and horizon {horizon} need more steps than there are: {found}; "
            "use shorter ones, or other borders"
        )
    return starts, notes


def _find_borders(timeline: Int64, is_dated: bool, borders: Borders | None) -> tuple[int, int, int]:
    if any(isinstance(border, str) for border in borders or ()):
        times = [parse_time_as(str(border), is_dated) for border in borders or ()]
        return resolve_borders(len(timeline), times, timeline)
    return resolve_borders(len(timeline), _select_numbers(borders))


def _select_numbers(borders: Borders | None) -> list[float] | None:
    return None if borders is None else [b for b in borders if not isinstance(b, str)]


def _make_ranges(val: int, test: int, end: int) -> Ranges:
    return {"train": (0, val), "val": (val, test), "test": (test, end)}
