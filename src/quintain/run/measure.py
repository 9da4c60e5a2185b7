"""What a trained model costs beyond its training: operations, latency, memory."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytorch_lightning as pl
import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from quintain.compose.build import Model
from quintain.contracts import Batch, Dataset, Meter, Split

LATENCY_SECONDS = 0.15  # spent on each batch size at most: some hundred readings of a small model
SHARE = 0.01  # of the seconds of training, after which so many readings will do
LATENCY_ENOUGH = 10
LATENCY_READINGS = 200
WARM_UP = 3
PEAK_SIZE = {"cpu": 512, "cuda": 8192, "mps": 2048}  # edge of a matrix that keeps it busy
PEAK_ENOUGH, PEAK_READINGS = 3, 5
COPIED = {"cpu": 2**25, "cuda": 2**30, "mps": 2**28}  # bytes, more than a usual cache holds
COPIES = 3
BANDWIDTH_FROM = 5.0  # seconds of training of which the copies are about a hundredth
PASSES = 3  # forward, and backward at twice its cost: Kaplan et al. 2020, section 2.1


class Forward:
    """A trained model as it was trained: on the device and in the precision of its Trainer.

    Lightning moves a model back to the CPU when it is done.
    """

    def __init__(self, model: Model, trainer: pl.Trainer) -> None:
        self.device = trainer.strategy.root_device
        self._precision = trainer.precision_plugin
        self._model = model.eval().to(self.device)

    def __call__(self, batch: Batch) -> torch.Tensor:
        """`Batch` → prediction."""
        with self._precision.forward_context():
            prediction: torch.Tensor = self._model(batch)
        return prediction

    def answer(self, batch: Batch) -> torch.Tensor:
        """`Batch`, of any device → what is scored: what a user of the model waits for."""
        with self._precision.forward_context():
            return self._model.answer(self._ready(batch))

    def first(self, dataset: Dataset, split: Split, count: int) -> Batch:
        """The first `count` samples of a split, as the model wants them."""
        return self._ready(dataset.take(split, torch.arange(min(count, dataset.size(split)))))

    def _ready(self, batch: Batch) -> Batch:
        moved = Batch(*(None if t is None else t.to(self.device) for t in batch))  # type: ignore[arg-type]
        ready: Batch = self._precision.convert_input(moved)
        return ready

    def peak_flops(self, synchronize: Callable[[], None], training: float) -> float:
        """Operations a second in the largest matrix product of this device: the best reading.

        In the precision of the run and with its threads, so that it is the peak it could reach.
        A run that has trained for few seconds takes fewer readings.
        """
        edge = PEAK_SIZE.get(self.device.type, 512)
        x = self._precision.convert_input(torch.randn(edge, edge, device=self.device))
        seconds: list[float] = []
        with torch.inference_mode(), self._precision.forward_context():
            while len(seconds) <= PEAK_READINGS:
                if len(seconds) > PEAK_ENOUGH and sum(seconds) >= SHARE * training:
                    break
                synchronize()
                began = time.perf_counter()
                x @ x
                synchronize()
                seconds.append(time.perf_counter() - began)
        return 2 * edge**3 / min(seconds[1:])

    def bandwidth(self, synchronize: Callable[[], None]) -> float:
        """Bytes a second that the device's memory reads and writes in a large copy, each byte
        counted twice as in STREAM (McCalpin 1995): the best reading. With the run's threads.
        """
        source = torch.zeros(COPIED.get(self.device.type, 2**25), dtype=torch.uint8)
        source = source.to(self.device).fill_(1)  # a page that was never written takes no memory
        target = torch.empty_like(source)
        seconds = []
        for _ in range(COPIES + 1):
            synchronize()
            began = time.perf_counter()
            target.copy_(source)
            synchronize()
            seconds.append(time.perf_counter() - began)
        return 2 * source.numel() / min(seconds[1:])


Predict = Callable[[Batch], torch.Tensor]


def flops_per_sample(model: Predict, batch: Batch) -> float | str:
    """Floating-point operations of one forward pass of one sample, or why they are not known.

    Counted by torch's FlopCounterMode (matrix products and convolutions; a multiply-add is two).
    It does not see into oneDNN's LSTM and the CPU's fused attention, so both are off meanwhile.
    """
    with (
        torch.inference_mode(),
        torch.backends.mkldnn.flags(enabled=False),
        sdpa_kernel(SDPBackend.MATH),
        FlopCounterMode(display=False) as counter,
    ):
        model(batch)
    total = counter.get_total_flops()
    return total / len(batch.x) if total else "no counted operation in the model"


def latency(
    model: Predict, batch: Batch, synchronize: Callable[[], None], training: float
) -> list[float]:
    """Milliseconds of single forward passes over `batch`, after a warm-up.

    Args:
        model: in evaluation mode, on the device of `batch`.
        batch: as the model wants it.
        synchronize: waits for the device.
        training: seconds that the run has trained; a short one is measured shortly, too.
    """
    readings: list[float] = []
    with torch.inference_mode():
        for _ in range(WARM_UP):
            model(batch)
        synchronize()
        began = now = time.perf_counter()
        while not _enough(len(readings), now - began, training):
            model(batch)
            synchronize()
            now, before = time.perf_counter(), now
            readings.append((now - before) * 1e3)
    return readings


def _enough(readings: int, seconds: float, training: float) -> bool:
    if readings >= LATENCY_READINGS or seconds >= LATENCY_SECONDS:
        return True
    return readings >= LATENCY_ENOUGH and seconds >= SHARE * training


def percentiles(values: list[float], *levels: int) -> dict[str, float]:
    """`{"p50": …}` by linear interpolation between the sorted readings."""
    tensor = torch.tensor(values, dtype=torch.float64)
    return {f"p{level}": torch.quantile(tensor, level / 100).item() for level in levels}


def read_meters(meters: list[Meter]) -> tuple[dict[str, float | None], dict[str, str]]:
    """Values by meter name (None where absent), and the reasons for the absent ones."""
    values: dict[str, float | None] = {}
    reasons: dict[str, str] = {}
    for meter in meters:
        reading: Any = meter.read()
        values[meter.name] = None if isinstance(reading, str) else float(reading)
        if isinstance(reading, str):
            reasons[meter.name] = reading
    return values, reasons
