"""Build a model from the classes of its stem, core and head, without configuration."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import torch

from quintain.contracts import Core, DataSpec, Features, Head, Stem
from quintain.model import Model


def build_from_classes(
    stem: Callable[..., Stem],
    core: Callable[..., Core],
    head: Callable[..., Head],
    spec: DataSpec,
    *,
    width: float = 16.0,
) -> Model:
    """Build a model from classes, or from `functools.partial`s of classes with settings."""

    def make_core(features: Features) -> Core:
        return core(features, width=width)

    core_class, head_class = _get_class(core), _get_class(head)
    stem_module = stem(spec, input_layout=core_class.input_layout)
    features = replace(
        stem_module.out, causal=head_class.causal, output_mode=head_class.output_mode
    )
    core_module = make_core(features)
    return Model(stem_module, core_module, head(core_module.out, spec, make_core))


def build_seeded(make: Callable[[], Model], seed: int = 0) -> Model:
    """Build a model whose weights depend only on the seed; the global generator is restored."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return make()


def _get_class(factory: Any) -> Any:
    return getattr(factory, "func", factory)
