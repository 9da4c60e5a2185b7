"""Electricity transformer temperature: the usual data of long-horizon forecasting."""

from __future__ import annotations

import hashlib
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from quintain.contracts import Batch, DataSpec, Split
from quintain.kit.dataset import InMemory
from quintain.kit.files.download import DataError, Remote, data_folder
from quintain.kit.files.packed import fetch_packed, read_packed
from quintain.kit.scale import Scale
from quintain.kit.windows import forecast_windows

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
_A_DAY = {"h": 24, "m": 96}  # steps


class Ett(InMemory):
    """Two years of one transformer: x (look_back, 7) → y (horizon, 7), standardised.

    The literature's protocol (Zhou et al. 2021): 12 months of 30 days for training, 4 for
    validation, 4 for the test, what follows is not used; mean and deviation of the train months;
    all seven channels are forecast. The steps to predict lie wholly in their own split, the
    look-back may reach into the one before. Every window of validation and test counts, also those
    of the last, incomplete batch, which some published numbers leave out.

    Args:
        name: h1, h2 (two transformers by the hour), m1, m2 (the same by 15 minutes).
        look_back: steps seen.
        horizon: steps to predict; published are 96, 192, 336 and 720.
        data_dir: where `ett/ETTh1.csv` (or `.csv.gz`) lies or is downloaded to; None as in
            `data_folder`.
    """

    def __init__(
        self,
        name: Name = "h1",
        look_back: int = 336,
        horizon: int = 96,
        data_dir: str | None = None,
    ) -> None:
        day = _A_DAY.get(str(name)[:1], 24)
        _check(name, look_back, horizon, day)
        super().__init__(
            DataSpec(
                name="ett",
                modality="series",
                task="forecast",
                shape=(look_back, len(_CHANNELS)),
                targets=_CHANNELS,
                horizon=horizon,
                season=day,
            )
        )
        self._name, self._day = name, day
        self._path = data_folder(data_dir) / "ett" / f"ETT{name}.csv"

    def prepare_data(self) -> None:
        """Download where missing, and verify.

        Raises:
            DataError: the file cannot be had, or is another.
        """
        url = f"{_ROOT}/{self._path.name}"
        fetch_packed(self._path, Remote(url=url, sha256=_SHA256[self._name]))

    def load(self) -> dict[Split, Batch]:
        """Every window, in order of time, as views of one series.

        Raises:
            DataError: the file is missing, has other columns, or too few rows.
        """
        series = _read(read_packed(self._path).decode("utf-8", "replace"), self._path.name)
        train, val, test = (days * self._day for days in _DAYS.values())
        used = train + val + test
        if len(series) < used:
            raise DataError(
                f"{self._path.name} has {len(series):,} rows, expected {used:,} or more: it is "
                "truncated; remove it, and it is downloaded again"
            )
        self._series = series[:used]
        self._scale = Scale.of(series[:train])
        scaled = self._scale.apply(self._series)
        return {
            "train": self._windows(scaled, 0, train),
            "val": self._windows(scaled, train, train + val),
            "test": self._windows(scaled, train + val, used),
        }

    def fingerprint(self) -> str:
        """`sha256:` of the series, however windows are cut from it."""
        self._whole("train")  # says so where nothing is loaded
        digest = hashlib.sha256(f"{tuple(self._series.shape)}\n".encode())
        digest.update(self._series.numpy())
        return f"sha256:{digest.hexdigest()}"

    def restore(self, y: Tensor) -> Tensor:
        """Loads and the oil temperature in °C, as in the file."""
        return self._scale.undo(y)

    def _windows(self, series: Tensor, start: int, stop: int) -> Batch:
        return forecast_windows(
            series, start, stop, look_back=self.spec.shape[0], horizon=self.spec.horizon
        )


def _check(name: str, look_back: int, horizon: int, day: int) -> None:
    wrong = []
    if name not in _SHA256:
        wrong.append(f"name must be one of {', '.join(_SHA256)}, came {name!r}")
    if look_back < 1 or horizon < 1:
        wrong.append(f"look_back and horizon must be 1 or more, came {look_back} and {horizon}")
    if horizon > _DAYS["val"] * day:
        wrong.append(f"horizon {horizon} is longer than validation, {_DAYS['val'] * day} steps")
    if look_back + horizon > _DAYS["train"] * day:
        wrong.append(
            f"look_back + horizon, {look_back + horizon}, is longer than training, "
            f"{_DAYS['train'] * day} steps"
        )
    if wrong:
        raise ValueError("; ".join(wrong))


def _read(text: str, name: str) -> Tensor:
    """The CSV → float64 (rows, 7)."""
    header, *lines = text.splitlines() or [""]
    if header.split(",") != ["date", *_CHANNELS]:
        raise DataError(f"{name} starts {header[:60]!r}, expected date,{','.join(_CHANNELS)}")
    try:
        rows = [line.split(",")[1:] for line in lines]
        series = np.array(rows, dtype=np.float64).reshape(len(rows), len(_CHANNELS))
    except ValueError as error:
        raise DataError(f"{name} is no table of {len(_CHANNELS)} numbers a row: {error}") from error
    if not np.isfinite(series).all():
        at = int((~np.isfinite(series)).any(1).argmax()) + 2
        raise DataError(f"{name}, line {at}: a value that is no number")
    return torch.from_numpy(series)
