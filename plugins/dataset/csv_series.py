"""A user's table of numeric series: forecast the next steps, or classify whole series.

Legend: S steps, C channels, K targets (the first K channels).
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import pad
from torch.nn.utils.rnn import pad_sequence

from quintain.contracts import Batch, DataSpec, Split
from quintain.data.base import InMemory
from quintain.data.files.problems import Problems, abbreviate
from quintain.data.scaling import StandardScaler
from quintain.data.tables.channels import Channels, ColumnSettings, read_channels
from quintain.data.tables.columns import sort_class_names, to_column_names
from quintain.data.tables.labelled import (
    GroupColumns,
    LabelledSeries,
    build_labelled_series,
    group_rows,
    number_groups,
    split_series,
)
from quintain.data.tables.missing_values import MissingPolicy, missing_notes
from quintain.data.tables.number_formats import Decimal
from quintain.data.tables.outside import refuse_single_steps
from quintain.data.tables.panel import (
    Panel,
    Ranges,
    count_steps,
    find_starts,
    split_by_borders,
    split_by_column,
)
from quintain.data.tables.series import build_series, describe_series
from quintain.data.tables.series_settings import (
    HORIZON,
    SeriesColumns,
    SeriesLengths,
    check_series_settings,
    find_split_column,
    to_column_choice,
)
from quintain.data.tables.table import Table, join_tables, read_table
from quintain.data.user_files.splits import SPLITS
from quintain.data.user_files.usual_columns import read_split_column
from quintain.data.windows import Windows
from quintain.errors import DataError

_SPLIT_OF_FILE = "split (of the files)"  # column of joined tables
_LONGEST_LOOK_BACK = 512  # steps, if look_back is inferred


class CsvSeries(InMemory):
    """x (look_back, C), standardised by train; y (horizon, K), the first channels, or a class.

    With `target`: forecast. The series is split by time: the steps to predict are all in their own
    split, and the look-back may reach into the split before. With `group` too, the rows of each
    group are one series; all are split at the same times and forecast by one model.

    With `label` and `group` (head=classify): the rows of each group form one series with one label;
    series may differ in length. The splits (70 / 10 / 20) are stratified by label and depend on the
    names of the groups, so that other channels or another look-back have the same ones; equal
    series are in the same split.

    Args:
        path: CSV, TSV, JSON lines (.jsonl) or Parquet; text may be packed (.gz, .zip).
        target: column or columns to forecast.
        label: column with the class of each group; instead of target.
        group: column, or [columns], that identifies the series of each row.
        subject: column of subjects, whose series must not be divided between splits; with label.
        split: column with train, val or test for each row; None: a column with a usual name, such
            as `split`, if it has these values; False: none.
        val_path, test_path: tables with the same columns, as predefined splits; with label.
        time: column of times; None: the column that contains times or counts the rows, if there is
            one; False: none, the rows are in the order of the file.
        time_format: format of the times, as in Python's strptime; None: inferred among formats with
            a single reading.
        covariates: further channels of the input, which are not predicted; None: all other numeric
            columns. Texts (up to 20 different ones) become indicators.
        known: covariates whose future is known, such as promotions: the input also has their values
            of the steps to predict.
        horizon: steps to predict; None: 12.
        look_back: steps of the input; None: two seasons or two horizons, whichever is longer, at
            most 512. Series to classify are cut to their last look_back steps; None: not cut.
        season: steps of the seasonal period, for the seasonal-naive baseline; None: inferred from
            the frequency.
        borders: first step of val, of test and (optionally) the end of test, as fractions of the
            steps, as steps, or as times; None: [0.7, 0.8].
        missing: policy for missing values and missing time steps: error, drop (remove incomplete
            rows, so that the others become adjacent), previous (repeat the last value), interpolate
            (linear, uses future values), zero. Missing steps are not detected with label.
        delimiter: delimiter of a CSV file; None: inferred.
        decimal: decimal sign, point or comma; None: inferred.
        encoding: of a text file, such as cp1252; None: UTF-8, or UTF-16 with a byte-order mark.
        header: whether the first line has the column names; if not, they are 1, 2, …

    Raises:
        DataError: one message with all problems of the file.
        ValueError: a setting is invalid.
    """

    def __init__(
        self,
        path: str,
        target: str | int | list[str] | list[int] | None = None,
        *,
        label: str | int | None = None,
        group: str | int | list[str] | list[int] | None = None,
        subject: str | int | None = None,
        split: str | int | bool | None = None,
        val_path: str | None = None,
        test_path: str | None = None,
        time: str | int | bool | None = None,
        time_format: str | None = None,
        covariates: str | int | list[str] | list[int] | None = None,
        known: str | int | list[str] | list[int] | None = None,
        horizon: int | None = None,
        look_back: int | None = None,
        season: int | None = None,
        borders: list[float] | list[str] | None = None,
        missing: MissingPolicy = "error",
        delimiter: str | None = None,
        decimal: Decimal | None = None,
        encoding: str | None = None,
        header: bool = True,
    ) -> None:
        names = SeriesColumns.from_settings(target, label, group, subject, split)
        lengths = SeriesLengths(horizon, look_back, season, borders)
        paths: dict[Split, str | None] = {"train": path, "val": val_path, "test": test_path}
        check_series_settings(names, lengths, paths, missing, decimal)
        columns = ColumnSettings(
            targets=names.targets, keys=names.keys, time_format=time_format,
            time=to_column_choice(time),
            covariates=to_column_names(covariates), known=to_column_names(known) or (),
            decimal=decimal,
        )  # fmt: skip
        tables = _read_tables(paths, delimiter, header, encoding)
        load = _load_classification if label else _load_forecast
        self._data = load(tables, names, columns, lengths, missing)
        super().__init__(self._data.spec)
        self.notes = tuple(self._data.notes)

    def load(self) -> dict[Split, Batch]:
        return self._data.splits

    def batch(self, split: Split, indices: Tensor) -> Batch:
        """Return the samples at `indices`, int64 (B,); windows are cut now."""
        batch = super().batch(split, indices)
        return batch if self._data.windows is None else self._data.windows.cut(batch.x)

    def fingerprint(self) -> str:
        """Return the hash of all splits, or of the series and the starts of the windows."""
        if self._data.windows is None:
            return super().fingerprint()
        series = self._data.windows.series
        digest = hashlib.sha256(f"{tuple(series.shape)} {super().fingerprint()}\n".encode())
        digest.update(series.numpy())
        return f"sha256:{digest.hexdigest()}"

    def inverse_transform(self, y: Tensor) -> Tensor:
        return self._data.scaler.inverse_transform(y)


@dataclass(frozen=True)
class _Data:
    """The loaded data; with `windows`, x and y of the splits are the first steps of windows."""

    spec: DataSpec
    splits: dict[Split, Batch]
    scaler: StandardScaler
    notes: list[str]
    windows: Windows | None = None


def _read_tables(
    paths: Mapping[Split, str | None], delimiter: str | None, header: bool, encoding: str | None
) -> dict[Split, Table]:
    problems = Problems()
    tables = {
        split: problems.catch(
            read_table, path, delimiter=delimiter, header=header, encoding=encoding
        )
        for split, path in paths.items()
        if path
    }
    problems.raise_if_any()
    return {split: table for split, table in tables.items() if table is not None}


def _load_forecast(
    tables: Mapping[Split, Table],
    names: SeriesColumns,
    columns: ColumnSettings,
    lengths: SeriesLengths,
    missing: MissingPolicy,
) -> _Data:
    table, problems = tables["train"], Problems()
    split = find_split_column(table, names) if lengths.borders is None else ""
    columns = replace(columns, keys=[*columns.keys, *filter(None, [split])])
    rows_of = group_rows(table, names.groups, problems) if names.groups else {"": range(len(table))}
    groups = number_groups(rows_of, len(table)) if names.groups else None
    channels = read_channels(table, problems, columns, groups)
    built = {
        name: problems.catch(build_series, table, channels, missing, rows)
        for name, rows in rows_of.items()
    }
    splits = problems.catch(read_split_column, table, split) if split else None
    problems.raise_if_any()
    panel = Panel(list(built), [one for one in built.values() if one is not None])
    if splits is None:
        ranges, method = split_by_borders(panel, lengths.borders), "by time"
    else:
        ranges, method = split_by_column(panel, splits)
    notes = [*table.notes, *channels.notes, *describe_series(panel.series, missing)]
    notes += missing_notes(channels, missing, range(len(table)))
    notes.append(f"{panel.describe()}, split {method}: {count_steps(ranges)}")
    if len(panel.series) > 1:
        notes.append("one model forecasts all series; they are standardised together")
    return _cut_windows(panel, ranges, channels, len(names.targets), lengths, notes)


def _cut_windows(
    panel: Panel,
    ranges: Sequence[Ranges],
    channels: Channels,
    num_targets: int,
    lengths: SeriesLengths,
    notes: list[str],
) -> _Data:
    """Standardise the series by their train steps, and find the windows of each split."""
    horizon = HORIZON if lengths.horizon is None else lengths.horizon
    season, look_back, length_notes = _infer_lengths(panel.season, horizon, lengths)
    if channels.known and look_back < horizon:
        raise ValueError(f"known needs a look_back of the horizon, {horizon}, or more")
    sizes = [len(one.values) for one in panel.series]
    starts, window_notes = find_starts(sizes, ranges, look_back, horizon)
    train = [
        one.values[slice(*own["train"])] for one, own in zip(panel.series, ranges, strict=True)
    ]
    scaler = StandardScaler.fit(torch.from_numpy(np.concatenate(train)))
    scaled = [scaler.transform(torch.from_numpy(one.values)) for one in panel.series]
    known = list(channels.known)
    ahead = [pad(one[horizon:, known], (0, 0, 0, min(horizon, len(one)))) for one in scaled]
    series = torch.cat([torch.cat(scaled), torch.cat(ahead)], 1)
    names = (*channels.names, *(f"{channels.names[k]} in {horizon} steps" for k in known))
    spec = DataSpec(
        name="csv_series",
        modality="series",
        task="forecast",
        shape=(look_back, len(names)),
        targets=tuple(channels.names[:num_targets]),
        horizon=horizon,
        season=season,
    )
    splits = {split: Batch(first, first) for split, first in starts.items()}
    windows = Windows(series, look_back, horizon, num_targets)
    return _Data(spec, splits, scaler, [*notes, *length_notes, *window_notes], windows)


def _infer_lengths(
    inferred_season: int, horizon: int, lengths: SeriesLengths
) -> tuple[int, int, list[str]]:
    """Return season, look-back, and notes on those that were inferred."""
    notes = []
    season, look_back = lengths.season, lengths.look_back
    if season is None:
        season = inferred_season
        notes.append(f"season: {f'{season} steps' if season else 'none'} (inferred)")
    if look_back is None:
        look_back = min(2 * max(season, horizon), max(_LONGEST_LOOK_BACK, horizon))
        notes.append(f"look-back: {look_back} steps (inferred), horizon: {horizon}")
    return season, look_back, notes


def _load_classification(
    tables: Mapping[Split, Table],
    names: SeriesColumns,
    columns: ColumnSettings,
    lengths: SeriesLengths,
    missing: MissingPolicy,
) -> _Data:
    problems = Problems()
    given = len(tables) > 1
    table = join_tables(tables, _SPLIT_OF_FILE) if given else tables["train"]
    split = _SPLIT_OF_FILE if given else find_split_column(table, names)
    columns = replace(columns, keys=[*columns.keys, *filter(None, [split])])
    groups = [*names.groups, *([split] if given else [])]
    rows_of = group_rows(table, groups, problems)
    channels = read_channels(table, problems, columns, number_groups(rows_of, len(table)))
    constants = GroupColumns(groups, names.label, names.subject, split)
    grouped = build_labelled_series(table, channels, constants, rows_of, missing, problems)
    refuse_single_steps([len(values) for values in grouped.series])
    notes = [*table.notes, *channels.notes, *grouped.notes]
    look_back = lengths.look_back
    if look_back and (longer := sum(len(values) > look_back for values in grouped.series)):
        notes.append(f"{longer:,} series are cut to their last {look_back} steps")
    splits, split_notes = split_series(grouped, bool(names.subject), problems)
    return _pad_series(grouped, splits, look_back or 0, [*notes, *split_notes])


def _pad_series(
    grouped: LabelledSeries, rows: Mapping[Split, Sequence[int]], look_back: int, notes: list[str]
) -> _Data:
    """Standardise the series by train, and pad them to equal length."""
    classes = sort_class_names(grouped.labels)
    if len(classes) < 2:
        raise DataError(f"expected two or more labels, found {', '.join(map(repr, classes))}")
    series = [torch.from_numpy(values[-look_back:]) for values in grouped.series]
    scaler = StandardScaler.fit(torch.cat([series[k] for k in rows["train"]]))
    x = pad_sequence([scaler.transform(values) for values in series], batch_first=True)
    y = torch.tensor([classes.index(label) for label in grouped.labels])
    lengths = torch.tensor([len(values) for values in series])
    is_ragged = bool((lengths != lengths[0]).any())
    splits: dict[Split, Batch] = {}
    for split in SPLITS:
        indices = torch.tensor(rows[split])
        splits[split] = Batch(x[indices], y[indices], lengths[indices] if is_ragged else None)
    spec = DataSpec(
        name="csv_series",
        modality="series",
        task="classify",
        shape=tuple(x.shape[1:]),
        classes=classes,
        ragged=is_ragged,
    )
    notes += [
        f"classes: {', '.join(abbreviate(map(repr, classes)))} (inferred)",
        f"series of {lengths.min():,} to {lengths.max():,} steps",
    ]
    return _Data(spec, splits, scaler, notes)
