"""A user's own table of numbers in time: forecast what comes next, or classify whole series.

Legend: S steps, C channels, K targets (the first K channels), G series.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from quintain.contracts import Batch, DataSpec, Split
from quintain.kit.dataset import InMemory
from quintain.kit.files.download import DataError
from quintain.kit.files.problems import Problems, some
from quintain.kit.own.groups import check_groups, label_by_group, rows_by_group
from quintain.kit.own.splits import SPLITS, borders_in_time, duplicates, said, split_by_key
from quintain.kit.scale import Scale
from quintain.kit.tables.columns import Numbers, class_names, number_columns, numbers
from quintain.kit.tables.gaps import Missing, fill
from quintain.kit.tables.table import Table, read_table
from quintain.kit.tables.timeline import (
    POLICIES,
    Timeline,
    absent_notes,
    check_absent,
    in_order,
    lay_out,
    span,
)
from quintain.kit.tables.times import SECOND, Times, find_time, read_time, read_times
from quintain.kit.windows import forecast_windows

_LONGEST_LOOK_BACK = 512  # steps, where look_back is inferred


class CsvSeries(InMemory):
    """x (look_back, C), standardised by the train split; the targets are the first channels.

    With `target`, a forecast: y (horizon, K). The steps to predict lie wholly in their own split,
    in order of time, and the look-back may reach into the split before. With `label` and `group`,
    head=classify: all rows of one group are one series with one label. Series are split 70 / 10 /
    20 by a hash of their content within each label, equal ones together; they may differ in length.

    Args:
        path: CSV, TSV, JSON lines (.jsonl) or Parquet; text also behind .gz.
        target: column or columns to forecast.
        label: column with the class of each group; in place of target.
        group: column that says which rows are one series.
        time: column of times, ISO 8601 or numbers; None: the one that reads as times, and without
            one the rows are in order.
        time_format: of other times, as in Python's strptime.
        covariates: further channels; None: all other columns of numbers. They are seen in the
            look-back only, and not predicted.
        horizon: steps to predict.
        look_back: steps seen; None: two seasons or two horizons, whichever is longer, at most 512.
            Of series to classify the last so many steps; None: all.
        season: steps of one season, for the seasonal-naive row; None: from the frequency.
        borders: where val and test begin, and (if given) where the test ends: shares of the steps
            (0.7, 0.8), numbers of steps, or times. None: 0.7 and 0.8.
        missing: what is done about absent values, and about steps that the times leave out: error,
            drop (rows that lack a value; the others side by side), previous (the last value),
            interpolate (a straight line, which looks ahead), zero. Groups are not searched for
            absent steps.
        delimiter: of a CSV; None: inferred.

    Raises:
        DataError: what is wrong with the file, all of it in one message.
        ValueError: settings that contradict each other.
    """

    def __init__(
        self,
        path: str,
        target: str | int | list[str] | list[int] | None = None,
        *,
        label: str | None = None,
        group: str | None = None,
        time: str | None = None,
        time_format: str | None = None,
        covariates: str | int | list[str] | list[int] | None = None,
        horizon: int = 12,
        look_back: int | None = None,
        season: int | None = None,
        borders: list[float] | list[str] | None = None,
        missing: Missing = "error",
        delimiter: str | None = None,
    ) -> None:
        targets = _names(target) or []
        _check_settings(targets, label, group, horizon, look_back, missing)
        table, problems = read_table(path, delimiter=delimiter), Problems()
        others = _names(covariates)
        columns = _read(table, problems, targets, label, group, time, time_format, others)
        if label and group:
            made = _grouped(table, problems, columns, label, group, look_back, missing)
        else:
            line = problems.ask(
                lay_out, table, columns.names, columns.values, columns.times, missing
            )
            problems.check()
            made = _forecast(line, columns.names, len(targets), horizon, look_back, season, borders)
        super().__init__(made.spec)
        self._made = made
        self.notes = (*table.notes, *columns.notes, *made.notes)

    def load(self) -> dict[Split, Batch]:
        """The file was read for the spec; windows are views of its series."""
        return self._made.splits

    def fingerprint(self) -> str:
        """`sha256:` of all splits; of a forecast, of the series and the sizes of its splits."""
        if self._made.series is None:
            return super().fingerprint()
        sizes = [self.size(split) for split in SPLITS]
        digest = hashlib.sha256(f"{tuple(self._made.series.shape)} {sizes}\n".encode())
        digest.update(self._made.series.numpy())
        return f"sha256:{digest.hexdigest()}"

    def restore(self, y: Tensor) -> Tensor:
        """Values as in the file."""
        return self._made.scale.undo(y)


def _names(given: str | int | list[str] | list[int] | None) -> list[str] | None:
    """Names of columns, of which 2022 may be one."""
    if given is None:
        return None
    return [str(name) for name in (given if isinstance(given, list) else [given])]


@dataclass(frozen=True)
class _Columns:
    """What a table gives: channels, the targets first, and times."""

    names: list[str]
    values: Numbers  # (rows, C), NaN where one is absent
    times: Times | None
    notes: list[str]


@dataclass(frozen=True)
class _Made:
    """All that the dataset says and gives."""

    spec: DataSpec
    splits: dict[Split, Batch]
    scale: Scale
    series: Tensor | None  # (S, C), standardised, that the splits are windows of
    notes: list[str]


def _check_settings(
    targets: list[str],
    label: str | None,
    group: str | None,
    horizon: int,
    look_back: int | None,
    missing: str,
) -> None:
    wrong = []
    if bool(targets) == bool(label):
        wrong.append(
            "give dataset.target=COLUMN to forecast, or dataset.label=COLUMN and"
            " dataset.group=COLUMN to classify"
        )
    elif bool(label) != bool(group):
        wrong.append(
            "label and group go together: all rows of one group are one series, with one label"
        )
    if len(set(targets)) < len(targets):
        wrong.append(f"target names a column twice: {targets}")
    if horizon < 1 or (look_back is not None and look_back < 1):
        wrong.append(f"horizon and look_back must be 1 or more, came {horizon} and {look_back}")
    if missing not in POLICIES:
        wrong.append(f"missing must be one of {', '.join(POLICIES)}; came {missing!r}")
    if wrong:
        raise ValueError("; ".join(wrong))


def _read(
    table: Table,
    problems: Problems,
    targets: list[str],
    label: str | None,
    group: str | None,
    time: str | None,
    time_format: str | None,
    covariates: list[str] | None,
) -> _Columns:
    """Times, and the channels that are in order; what is not is noted in `problems`."""
    notes = list[str]()
    for name in filter(None, (label, group)):
        problems.ask(table.column, name)
    taken = [*targets, *filter(None, (label, group))]
    named = time or problems.ask(
        find_time, table, [*taken, *(covariates or ())], time_format, whole=covariates is None
    )
    times = problems.ask(read_times, table, named, time_format) if named else None
    if covariates is None:
        others = number_columns(table, [*taken, *filter(None, (named,))])
    else:
        others = [name for name in covariates if name not in targets]
    names = [*targets, *others]
    channels = {name: problems.ask(numbers, table, name) for name in names}
    if not names:
        problems.add(f"{table.path} has no column of numbers to tell the series by")
    good = {name: column for name, column in channels.items() if column is not None}
    if not good:
        problems.check()
    if time is None:
        column = f"times: column {named!r}" if named else "no column of times: rows are in order"
        notes.append(f"{column} (inferred)")
    if covariates is None:
        notes.append(f"channels: {', '.join(some(map(repr, names)))} (inferred)")
    return _Columns(list(good), np.stack(list(good.values()), 1), times, notes)


# Forecast -----------------------------------------------------------------------------------------


def _forecast(
    line: Timeline,
    names: list[str],
    targets: int,
    horizon: int,
    look_back: int | None,
    season: int | None,
    borders: Sequence[float] | Sequence[str] | None,
) -> _Made:
    season, look_back, inferred = _lengths(line, horizon, look_back, season)
    steps = len(line.values)
    val, test, end = _borders(line, borders)
    _check_room(val, test, end, look_back, horizon)
    values = torch.from_numpy(line.values)[:end]
    scale = Scale.of(values[:val])
    series = scale.apply(values)
    ends = dict(zip(SPLITS, ((0, val), (val, test), (test, end)), strict=True))
    splits = {
        split: forecast_windows(
            series, *between, look_back=look_back, horizon=horizon, targets=targets
        )
        for split, between in ends.items()
    }
    sizes = ", ".join(f"{b - a:,} for {split}" for split, (a, b) in ends.items())
    when = f" {span(line)}" if line.times is not None else ""
    notes = [*line.notes, *inferred, f"{steps:,} steps{when}, split by time: {sizes}"]
    spec = DataSpec(
        name="csv_series",
        modality="series",
        task="forecast",
        shape=(look_back, len(names)),
        targets=tuple(names[:targets]),
        horizon=horizon,
        season=season,
    )
    return _Made(spec, splits, scale, series, notes)


def _lengths(
    line: Timeline, horizon: int, look_back: int | None, season: int | None
) -> tuple[int, int, list[str]]:
    """Season and look-back, and notes on what was inferred."""
    notes = []
    if season is None:
        season = line.frequency.season if line.frequency else 0
        notes.append(f"season: {season} steps (inferred)" if season else "season: none (inferred)")
    if look_back is None:
        look_back = min(2 * max(season, horizon), max(_LONGEST_LOOK_BACK, horizon))
        notes.append(f"look-back: {look_back} steps (inferred), horizon: {horizon}")
    return season, look_back, notes


def _borders(
    line: Timeline, borders: Sequence[float] | Sequence[str] | None
) -> tuple[int, int, int]:
    """Steps at which val and test begin, and where the test ends."""
    steps = len(line.values)
    if not borders or not any(isinstance(border, str) for border in borders):
        return borders_in_time(steps, borders)
    if line.times is None:
        raise ValueError(f"borders are times ({borders}), but the series has none")
    looked_up = [_time(str(border), line.dated) for border in borders]
    return borders_in_time(steps, looked_up, line.times)


def _time(text: str, dated: bool) -> int:
    """A border as in `Times`."""
    try:
        return read_time(text) if dated else round(float(text) * SECOND)
    except ValueError as error:
        kind = "a time such as 2024-01-31" if dated else "a number"
        raise ValueError(f"borders: expected {kind}, came {text!r}") from error


def _check_room(val: int, test: int, end: int, look_back: int, horizon: int) -> None:
    """Each split holds one window."""
    need = {"train": (val, look_back + horizon), "val": (test - val, horizon)}
    need["test"] = (end - test, horizon)
    short = [f"{split} has {has} of {n}" for split, (has, n) in need.items() if has < n]
    if short:
        raise DataError(
            f"look-back {look_back} and horizon {horizon} need more steps than there are: "
            f"{', '.join(short)}; use shorter ones, or other borders"
        )


# Classify -----------------------------------------------------------------------------------------


def _grouped(
    table: Table,
    problems: Problems,
    columns: _Columns,
    label: str,
    group: str,
    look_back: int | None,
    missing: Missing,
) -> _Made:
    """One series a group; raises what is in `problems` too."""
    problems.ask(check_groups, table, group)
    rows_of = problems.ask(rows_by_group, table, group)
    label_of = problems.ask(label_by_group, table, label, group, rows_of or {})
    problems.ask(check_absent, table, columns.names, columns.values, missing)
    ordered = {
        name: problems.ask(in_order, table, columns.times, rows)
        for name, rows in (rows_of or {}).items()
    }
    problems.check()
    whole = {
        name: problems.ask(fill, columns.values[rows], missing, columns.names, f"group {name!r}")
        for name, rows in ordered.items()
    }
    problems.check()
    series = [torch.from_numpy(values[-(look_back or 0) :]) for values in whole.values()]
    found = [label_of[name] for name in whole]
    kept = [k for k, values in enumerate(series) if len(values)]
    notes = absent_notes(columns.names, columns.values, missing)
    if len(kept) < len(series):
        notes.append(f"{len(series) - len(kept):,} groups have no row left and are left out")
    if longer := sum(len(values) > (look_back or len(values)) for values in whole.values()):
        notes.append(f"{longer:,} series are cut to their last {look_back} steps")
    return _labelled([series[k] for k in kept], [found[k] for k in kept], notes)


def _labelled(series: list[Tensor], found: list[str], notes: list[str]) -> _Made:
    """Series (S, C) of G groups and their labels → padded tensors."""
    classes = class_names(found)
    if len(classes) < 2:
        raise DataError(f"expected two or more labels, found {', '.join(map(repr, classes))}")
    keys = [values.numpy().tobytes() for values in series]
    rows = split_by_key(keys, found)
    lengths = torch.tensor([len(values) for values in series])
    scale = Scale.of(torch.cat([series[k] for k in rows["train"]]))
    x = pad_sequence([scale.apply(values) for values in series], batch_first=True)
    y = torch.tensor([classes.index(name) for name in found])
    ragged = bool((lengths != lengths[0]).any())
    splits = {
        split: Batch(x[at], y[at], lengths[at] if ragged else None)
        for split, at in ((split, torch.from_numpy(rows[split])) for split in SPLITS)
    }
    again = f"; {many:,} series equal another" if (many := duplicates(keys)) else ""
    notes = [
        *notes,
        f"classes: {', '.join(some(map(repr, classes)))} (inferred)",
        f"series of {lengths.min():,} to {lengths.max():,} steps{again}",
        said(rows, "by a hash of the series, label by label"),
    ]
    spec = DataSpec(
        name="csv_series",
        modality="series",
        task="classify",
        shape=tuple(x.shape[1:]),
        classes=classes,
        ragged=ragged,
    )
    return _Made(spec, splits, scale, None, notes)
