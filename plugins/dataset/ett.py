"""Electricity transformer temperature (ETT), a standard benchmark of long-horizon forecasting."""

from __future__ import annotations

import hashlib
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from quintain.contracts import Batch, DataSpec, Split
from quintain.data.base import InMemory
from quintain.data.files.download import (
    RemoteFile,
    data_folder,
    fetch_plain_or_gzip,
    read_plain_or_gzip,
)
from quintain.data.scaling import StandardScaler
from quintain.data.windows import forecast_windows
from quintain.errors import DataError

Name = Literal["h1", "h2", "m1", "m2"]

_ROOT = "https://raw.githubusercontent.com/zhouhaoyi/ETDataset/main/ETT-small"
_SHA256 = {
    "h1": "f18de3ad269cef59bb07b5438d79bb3042d3be49bdeecf01c1cd6d29695ee066",
    "h2": "a3dc2c597b9218c7ce1cd55eb77b283fd459a1d09d753063f944967dd6b9218b",
    "m1": "6ce1759b1a18e3328421d5d75fadcb316c449fcd7cec32820c8dafda71986c9e",
    "m2": "db973ca252c6410a30d0469b13d696cf919648d0f3fd588c60f03fdbdbadd1fd",
}
_CHANNELS = ("HUFL", "HULL", "MUFL", "MULL", "LUFL", "LULL", "OT")  # six loads, oil temperature
_DAYS = {"train": 12 * 30, "val": 4 * 30, "test": 4 * 30}  # months of 30 days
_STEPS_PER_DAY = {"h": 24, "m": 96}


class Ett(InMemory):
    """Two years of one transformer: x (look_back, 7), y (horizon, 7), standardised.

    The protocol of Zhou et al. (2021): 12 months of 30 days for training, 4 for validation and 4
    for the test; later data are not used. The values are standardised by the train months, and all
    seven channels are forecast. The steps to predict are all in their own split, and the look-back
    may reach into the split before. All windows are scored; some published numbers leave out the
    last, incomplete batch. The files are `<data_dir>/ett/ETTh1.csv` or `.csv.gz`, and so on.

    Args:
        name: h1 or h2 (two transformers, hourly), m1 or m2 (the same, every 15 minutes).
        look_back: steps of the input.
        horizon: steps to predict; 96, 192, 336 and 720 in publications.
    """

    def __init__(
        self,
        name: Name = "h1",
        look_back: int = 336,
        horizon: int = 96,
        data_dir: str | None = None,
    ) -> None:
        steps_per_day = _STEPS_PER_DAY.get(str(name)[:1], 24)
        _check_settings(name, look_back, horizon, steps_per_day)
        spec = DataSpec(
            name="ett",
            modality="series",
            task="forecast",
            shape=(look_back, len(_CHANNELS)),
            targets=_CHANNELS,
            horizon=horizon,
            season=steps_per_day,
        )
        super().__init__(spec)
        self._name, self._steps_per_day = name, steps_per_day
        self._path = data_folder(data_dir) / "ett" / f"ETT{name}.csv"

    def prepare_data(self) -> None:
        url = f"{_ROOT}/{self._path.name}"
        fetch_plain_or_gzip(self._path, RemoteFile(url=url, sha256=_SHA256[self._name]))

    def load(self) -> dict[Split, Batch]:
        series = _parse(read_plain_or_gzip(self._path).decode("utf-8", "replace"), self._path.name)
        train, val, test = (days * self._steps_per_day for days in _DAYS.values())
        used = train + val + test
        if len(series) < used:
            raise DataError(
                f"{self._path.name} has {len(series):,} rows, expected {used:,} or more: it is "
                "truncated; remove it, and it is downloaded again"
            )
        self._series = series[:used]
        self._scaler = StandardScaler.fit(series[:train])
        scaled = self._scaler.transform(self._series)
        ranges: dict[Split, tuple[int, int]] = {
            "train": (0, train),
            "val": (train, train + val),
            "test": (train + val, used),
        }
        (look_back, _), horizon = self.spec.shape, self.spec.horizon
        return {
            split: forecast_windows(scaled, start, stop, look_back=look_back, horizon=horizon)
            for split, (start, stop) in ranges.items()
        }

    def fingerprint(self) -> str:
        """Return the hash of the series, which does not depend on the windows."""
        self.size("train")  # raises RuntimeError before `setup`
        digest = hashlib.sha256(f"{tuple(self._series.shape)}\n".encode())
        digest.update(self._series.numpy())
        return f"sha256:{digest.hexdigest()}"

    def inverse_transform(self, y: Tensor) -> Tensor:
        return self._scaler.inverse_transform(y)


def _check_settings(name: str, look_back: int, horizon: int, steps_per_day: int) -> None:
    problems = []
    if name not in _SHA256:
        problems.append(f"name must be one of {', '.join(_SHA256)}, got {name!r}")
    if look_back < 1 or horizon < 1:
        problems.append(f"look_back and horizon must be 1 or more, got {look_back} and {horizon}")
    train, val = _DAYS["train"] * steps_per_day, _DAYS["val"] * steps_per_day
    if horizon > val:
        problems.append(f"horizon {horizon} is longer than validation, {val} steps")
    if look_back + horizon > train:
        problems.append(
            f"look_back + horizon, {look_back + horizon}, is longer than training, {train} steps"
        )
    if problems:
        raise ValueError("; ".join(problems))


def _parse(text: str, name: str) -> Tensor:
    """Return the values of the CSV, float64 (rows, 7)."""
    header, *lines = text.splitlines() or [""]
    if header.split(",") != ["date", *_CHANNELS]:
        raise DataError(f"{name} starts with {header[:60]!r}, expected date,{','.join(_CHANNELS)}")
    try:
        rows = [line.split(",")[1:] for line in lines]
        series = np.array(rows, dtype=np.float64).reshape(len(rows), len(_CHANNELS))
    except ValueError as error:
        raise DataError(
            f"{name} is not a table of {len(_CHANNELS)} numbers in each row: {error}"
        ) from error
    if not np.isfinite(series).all():
        line_number = int((~np.isfinite(series)).any(1).argmax()) + 2
        raise DataError(f"{name}, line {line_number}: a value is not a number")
    return torch.from_numpy(series)
