"""Yearly sunspot numbers, 1700 to 2008: a short series with a period of about 11 years."""

from __future__ import annotations

import torch
from statsmodels.datasets import sunspots
from torch import Tensor

from quintain.plugin_api import Batch, DataSpec, InMemory, Split, StandardScaler, forecast_windows

_CYCLE = 11  # years
_RANGES: dict[Split, tuple[int, int]] = {"train": (0, 216), "val": (216, 258), "test": (258, 309)}
"""First and last year (exclusive) of each split, counted from 1700."""


class Sunspots(InMemory):
    """x (look_back, 1), y (horizon, 1), standardised by the train years; 184 / 32 / 41 windows.

    Train is 1700-1915, validation 1916-1957, test 1958-2008. The years to predict are all in their
    own split, and the look-back may reach into the split before. By default, the look-back is two
    cycles; with more, a linear model is worse on the test, since there are few windows.

    Args:
        look_back: years of the input.
        horizon: years to predict.
    """

    def __init__(self, look_back: int = 2 * _CYCLE, horizon: int = _CYCLE) -> None:
        spec = DataSpec(
            name="sunspots",
            modality="series",
            task="forecast",
            shape=(look_back, 1),
            horizon=horizon,
            season=_CYCLE,
        )
        super().__init__(spec)

    def load(self) -> dict[Split, Batch]:
        series = sunspots.load_pandas().data["SUNACTIVITY"].to_numpy()
        years = torch.tensor(series)[:, None]
        self._scaler = StandardScaler.fit(years[slice(*_RANGES["train"])])
        scaled = self._scaler.transform(years)
        (look_back, _), horizon = self.spec.shape, self.spec.horizon
        return {
            split: forecast_windows(scaled, start, stop, look_back=look_back, horizon=horizon)
            for split, (start, stop) in _RANGES.items()
        }

    def inverse_transform(self, y: Tensor) -> Tensor:
        return self._scaler.inverse_transform(y)
