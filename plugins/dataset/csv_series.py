"""A user's table of numeric series: forecast the next steps, or classify whole series.

Legend: S steps, C channels, K targets (the first K channels).
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from quintain.contracts import Batch, DataSpec, Split
from quintain.data.base import InMemory
from quintain.data.files.problems import Problems, abbreviate
from quintain.data.scaling import StandardScaler
from quintain.data.tables.channels import POLICIES, MissingPolicy, read_channels
from quintain.data.tables.columns import sort_class_names, to_column_names
from quintain.data.tables.series import (
    LabelledSeries,
    RegularSeries,
    build_grouped_series,
    build_series,
)
from quintain.data.tables.table import read_table
from quintain.data.user_files.splits import SPLITS, count_duplicates, split_by_key, split_summary
from quintain.data.windows import forecast_windows
from quintain.errors import DataError

_LONGEST_LOOK_BACK = 512  # steps, if look_back is inferred


class CsvSeries(InMemory):
    """x (look_back, C), standardised by train; y (horizon, K), the first channels, or a class.

    With `target`: forecast. The series is split by time: the steps to predict are all in their own
    split, and the look-back may reach into the split before.

    With `label` and `group` (head=classify): the rows of each group form one series with one label;
    series may differ in length. The splits (70 / 10 / 20) are stratified by label; equal series are
    in the same split.

    Args:
        path: CSV, TSV, JSON lines (.jsonl) or Parquet; text may be gzipped (.gz).
        target: column or columns to forecast.
        label: column with the class of each group; instead of target.
        group: column that identifies the series of each row.
        time: column of times, ISO 8601 or numbers; None: the column that contains times. If there
            is none, the rows are in the order of the file.
        time_format: format of the times, as in Python's strptime.
        covariates: further channels of the input, which are not predicted; None: all other numeric
            columns.
        horizon: steps to predict.
        look_back: steps of the input; None: two seasons or two horizons, whichever is longer, at
            most 512. Series to classify are cut to their last look_back steps; None: not cut.
        season: steps of the seasonal period, for the seasonal-naive baseline; None: inferred from
            the frequency.
        borders: first step of val, of test and (optionally) the end of test, as fractions of the
            steps, as steps, or as times; None: [0.7, 0.8].
        missing: policy for missing values and missing time steps: error, drop (remove incomplete
            rows, so that the others become adjacent), previous (repeat the last value), interpolate
            (linear, uses future values), zero. Missing steps of groups are not detected.
        delimiter: delimiter of a CSV file; None: inferred.

    Raises:
        DataError: one message with all problems of the file.
        ValueError: a setting is invalid.
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
        missing: MissingPolicy = "error",
        delimiter: str | None = None,
    ) -> None:
        targets = to_column_names(target) or []
        _check_settings(targets, label, group, horizon, look_back, missing)
        table, problems = read_table(path, delimiter=delimiter), Problems()
        keys = [name for name in (label, group) if name]
        channels = read_channels(
            table, problems, targets, keys, time, time_format, to_column_names(covariates)
        )
        if label and group:
            grouped = build_grouped_series(table, channels, label, group, missing, problems)
            data = _load_classification(grouped, look_back)
        else:
            series = problems.catch(build_series, table, channels, missing)
            problems.raise_if_any()
            assert series is not None  # else raise_if_any has raised
            data = _load_forecast(
                series, channels.names, len(targets), horizon, look_back, season, borders
            )
        super().__init__(data.spec)
        self._data = data
        self.notes = (*table.notes, *channels.notes, *data.notes)

    def load(self) -> dict[Split, Batch]:
        return self._data.splits

    def fingerprint(self) -> str:
        """Return the hash of all splits, or of the series and split sizes if windows overlap."""
        if self._data.series is None:
            return super().fingerprint()
        sizes = [self.size(split) for split in SPLITS]
        digest = hashlib.sha256(f"{tuple(self._data.series.shape)} {sizes}\n".encode())
        digest.update(self._data.series.numpy())
        return f"sha256:{digest.hexdigest()}"

    def inverse_transform(self, y: Tensor) -> Tensor:
        return self._data.scaler.inverse_transform(y)


@dataclass(frozen=True)
class _Data:
    """The loaded data; `series` (S, C) is the series from which forecast windows are cut."""

    spec: DataSpec
    splits: dict[Split, Batch]
    scaler: StandardScaler
    notes: list[str]
    series: Tensor | None = None


def _check_settings(
    targets: list[str],
    label: str | None,
    group: str | None,
    horizon: int,
    look_back: int | None,
    missing: str,
) -> None:
    problems = []
    if bool(targets) == bool(label):
        problems.append(
            "give dataset.target=COLUMN to forecast, or dataset.label=COLUMN and"
            " dataset.group=COLUMN to classify"
        )
    elif bool(label) != bool(group):
        problems.append(
            "label and group go together: all rows of one group are one series, with one label"
        )
    if len(set(targets)) < len(targets):
        problems.append(f"target names a column twice: {targets}")
    if horizon < 1 or (look_back is not None and look_back < 1):
        problems.append(f"horizon and look_back must be 1 or more, got {horizon} and {look_back}")
    if missing not in POLICIES:
        problems.append(f"missing must be one of {', '.join(POLICIES)}; got {missing!r}")
    if problems:
        raise ValueError("; ".join(problems))


def _load_forecast(
    series: RegularSeries,
    names: list[str],
    num_targets: int,
    horizon: int,
    look_back: int | None,
    season: int | None,
    borders: Sequence[float] | Sequence[str] | None,
) -> _Data:
    season, look_back, length_notes = _infer_lengths(series, horizon, look_back, season)
    val, test, end = series.borders(borders)
    ranges = dict(zip(SPLITS, ((0, val), (val, test), (test, end)), strict=True))
    _check_lengths(ranges, look_back, horizon)
    values = torch.from_numpy(series.values)[:end]
    scaler = StandardScaler.fit(values[:val])
    scaled = scaler.transform(values)
    splits = {
        split: forecast_windows(
            scaled, start, stop, look_back=look_back, horizon=horizon, targets=num_targets
        )
        for split, (start, stop) in ranges.items()
    }
    sizes = ", ".join(f"{stop - start:,} for {split}" for split, (start, stop) in ranges.items())
    summary = f"{len(series.values):,} steps{series.period}, split by time: {sizes}"
    spec = DataSpec(
        name="csv_series",
        modality="series",
        task="forecast",
        shape=(look_back, len(names)),
        targets=tuple(names[:num_targets]),
        horizon=horizon,
        season=season,
    )
    return _Data(spec, splits, scaler, [*series.notes, *length_notes, summary], scaled)


def _infer_lengths(
    series: RegularSeries, horizon: int, look_back: int | None, season: int | None
) -> tuple[int, int, list[str]]:
    """Return season, look-back, and notes on those that were inferred."""
    notes = []
    if season is None:
        season = series.frequency.season if series.frequency else 0
        notes.append(f"season: {f'{season} steps' if season else 'none'} (inferred)")
    if look_back is None:
        look_back = min(2 * max(season, horizon), max(_LONGEST_LOOK_BACK, horizon))
        notes.append(f"look-back: {look_back} steps (inferred), horizon: {horizon}")
    return season, look_back, notes


def _check_lengths(ranges: dict[Split, tuple[int, int]], look_back: int, horizon: int) -> None:
    """Raise DataError if a split is too short for one window."""
    needed = {"train": look_back + horizon, "val": horizon, "test": horizon}
    short = [
        f"{split} has {stop - start} of {needed[split]}"
        for split, (start, stop) in ranges.items()
        if stop - start < needed[split]
    ]
    if short:
        raise DataError(
            f"look-back {look_back} and horizon {horizon} need more steps than there are: "
            f"{', '.join(short)}; use shorter ones, or other borders"
        )


def _load_classification(grouped: LabelledSeries, look_back: int | None) -> _Data:
    classes = sort_class_names(grouped.labels)
    if len(classes) < 2:
        raise DataError(f"expected two or more labels, found {', '.join(map(repr, classes))}")
    notes = list(grouped.notes)
    if look_back and (longer := sum(len(values) > look_back for values in grouped.series)):
        notes.append(f"{longer:,} series are cut to their last {look_back} steps")
    series = [torch.from_numpy(values[-(look_back or 0) :]) for values in grouped.series]
    keys = [values.numpy().tobytes() for values in series]
    rows = split_by_key(keys, grouped.labels)
    scaler = StandardScaler.fit(torch.cat([series[k] for k in rows["train"]]))
    x = pad_sequence([scaler.transform(values) for values in series], batch_first=True)
    y = torch.tensor([classes.index(label) for label in grouped.labels])
    lengths = torch.tensor([len(values) for values in series])
    is_ragged = bool((lengths != lengths[0]).any())
    splits: dict[Split, Batch] = {}
    for split in SPLITS:
        indices = torch.from_numpy(rows[split])
        splits[split] = Batch(x[indices], y[indices], lengths[indices] if is_ragged else None)
    duplicates = count_duplicates(keys)
    notes += [
        f"classes: {', '.join(abbreviate(map(repr, classes)))} (inferred)",
        f"series of {lengths.min():,} to {lengths.max():,} steps"
        + (f"; {duplicates:,} duplicate series" if duplicates else ""),
        split_summary(rows, "by a hash of the series, stratified by label"),
    ]
    spec = DataSpec(
        name="csv_series",
        modality="series",
        task="classify",
        shape=tuple(x.shape[1:]),
        classes=classes,
        ragged=is_ragged,
    )
    return _Data(spec, splits, scaler, notes)
