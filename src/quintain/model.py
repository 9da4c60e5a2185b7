"""Builds dataset and model (stem ─► core ─► head) from a cell's configuration.

This module imports torch, so only runs and the last step of preflight import it.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, cast

import torch
from torch import nn

from quintain.compose.instantiate import accepts_setting, instantiate, locate
from quintain.nn.widths import SolvedWidth, count_parameters, solve_width

if TYPE_CHECKING:
    from quintain.contracts import Batch, Core, Dataset, DataSpec, Features, Head, Stem

Config = dict[str, dict[str, Any]]


class Model(nn.Module):
    """Stem, core and head in one module."""

    def __init__(self, stem: Stem, core: Core, head: Head) -> None:
        super().__init__()
        self.stem = stem
        self.core = core
        self.head = head

    def forward(self, batch: Batch) -> torch.Tensor:
        """Return the head's logits or values; their first dimension is the batch."""
        return self.head(*self._encode(batch), batch)

    def predict(self, batch: Batch) -> torch.Tensor:
        """Return the predictions that metrics compare; for most heads the output of `forward`."""
        return self.head.predict(*self._encode(batch), batch)

    def _encode(self, batch: Batch) -> tuple[torch.Tensor, torch.Tensor | None]:
        x, mask = self.core(*self.stem(batch.x, batch.lengths))
        return x, mask


def build_dataset(config: Config) -> Dataset:
    """Build the dataset of a cell; data are not downloaded or loaded yet."""
    return cast("Dataset", instantiate(config["dataset"]))


def build_stem(config: Config, spec: DataSpec, input_layout: str) -> Stem:
    """Build the stem of a cell; `input_layout` of the core is "grid" or "sequence"."""
    return cast("Stem", instantiate(config["stem"], spec, input_layout=input_layout))


def build_model(config: Config, spec: DataSpec, width: float | None) -> Model:
    """Build stem, core and head, each for the output features of the previous one.

    `width` is that of the core, None if its class has no such setting.
    """
    core_class: Any = locate(config["model"]["_target_"])
    head_class: Any = locate(config["head"]["_target_"])
    size = {} if width is None else {"width": width}
    stem = build_stem(config, spec, core_class.input_layout)

    def make_core(features: Features) -> Core:
        return cast("Core", instantiate(config["model"], features, **size))

    features = replace(stem.out, causal=head_class.causal, output_mode=head_class.output_mode)
    core = make_core(features)
    head = instantiate(config["head"], core.out, spec, make_core)
    return Model(stem, core, cast("Head", head))


def choose_width(config: Config, spec: DataSpec) -> SolvedWidth | None:
    """Return the core's width: `model.width` if it is set, else solved from `budget.params`.

    Return None if the core has no setting `width`.

    Raises:
        ValueError: neither is set, or `budget.params` is not positive.
    """
    if not accepts_setting(config["model"], "width"):
        return None
    target = config["budget"]["params"]
    width = config["model"].get("width")
    if width is not None:
        params, _ = count_parameters(build_on_meta_device(config, spec, float(width)))
        return SolvedWidth(width=float(width), params=params, target=target or 0)
    if target is None:
        raise ValueError(
            "give the model a width (model.width=64) or a budget (budget.params=50000)"
        )
    return solve_width(lambda width: build_model(config, spec, width), target)


def build_on_meta_device(config: Config, spec: DataSpec, width: float | None) -> Model:
    """Build a model without memory for its weights; arguments as in `build_model`."""
    with torch.device("meta"):
        return build_model(config, spec, width)


def check_transcripts(model: Model, dataset: Dataset | None) -> tuple[str, ...]:
    """Return the head's notes on samples that cannot be learned (transcribe).

    `dataset` is None if it has not read its files yet.

    Raises:
        ValueError: see `OptionalHeadAttributes.check_transcripts`.
    """
    check = getattr(model.head, "check_transcripts", None)
    if check is None:
        return ()
    read = getattr(dataset, "transcripts", None)
    return cast("tuple[str, ...]", check(model.stem, read() if read else None))


def get_main_score(config: Config, spec: DataSpec, width: float | None) -> tuple[str, str]:
    """Return name and direction of the score by which the best weights are selected."""
    score = build_on_meta_device(config, spec, width).head.scores[0]
    return score.name, score.direction
