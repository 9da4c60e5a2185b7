"""Cutting a series into what a forecast sees and what it has to say."""

from __future__ import annotations

from torch import Tensor

from quintain.contracts import Batch


def forecast_windows(
    series: Tensor,
    start: int,
    stop: int,
    *,
    look_back: int,
    horizon: int,
    targets: int | None = None,
) -> Batch:
    """All windows whose targets lie wholly in steps `start` to `stop` (exclusive) of a series.

    The look-back may begin before `start`, as is usual with chronological splits: a split then
    loses no targets, and nothing is seen that lies after them.

    Args:
        series: (steps, channels).
        start, stop: the split.
        look_back, horizon: lengths of x and y.
        targets: y has the first so many channels; None: all.

    Returns:
        x (windows, look_back, channels) and y (windows, horizon, targets), one step apart, as
        views of the series.

    Raises:
        ValueError: the split is too short for a single window.
    """
    first = max(start, look_back)  # the first step that is a target
    if stop - first < horizon:
        raise ValueError(
            f"steps {start} to {stop} hold no window of look-back {look_back} and horizon "
            f"{horizon}: use shorter ones"
        )
    x = series[first - look_back : stop - horizon].unfold(0, look_back, 1)
    y = series[first:stop].unfold(0, horizon, 1)
    return Batch(x.transpose(1, 2), y.transpose(1, 2)[..., :targets])
