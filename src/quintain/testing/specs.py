"""Small examples of every kind of data, for checks that need no data set."""

from __future__ import annotations

from collections.abc import Sequence
from typing import get_args

import torch
from torch import Tensor

from quintain.contracts import Batch, DataSpec, Side, Split
from quintain.kit.dataset import InMemory
from quintain.kit.mask import keep, mask_of

SURPRISES = 0.2  # share of random tokens in made-up text
SPLITS: tuple[Split, ...] = get_args(Split)
WRITTEN = ("transcribe", "generate")  # tasks whose y is a sequence of its own
_CLASSES = ("a", "b", "c")

EXAMPLE_SPECS: tuple[DataSpec, ...] = (
    DataSpec(
        name="example_image", modality="image", task="classify", shape=(1, 8, 8), classes=_CLASSES
    ),
    DataSpec(
        name="example_video",
        modality="video",
        task="classify",
        shape=(6, 1, 8, 8),
        classes=_CLASSES,
    ),
    DataSpec(
        name="example_speech",
        modality="speech",
        task="classify",
        shape=(2000,),
        classes=_CLASSES,
        sample_rate=8000,
        ragged=True,
    ),
    DataSpec(
        name="example_transcripts",
        modality="speech",
        task="transcribe",
        shape=(2000,),
        sample_rate=8000,
        symbols=6,
        target_length=2,
        ragged=True,
    ),
    DataSpec(name="example_text", modality="text", task="next_token", shape=(16,), vocabulary=12),
    DataSpec(
        name="example_ragged_text",
        modality="text",
        task="next_token",
        shape=(16,),
        vocabulary=12,
        ragged=True,
    ),
    DataSpec(
        name="example_text_classes",
        modality="text",
        task="classify",
        shape=(16,),
        vocabulary=12,
        classes=_CLASSES,
        ragged=True,
    ),
    DataSpec(
        name="example_series",
        modality="series",
        task="forecast",
        shape=(24, 2),
        horizon=4,
        season=6,
    ),
    DataSpec(
        name="example_targets",
        modality="series",
        task="forecast",
        shape=(12, 3),
        horizon=2,
        targets=("a", "b"),
    ),
    DataSpec(
        name="example_regress",
        modality="video",
        task="regress",
        shape=(6, 1, 8, 8),
        targets=("angle",),
        ragged=True,
    ),
    DataSpec(
        name="example_translation",
        modality="text",
        task="generate",
        shape=(10,),
        vocabulary=12,
        symbols=9,
        target_length=7,
        ragged=True,
    ),
    DataSpec(
        name="example_caption",
        modality="image",
        task="generate",
        shape=(3, 8, 8),
        symbols=9,
        target_length=5,
    ),
    DataSpec(
        name="example_ragged_series",
        modality="series",
        task="classify",
        shape=(24, 2),
        classes=_CLASSES,
        ragged=True,
    ),
)
"""One for each modality and task, with and without padding."""


def fake_batch(spec: DataSpec, batch_size: int = 6, seed: int = 0) -> Batch:
    """Random samples as `spec` describes them; where ragged, of all lengths, the first the longest.

    Args:
        spec: what the samples should look like.
        batch_size: number of samples.
        seed: the same seed gives the same batch, whatever the global generator has done.
    """
    draw = torch.Generator(device="cpu").manual_seed(seed)
    lengths = _lengths(spec, batch_size, draw) if spec.ragged else None
    x = _inputs(spec, batch_size, draw)
    y = _targets(spec, x, draw)
    if lengths is not None:
        real_BT = mask_of(lengths, x.shape[1])
        x = keep(x, real_BT)
        y = keep(y, real_BT) if spec.task == "next_token" else y
    if spec.task not in WRITTEN:
        return Batch(x, y, lengths)
    y_lengths = torch.randint(1, spec.target_length + 1, (batch_size,), generator=draw)
    return Batch(x, keep(y, mask_of(y_lengths, y.shape[1])), lengths, y_lengths)


class ExampleDataset(InMemory):
    """Random samples of any spec: what a head's metrics may ask a dataset."""

    def load(self) -> dict[Split, Batch]:
        """A dozen samples a split."""
        return {split: fake_batch(self.spec, 12, seed) for seed, split in enumerate(SPLITS)}

    def text(self, tokens: Sequence[int], side: Side) -> str:
        """Letters of the alphabet and, every fifth, a space."""
        return "".join(" " if token % 5 == 4 else chr(ord("a") + token % 26) for token in tokens)


def _lengths(spec: DataSpec, batch_size: int, draw: torch.Generator) -> Tensor:
    longest = spec.shape[0]
    lengths = torch.randint(max(1, longest // 4), longest + 1, (batch_size,), generator=draw)
    lengths[0] = longest
    return lengths


def _inputs(spec: DataSpec, batch_size: int, draw: torch.Generator) -> Tensor:
    shape = (batch_size, *spec.shape)
    if spec.modality == "text":
        return _text(spec, batch_size, draw)
    if spec.modality == "series":
        return torch.randn(shape, generator=draw)
    values = torch.rand(shape, generator=draw)
    return 2 * values - 1 if spec.modality == "speech" else values


def _text(spec: DataSpec, batch_size: int, draw: torch.Generator) -> Tensor:
    """Tokens of which most follow from the one before, so that an honest model without any memory
    can learn something too; a fifth are drawn at random.
    """
    shape = (batch_size, *spec.shape)
    drawn_BT = torch.randint(spec.vocabulary, shape, generator=draw)
    free_BT = torch.rand(shape, generator=draw) < SURPRISES
    text_BT = drawn_BT.clone()
    for t in range(1, shape[1]):
        following_B = (5 * text_BT[:, t - 1] + 3) % spec.vocabulary
        text_BT[:, t] = torch.where(free_BT[:, t], drawn_BT[:, t], following_B)
    return text_BT


def _targets(spec: DataSpec, x: Tensor, draw: torch.Generator) -> Tensor:
    if spec.task == "classify":
        return torch.randint(len(spec.classes), (len(x),), generator=draw)
    if spec.task == "next_token":
        last_B1 = torch.randint(spec.vocabulary, (len(x), 1), generator=draw)
        return torch.cat([x[:, 1:], last_B1], dim=1)
    if spec.task in WRITTEN:
        shape = (len(x), spec.target_length)
        return torch.randint(spec.symbols, shape, generator=draw)
    if spec.task == "regress":
        return torch.randn(len(x), len(spec.targets), generator=draw)
    targets = len(spec.targets) or spec.shape[-1]
    return torch.randn(len(x), spec.horizon, targets, generator=draw)
