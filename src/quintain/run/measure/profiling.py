"""Measures a trained model: FLOPs, latency, and the peak FLOP/s and bandwidth of its device."""

from __future__ import annotations

import copy
import time
import warnings
from collections.abc import Callable
from functools import partial
from typing import Any, TypeVar

import numpy as np
import pytorch_lightning as pl
import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from quintain.contracts import Batch, Dataset, Split
from quintain.model import Model
from quintain.run.context import RunContext
from quintain.run.record.failure import is_out_of_memory

Value = TypeVar("Value")

LATENCY_SECONDS = 0.15  # limit for each batch size; enough for about a hundred readings if small
LATENCY_SHARE = 0.01  # measuring may end after this share of the seconds of training
LATENCY_MIN_READINGS, LATENCY_MAX_READINGS = 10, 200
WARM_UP = 3  # forward passes before the first reading
PEAK_EDGE = {"cpu": 512, "cuda": 8192, "mps": 2048}  # rows of square matrices that fill the device
PEAK_MIN_READINGS, PEAK_MAX_READINGS = 3, 5
COPY_BYTES = {"cpu": 2**25, "cuda": 2**30, "mps": 2**28}  # larger than usual caches
COPY_READINGS = 3
MIN_SECONDS_FOR_BANDWIDTH = 5.0  # of training; the copies take about a hundredth of that
NO_MEMORY = "memory ran out"
NO_FLOPS = "no counted operation in the model"


class TrainedModel:
    """A trained model on the device and in the precision of its Trainer.

    Lightning moves a model back to the CPU after training.
    """

    def __init__(self, model: Model, trainer: pl.Trainer) -> None:
        self.device = trainer.strategy.root_device
        self._precision = trainer.precision_plugin
        self.model = model.eval().to(self.device)

    def predict(self, batch: Batch) -> torch.Tensor:
        """Return the predictions for a batch on any device; the time includes the transfer."""
        with self._precision.forward_context():
            return self.model.predict(self._convert(batch))

    def load_first(self, dataset: Dataset, split: Split, count: int) -> Batch:
        """Return the first `count` samples of a split, on the device and in its precision."""
        return self._convert(dataset.batch(split, torch.arange(min(count, dataset.size(split)))))

    def _convert(self, batch: Batch) -> Batch:
        moved = Batch(*(None if t is None else t.to(self.device) for t in batch))  # type: ignore[arg-type]
        converted: Batch = self._precision.convert_input(moved)
        return converted

    def measure_peak_flops(self, synchronize: Callable[[], None], training: float) -> float:
        """Return the FLOP/s of the fastest of several products of large matrices.

        They use the precision and the threads of the run, so that the run could reach the peak.

        Args:
            synchronize: waits until the device has finished all work.
            training: seconds of training; after a short one fewer readings are taken.
        """
        edge = PEAK_EDGE.get(self.device.type, 512)
        x = self._precision.convert_input(torch.randn(edge, edge, device=self.device))
        seconds: list[float] = []
        with torch.inference_mode(), self._precision.forward_context():
            while len(seconds) <= PEAK_MAX_READINGS:
                if len(seconds) > PEAK_MIN_READINGS and sum(seconds) >= LATENCY_SHARE * training:
                    break
                seconds.append(_time(lambda: x @ x, synchronize))
        return 2 * edge**3 / min(seconds[1:])

    def measure_bandwidth(self, synchronize: Callable[[], None]) -> float:
        """Return the bytes per second of the fastest of several copies of a large array.

        Each byte counts twice, once read and once written, as in STREAM (McCalpin 1995).
        """
        source = torch.zeros(COPY_BYTES.get(self.device.type, 2**25), dtype=torch.uint8)
        source = source.to(self.device).fill_(1)  # pages of zeros may share one page of memory
        target = torch.empty_like(source)
        copy_once = partial(target.copy_, source)
        seconds = [_time(copy_once, synchronize) for _ in range(COPY_READINGS + 1)]
        return 2 * source.numel() / min(seconds[1:])


def _time(work: Callable[[], object], synchronize: Callable[[], None]) -> float:
    synchronize()
    start = time.perf_counter()
    work()
    synchronize()
    return time.perf_counter() - start


def measure_trained_model(
    context: RunContext, trained: TrainedModel, batch_size: int, samples_per_second: float
) -> tuple[dict[str, Any], dict[str, float]]:
    """Measure a trained model on the hardware of its run.

    Args:
        context: of the run.
        trained: the model.
        batch_size: samples of a training batch, for which latency is measured as for one sample.
        samples_per_second: speed of training over all ranks.

    Returns:
        The fields `latency_ms`, `flops_per_sample` and `mfu` of a record's cost, with a reason in
        `absent` for each missing value, and values for its field `meters`. `mfu` is the FLOP/s of
        training over the measured peak of all ranks (Chowdhery et al. 2022, appendix B). Peak and
        bandwidth are the limits of a roofline (Williams et al. 2009) of one rank's device; the
        bandwidth is measured only after a training that takes much longer.
    """
    synchronize, training = context.hardware.synchronize, context.clocks.read("training")
    fields = _measure_latencies(context, trained, batch_size)
    sample, absent = trained.load_first(context.dataset, "val", 1), fields["absent"]
    meters: dict[str, float] = {}
    flops = count_forward_flops(trained.model, sample)
    (absent if isinstance(flops, str) else fields)["flops_per_sample"] = flops
    training_flops = count_training_flops(trained.model, sample)
    peak = _unless_out_of_memory(lambda: trained.measure_peak_flops(synchronize, training))
    if peak is not None:
        meters["peak_gflops"] = peak / 1e9
        if training >= MIN_SECONDS_FOR_BANDWIDTH:
            bandwidth = _unless_out_of_memory(lambda: trained.measure_bandwidth(synchronize))
            if bandwidth is not None:
                meters["bandwidth_gb_s"] = bandwidth / 1e9
    if isinstance(training_flops, str):
        absent["mfu"] = "the FLOPs of training were not counted"
    else:
        meters["training_flops_per_sample"] = training_flops
        if peak is None:
            absent["mfu"] = NO_MEMORY
        else:
            peak_of_ranks = peak * context.dist.world_size
            fields["mfu"] = training_flops * samples_per_second / peak_of_ranks
    return fields, meters


def _measure_latencies(
    context: RunContext, trained: TrainedModel, batch_size: int
) -> dict[str, Any]:
    latency, absent = {}, {}
    for size in sorted({1, min(batch_size, context.dataset.size("val"))}):
        measure = partial(_measure_latency, context, trained, size)
        milliseconds = _unless_out_of_memory(measure)
        if milliseconds is None:
            absent[f"latency_ms.{size}"] = NO_MEMORY
        else:
            latency[str(size)] = compute_percentiles(milliseconds, 50, 95)
    return {"latency_ms": latency, "absent": absent}


def _measure_latency(context: RunContext, trained: TrainedModel, batch_size: int) -> list[float]:
    batch = trained.load_first(context.dataset, "val", batch_size)
    training = context.clocks.read("training")
    return measure_latency(trained.predict, batch, context.hardware.synchronize, training)


def _unless_out_of_memory(measure: Callable[[], Value]) -> Value | None:
    try:
        return measure()
    except Exception as error:
        if not is_out_of_memory(error):
            raise
        return None


def measure_latency(
    predict: Callable[[Batch], torch.Tensor],
    batch: Batch,
    synchronize: Callable[[], None],
    training: float,
) -> list[float]:
    """Return the milliseconds of single forward passes over `batch`, after a warm-up.

    Args:
        predict: the model in evaluation mode, on the device of `batch`.
        batch: the input of each pass.
        synchronize: waits until the device has finished all work.
        training: seconds of training; after a short one fewer readings are taken.
    """
    readings: list[float] = []
    with torch.inference_mode():
        for _ in range(WARM_UP):
            predict(batch)
        synchronize()
        start = now = time.perf_counter()
        while not _has_enough_readings(len(readings), now - start, training):
            predict(batch)
            synchronize()
            now, before = time.perf_counter(), now
            readings.append((now - before) * 1e3)
    return readings


def _has_enough_readings(readings: int, seconds: float, training: float) -> bool:
    if readings >= LATENCY_MAX_READINGS or seconds >= LATENCY_SECONDS:
        return True
    return readings >= LATENCY_MIN_READINGS and seconds >= LATENCY_SHARE * training


def compute_percentiles(values: list[float], *levels: int) -> dict[str, float]:
    """Return {"p50": …} for level 50, interpolated linearly between values (numpy.percentile)."""
    return {f"p{level}": float(np.percentile(values, level)) for level in levels}


def count_forward_flops(model: torch.nn.Module, batch: Batch) -> float | str:
    """Return the FLOPs of a forward pass per sample, or the reason why they are unknown.

    torch's `FlopCounterMode` counts matrix products and convolutions on a copy on the CPU; a
    multiply-add counts as two. It cannot count inside the LSTM kernels of oneDNN and cuDNN or
    inside fused attention, so these are switched off.
    """

    def run(copied: torch.nn.Module, moved: Batch) -> None:
        with torch.inference_mode():
            copied(moved)

    return _count_flops(model, batch, run)


def count_training_flops(model: Model, batch: Batch) -> float | str:
    """Return the FLOPs of a forward and backward pass per sample, or why they are unknown.

    They are counted as in `count_forward_flops`, in evaluation mode, because some layers cannot
    normalise a batch of one sample. The optimizer's elementwise operations are not counted.
    """

    def run(copied: Any, moved: Batch) -> None:
        copied.head.loss(copied(moved), moved).backward()

    return _count_flops(model, batch, run)


def _count_flops(
    model: torch.nn.Module, batch: Batch, run: Callable[[Any, Batch], None]
) -> float | str:
    model.zero_grad()  # so that no gradient is copied
    try:
        copied = copy.deepcopy(model).cpu().float()
        with (
            warnings.catch_warnings(action="ignore"),  # training has shown the same warnings
            torch.backends.mkldnn.flags(enabled=False),
            sdpa_kernel(SDPBackend.MATH),
            torch.compiler.set_stance("force_eager"),  # operations in compiled code are not counted
            FlopCounterMode(display=False) as counter,
        ):
            run(copied, _move_to_cpu(batch))
    except Exception as error:  # a model may need a GPU's kernels, or may not allow a copy
        return f"FLOPs cannot be counted on the CPU: {type(error).__name__}: {error}"
    total = counter.get_total_flops()
    return total / len(batch.x) if total else NO_FLOPS


def _move_to_cpu(batch: Batch) -> Batch:
    tensors = [None if t is None else t.cpu() for t in batch]
    floats = [t.float() if t is not None and t.is_floating_point() else t for t in tensors]
    return Batch(*floats)  # type: ignore[arg-type]
