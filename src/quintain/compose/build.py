"""From a cell's configuration to its dataset and its model: stem ─► core ─► head.

Imports torch; only preflight's last step and a run come here.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, cast

import torch
from torch import nn

from quintain.compose.bind import accepts, instantiate, locate
from quintain.kit.widths import Width, solve

if TYPE_CHECKING:
    from quintain.contracts import Batch, Core, Dataset, DataSpec, Features, Head, Stem

Config = dict[str, dict[str, Any]]


class Model(nn.Module):
    """Stem, core and head in one: a batch goes in, the head's prediction comes out."""

    def __init__(self, stem: Stem, core: Core, head: Head) -> None:
        super().__init__()
        self.stem = stem
        self.core = core
        self.head = head

    def forward(self, batch: Batch) -> torch.Tensor:
        """`Batch` → logits or values, B first."""
        return self.head(*self._read(batch), batch)

    def answer(self, batch: Batch) -> torch.Tensor:
        """`Batch` → what is scored: for most heads the same."""
        return self.head.answer(*self._read(batch), batch)

    def _read(self, batch: Batch) -> tuple[torch.Tensor, torch.Tensor | None]:
        x, mask = self.core(*self.stem(batch.x, batch.lengths))
        return x, mask


def build_dataset(config: Config) -> Dataset:
    """The dataset of a cell; nothing is downloaded or loaded yet."""
    return cast("Dataset", instantiate(config["dataset"]))


def build_stem(config: Config, spec: DataSpec, reads: str) -> Stem:
    """The stem of a cell, presenting the data as a "grid" or a "sequence"."""
    return cast("Stem", instantiate(config["stem"], spec, reads=reads))


def build_model(config: Config, spec: DataSpec, width: float | None) -> Model:
    """Stem, core and head, each from what the part before puts out.

    Args:
        width: of the core; None where its class has no such setting.
    """
    core_class, head_class = (locate(config[part]["_target_"]) for part in ("model", "head"))
    size = {} if width is None else {"width": width}
    stem = build_stem(config, spec, cast(Any, core_class).reads)

    def make_core(features: Features) -> Core:
        return cast("Core", instantiate(config["model"], features, **size))

    head_type = cast("type[Head]", head_class)
    core = make_core(replace(stem.out, causal=head_type.causal, asks=head_type.asks))
    head = instantiate(config["head"], core.out, spec, make_core)
    return Model(stem, core, cast("Head", head))


def choose_width(config: Config, spec: DataSpec) -> Width | None:
    """The core's width: as its configuration says, else solved from `budget.params`.

    None where the core has no `width`: its size is its own, and the record says what came out.
    """
    if not accepts(config["model"], "width"):
        return None
    asked = config["budget"]["params"]
    stated = config["model"].get("width")
    if stated is not None:
        with torch.device("meta"):
            model = build_model(config, spec, float(stated))
        return Width(width=float(stated), params=count_budgeted(model), target=asked or 0)
    if asked is None:
        raise ValueError(
            "give the model a width (model.width=64) or a budget (budget.params=50000)"
        )
    return solve(lambda width: build_model(config, spec, width), asked)


def main_score(config: Config, spec: DataSpec, width: float | None) -> tuple[str, str]:
    """Name and direction of the score that chooses the weights."""
    with torch.device("meta"):
        score = build_model(config, spec, width).head.scores[0]
    return score.name, score.direction


def count_budgeted(model: nn.Module) -> int:
    """Trainable parameters that count towards a budget: all but embedding tables."""
    from quintain.kit.widths import count

    return count(model)[0]
