"""Cut series into the windows of a forecasting dataset."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from quintain.contracts import Batch


@dataclass(frozen=True)
class Windows:
    """Windows of one or several series, which are cut when they are needed.

    Attributes:
        series: (steps, channels); several series are concatenated.
        look_back, horizon: steps of x and y.
        targets: number of channels of y, the first ones.
    """

    series: Tensor
    look_back: int
    horizon: int
    targets: int

    def cut(self, starts: Tensor) -> Batch:
        """Return the windows that start at these steps, int64 (B,)."""
        x = self.series.unfold(0, self.look_back, 1)[starts]
        y = self.series[self.look_back :, : self.targets].unfold(0, self.horizon, 1)[starts]
        return Batch(x.transpose(1, 2).contiguous(), y.transpose(1, 2).contiguous())


def forecast_windows(
    series: Tensor,
    start: int,
    stop: int,
    *,
    look_back: int,
    horizon: int,
    targets: int | None = None,
) -> Batch:
    """Return all windows (stride 1) whose targets are within steps `start` to `stop` (exclusive).

    The inputs may begin before `start`, so that all steps of a chronological split are targets.

    Args:
        series: (steps, channels).
        start, stop: range of the target steps.
        look_back, horizon: steps of x and y.
        targets: number of channels of y, the first ones; None: all.

    Returns:
        x (windows, look_back, channels) and y (windows, horizon, targets), views of the series.

    Raises:
        ValueError: the split is too short for a single window.
    """
    first = max(start, look_back)  # the first step that is a target
    if stop - first < horizon:
        raise ValueError(
            f"steps {start} to {stop} are too short for look-back {look_back} and horizon "
            f"{horizon}: use shorter ones"
        )
    x = series[first - look_back : stop - horizon].unfold(0, look_back, 1)
    y = series[first:stop].unfold(0, horizon, 1)
    return Batch(x.transpose(1, 2), y.transpose(1, 2)[..., :targets])
