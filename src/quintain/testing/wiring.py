"""The least that makes a model of three parts: what the checks call, and how to build one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any, Protocol, cast

import torch
from torch import Tensor, nn

from quintain.contracts import Batch, DataSpec, Features


class Whole(Protocol):
    """A module with a stem, a core and a head; called with a batch, it gives the prediction."""

    @property
    def stem(self) -> Any: ...

    @property
    def core(self) -> Any: ...

    @property
    def head(self) -> Any: ...

    def __call__(self, batch: Batch) -> Tensor: ...

    def answer(self, batch: Batch) -> Tensor: ...


class Wired(nn.Module):
    """Stem, core and head in a row."""

    def __init__(self, stem: nn.Module, core: nn.Module, head: nn.Module) -> None:
        super().__init__()
        self.stem, self.core, self.head = stem, core, head

    def forward(self, batch: Batch) -> Tensor:
        """`Batch` → the head's prediction, B first."""
        return cast(Tensor, self.head(*self._read(batch), batch))

    def answer(self, batch: Batch) -> Tensor:
        """`Batch` → what the head scores, B first."""
        return cast(Tensor, cast(Any, self.head).answer(*self._read(batch), batch))

    def _read(self, batch: Batch) -> tuple[Tensor, Tensor | None]:
        x, mask = self.stem(batch.x, batch.lengths)
        x, mask = self.core(x, mask)
        return x, mask


def build(
    stem: Callable[..., nn.Module],
    core: Callable[..., nn.Module],
    head: Callable[..., nn.Module],
    spec: DataSpec,
    *,
    width: float = 16.0,
) -> Wired:
    """Builds each part from what the part before puts out.

    Args:
        stem, core, head: classes, or `functools.partial`s of classes with settings.
        spec: the data.
        width: of the core.
    """

    def make_core(features: Features) -> nn.Module:
        return core(features, width=width)

    core_class, head_class = _class_of(core), _class_of(head)
    eyes = stem(spec, reads=core_class.reads)
    seen = cast(Any, eyes).out
    body = make_core(replace(seen, causal=head_class.causal, asks=head_class.asks))
    return Wired(eyes, body, head(cast(Any, body).out, spec, make_core))


def module(whole: Whole) -> nn.Module:
    """The same object, known to be a module."""
    assert isinstance(whole, nn.Module), f"expected a torch.nn.Module, got {type(whole).__name__}"
    return whole


def seeded(make: Callable[[], Whole], seed: int = 0) -> Whole:
    """A fresh model whose weights depend on the seed alone; the global generator is left alone."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return make()


def _class_of(maker: Any) -> Any:
    return getattr(maker, "func", maker)
