"""Small random examples of every modality and task, for checks that need no real data."""

from __future__ import annotations

from collections.abc import Sequence
from typing import get_args

import torch
from torch import Tensor

from quintain.contracts import Batch, DataSpec, Side, Split
from quintain.data.base import InMemory
from quintain.nn.mask import length_mask, mask_fill

RANDOM_SHARE = 0.2  # fraction of random tokens in example text
SPLITS: tuple[Split, ...] = get_args(Split)
SYMBOL_TASKS = ("transcribe", "generate")
"""Tasks whose y is a sequence of symbols with `y_lengths`."""
_CLASSES = ("a", "b", "c")

EXAMPLE_SPECS: tuple[DataSpec, ...] = (
    DataSpec(name="example_image", modality="image", task="classify", shape=(1, 8, 8),
             classes=_CLASSES),
    DataSpec(name="example_video", modality="video", task="classify", shape=(6, 1, 8, 8),
             classes=_CLASSES),
    DataSpec(name="example_speech", modality="speech", task="classify", shape=(2000,),
             classes=_CLASSES, sample_rate=8000, ragged=True),
    DataSpec(name="example_transcripts", modality="speech", task="transcribe", shape=(2000,),
             sample_rate=8000, symbols=6, target_length=2, ragged=True),
    DataSpec(name="example_text", modality="text", task="next_token", shape=(16,), vocabulary=12),
    DataSpec(name="example_ragged_text", modality="text", task="next_token", shape=(16,),
             vocabulary=12, ragged=True),
    DataSpec(name="example_text_classes", modality="text", task="classify", shape=(16,),
             vocabulary=12, classes=_CLASSES, ragged=True),
    DataSpec(name="example_series", modality="series", task="forecast", shape=(24, 2), horizon=4,
             season=6),
    DataSpec(name="example_targets", modality="series", task="forecast", shape=(12, 3), horizon=2,
             targets=("a", "b")),
    DataSpec(name="example_multilabel", modality="text", task="multilabel", shape=(16,),
             vocabulary=12, classes=_CLASSES, ragged=True),
    DataSpec(name="example_regress", modality="video", task="regress", shape=(6, 1, 8, 8),
             targets=("angle",), ragged=True),
    DataSpec(name="example_translation", modality="text", task="generate", shape=(10,),
             vocabulary=12, symbols=9, target_length=7, ragged=True),
    DataSpec(name="example_caption", modality="image", task="generate", shape=(3, 8, 8), symbols=9,
             target_length=5),
    DataSpec(name="example_ragged_series", modality="series", task="classify", shape=(24, 2),
             classes=_CLASSES, ragged=True),
)  # fmt: skip
"""An example of each modality and task, with and without padding."""


def fake_batch(spec: DataSpec, batch_size: int = 6, seed: int = 0) -> Batch:
    """Return random samples that match `spec`; the global random generator is not used.

    Ragged samples have random lengths; the first one has the largest.
    """
    generator = torch.Generator(device="cpu").manual_seed(seed)
    lengths = _draw_lengths(spec, batch_size, generator) if spec.ragged else None
    x = _draw_inputs(spec, batch_size, generator)
    y = _draw_targets(spec, x, generator)
    if lengths is not None:
        mask_BT = length_mask(lengths, x.shape[1])
        x = mask_fill(x, mask_BT)
        y = mask_fill(y, mask_BT) if spec.task == "next_token" else y
    if spec.task not in SYMBOL_TASKS:
        return Batch(x, y, lengths)
    y_lengths = torch.randint(1, spec.target_length + 1, (batch_size,), generator=generator)
    return Batch(x, mask_fill(y, length_mask(y_lengths, y.shape[1])), lengths, y_lengths)


class ExampleDataset(InMemory):
    """A dataset of random samples of any spec."""

    def load(self) -> dict[Split, Batch]:
        return {split: fake_batch(self.spec, 12, seed) for seed, split in enumerate(SPLITS)}

    def decode(self, tokens: Sequence[int], side: Side) -> str:
        """Return letters of the alphabet; every fifth token is a space."""
        return "".join(" " if token % 5 == 4 else chr(ord("a") + token % 26) for token in tokens)


def _draw_lengths(spec: DataSpec, batch_size: int, generator: torch.Generator) -> Tensor:
    longest = spec.shape[0]
    shortest = max(1, longest // 4)
    lengths = torch.randint(shortest, longest + 1, (batch_size,), generator=generator)
    lengths[0] = longest
    return lengths


def _draw_inputs(spec: DataSpec, batch_size: int, generator: torch.Generator) -> Tensor:
    shape = (batch_size, *spec.shape)
    if spec.modality == "text":
        return _draw_text(spec, batch_size, generator)
    if spec.modality == "series":
        return torch.randn(shape, generator=generator)
    values = torch.rand(shape, generator=generator)
    return 2 * values - 1 if spec.modality == "speech" else values


def _draw_text(spec: DataSpec, batch_size: int, generator: torch.Generator) -> Tensor:
    """Draw tokens; a fifth is random, the others depend only on the token before.

    So a model without memory can learn to predict them too.
    """
    shape = (batch_size, *spec.shape)
    random_BT = torch.randint(spec.vocabulary, shape, generator=generator)
    is_random_BT = torch.rand(shape, generator=generator) < RANDOM_SHARE
    text_BT = random_BT.clone()
    for t in range(1, shape[1]):
        next_B = (5 * text_BT[:, t - 1] + 3) % spec.vocabulary
        text_BT[:, t] = torch.where(is_random_BT[:, t], random_BT[:, t], next_B)
    return text_BT


def _draw_targets(spec: DataSpec, x: Tensor, generator: torch.Generator) -> Tensor:
    if spec.task == "classify":
        return torch.randint(len(spec.classes), (len(x),), generator=generator)
    if spec.task == "multilabel":
        return torch.randint(2, (len(x), len(spec.classes)), generator=generator).float()
    if spec.task == "next_token":
        last_B1 = torch.randint(spec.vocabulary, (len(x), 1), generator=generator)
        return torch.cat([x[:, 1:], last_B1], dim=1)
    if spec.task in SYMBOL_TASKS:
        return torch.randint(spec.symbols, (len(x), spec.target_length), generator=generator)
    targets = len(spec.targets) or spec.shape[-1]
    shape = (len(x), targets) if spec.task == "regress" else (len(x), spec.horizon, targets)
    return torch.randn(shape, generator=generator)
