"""A few test samples kept beside the record: what came in, what was right, what was said.

samples/<key>/samples.json    a list of {"index", "truth", "prediction", …, "input": {"kind", …}}
samples/<key>/0.png, 0.wav    pictures, strips of frames, log-mels and sounds that it names

Legend: B batch, T steps, C channels, H height, W width, N samples of sound.
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
FRAMES = 12  # of a clip, evenly spaced, side by side
FLOOR = 1e-12  # a picture of one grey level has no range to stretch


def keep_samples(
    folder: Path | None,
    dataset: Dataset,
    head: Head,
    stem: Stem,
    answer: Callable[[Batch], Tensor],
) -> None:
    """Write evenly spaced test samples into `folder`, which is there whole or not at all.

    None keeps nothing. What goes wrong is printed: the measurements must not be lost for a picture.
    """
    if folder is None:
        return
    try:
        part = folder.with_name(f".{folder.name}.part")
        shutil.rmtree(part, ignore_errors=True)
        part.mkdir(parents=True)
        try:
            _write(part, dataset, head, stem, answer)
            shutil.rmtree(folder, ignore_errors=True)
            os.replace(part, folder)
        finally:
            shutil.rmtree(part, ignore_errors=True)
    except Exception as error:
        traceback.print_exception(error)


def _write(
    part: Path,
    dataset: Dataset,
    head: Head,
    stem: Stem,
    answer: Callable[[Batch], Tensor],
) -> None:
    size = dataset.size("test")
    indices = torch.linspace(0, size - 1, min(COUNT, size)).long()
    batch = dataset.take("test", indices)
    with torch.inference_mode():
        shown = head.samples(answer(batch).cpu(), batch, dataset)
    rows = []
    for k, (index, said) in enumerate(zip(indices.tolist(), shown, strict=True)):
        rows.append({"index": index, **said, "input": _input(part, k, batch, dataset, stem)})
    words = json.dumps(rows, ensure_ascii=False, allow_nan=False)
    (part / "samples.json").write_text(words, encoding="utf-8")


def _input(part: Path, k: int, batch: Batch, dataset: Dataset, stem: Stem) -> Json:
    """What the model saw of sample k, its padding left out."""
    spec = dataset.spec
    x = batch.x[k] if batch.lengths is None else batch.x[k, : int(batch.lengths[k])]
    if spec.modality == "text":
        return {"kind": "text", "text": dataset.text(x.tolist(), "x")}
    if spec.modality == "series":
        return {"kind": "series", "values": _values(x, spec, dataset)}
    if spec.modality == "speech":
        return _sound(part, k, x, spec, stem)
    picture = x if spec.modality == "image" else _strip(x)
    _picture(picture).save(part / f"{k}.png")
    return {"kind": spec.modality, "file": f"{k}.png"}


def _values(x: Tensor, spec: DataSpec, dataset: Dataset) -> Any:
    """(T, C); of a forecast the targets' past, in their own units."""
    if spec.task != "forecast":
        return x.tolist()
    return dataset.restore(x[:, : len(spec.targets) or None]).tolist()


def _sound(part: Path, k: int, x: Tensor, spec: DataSpec, stem: Stem) -> Json:
    import soundfile

    soundfile.write(part / f"{k}.wav", x.numpy(), spec.sample_rate, subtype="PCM_16")
    features, _ = stem(x[None].to(_device(stem)), None)
    frames = features[0].squeeze(-1).cpu()  # (T, mels), low frequencies first
    if frames.dim() == 2:
        _picture(_stretched(frames.T.flip(0)[None])).save(part / f"{k}.png")
        return {"kind": "speech", "file": f"{k}.wav", "log_mel": f"{k}.png"}
    return {"kind": "speech", "file": f"{k}.wav"}


def _device(stem: Stem) -> torch.device:
    tensors = [*stem.parameters(), *stem.buffers()] if isinstance(stem, torch.nn.Module) else []
    return next((t.device for t in tensors), torch.device("cpu"))


def _strip(x: Tensor) -> Tensor:
    """(T, C, H, W) → some of its frames side by side, (C, H, frames · W)."""
    chosen = torch.linspace(0, len(x) - 1, min(FRAMES, len(x))).long()
    return torch.cat([*x[chosen]], dim=-1)


def _stretched(x: Tensor) -> Tensor:
    """Any values → [0, 1]."""
    low, high = x.min(), x.max()
    return (x - low) / (high - low).clamp(min=FLOOR)


def _picture(x: Tensor) -> Image:
    """(C, H, W), bytes or [0, 1] → a picture, of the first channel unless there are 3 or 4."""
    from PIL import Image

    pixels = x if x.dtype == torch.uint8 else (x.clamp(0, 1) * 255).round().byte()
    if len(pixels) not in (3, 4):
        return Image.fromarray(pixels[0].contiguous().numpy())
    return Image.fromarray(pixels.movedim(0, -1).contiguous().numpy())
