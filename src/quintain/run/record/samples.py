"""Writes a few test samples of a run: inputs, true targets and predictions.

samples/<key>/samples.json    a list of {"index", "truth", "prediction", …, "input": {"kind", …}}
samples/<key>/0.png, 0.wav    the images, rows of frames, log-mels and recordings named in the JSON

Legend: B batch size, T steps, C channels, H height, W width, N audio samples.
"""

from __future__ import annotations

import json
import os
import shutil
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from quintain.contracts import Batch, Dataset, DataSpec, Head, Json, Stem

if TYPE_CHECKING:
    from PIL.Image import Image

COUNT = 4
FRAMES = 12  # frames shown of a video
MIN_RANGE = 1e-12  # smallest range of values of a log-mel, against division by zero


def save_samples(
    folder: Path | None,
    dataset: Dataset,
    head: Head,
    stem: Stem,
    predict: Callable[[Batch], Tensor],
) -> None:
    """Write evenly spaced test samples into a new folder atomically; None: write nothing.

    An error is only printed, because the measurements of the run must not be lost.
    """
    if folder is None:
        return
    temporary = folder.with_name(f".{folder.name}.part")
    try:
        shutil.rmtree(temporary, ignore_errors=True)
        temporary.mkdir(parents=True)
        try:
            _write(temporary, dataset, head, stem, predict)
            shutil.rmtree(folder, ignore_errors=True)
            os.replace(temporary, folder)
        finally:
            shutil.rmtree(temporary, ignore_errors=True)
    except Exception as error:
        traceback.print_exception(error)


def _write(
    folder: Path,
    dataset: Dataset,
    head: Head,
    stem: Stem,
    predict: Callable[[Batch], Tensor],
) -> None:
    size = dataset.size("test")
    indices = torch.linspace(0, size - 1, min(COUNT, size)).long()
    batch = dataset.batch("test", indices)
    with torch.inference_mode():
        descriptions = head.samples(predict(batch).cpu(), batch, dataset)
    rows = []
    for k, (index, description) in enumerate(zip(indices.tolist(), descriptions, strict=True)):
        model_input = _write_input(folder, k, batch, dataset, stem)
        rows.append({"index": index, **description, "input": model_input})
    text = json.dumps(rows, ensure_ascii=False, allow_nan=False)
    (folder / "samples.json").write_text(text, encoding="utf-8")


def _write_input(folder: Path, k: int, batch: Batch, dataset: Dataset, stem: Stem) -> Json:
    """Write the input of sample k of a batch without padding, and return its description."""
    spec = dataset.spec
    x = batch.x[k] if batch.lengths is None else batch.x[k, : int(batch.lengths[k])]
    if spec.modality == "text":
        return {"kind": "text", "text": dataset.decode(x.tolist(), "x")}
    if spec.modality == "series":
        return {"kind": "series", "values": _list_values(x, spec, dataset)}
    if spec.modality == "speech":
        return _write_recording(folder, k, x, spec, stem)
    image = x if spec.modality == "image" else _join_frames(x)
    _to_image(image).save(folder / f"{k}.png")
    return {"kind": spec.modality, "file": f"{k}.png"}


def _list_values(x: Tensor, spec: DataSpec, dataset: Dataset) -> Any:
    """Return a series (T, C) as lists; for a forecast only its target channels, not scaled."""
    if spec.task != "forecast":
        return x.tolist()
    targets = x[:, : len(spec.targets)] if spec.targets else x
    return dataset.inverse_transform(targets).tolist()


def _write_recording(folder: Path, k: int, x: Tensor, spec: DataSpec, stem: Stem) -> Json:
    """Write a recording (N,), and its log-mel if the stem computes one."""
    import soundfile

    soundfile.write(folder / f"{k}.wav", x.numpy(), spec.sample_rate, subtype="PCM_16")
    description = {"kind": "speech", "file": f"{k}.wav"}
    features, _ = stem(x[None].to(_find_device(stem)), None)
    frames = features[0].squeeze(-1).cpu()  # (T, mels), low frequencies first
    if frames.dim() == 2:
        _to_image(_scale_to_unit(frames.T.flip(0)[None])).save(folder / f"{k}.png")
        description["log_mel"] = f"{k}.png"
    return description


def _find_device(stem: Stem) -> torch.device:
    tensors = [*stem.parameters(), *stem.buffers()] if isinstance(stem, torch.nn.Module) else []
    return next((t.device for t in tensors), torch.device("cpu"))


def _join_frames(x: Tensor) -> Tensor:
    """Return evenly spaced frames of a video (T, C, H, W) side by side, (C, H, frames · W)."""
    frames = torch.linspace(0, len(x) - 1, min(FRAMES, len(x))).long()
    return torch.cat([*x[frames]], dim=-1)


def _scale_to_unit(x: Tensor) -> Tensor:
    """Scale values to [0, 1]."""
    low, high = x.min(), x.max()
    return (x - low) / (high - low).clamp(min=MIN_RANGE)


def _to_image(x: Tensor) -> Image:
    """Convert (C, H, W), uint8 or floats in [0, 1], to an image.

    It is in colour for 3 or 4 channels; otherwise it shows channel 0 in grey.
    """
    from PIL import Image

    pixels = x if x.dtype == torch.uint8 else (x.clamp(0, 1) * 255).round().byte()
    if len(pixels) not in (3, 4):
        return Image.fromarray(pixels[0].contiguous().numpy())
    return Image.fromarray(pixels.movedim(0, -1).contiguous().numpy())
