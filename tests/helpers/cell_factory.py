"""Cells for tests of running and launching, made from the YAML files without Hydra."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from omegaconf import OmegaConf

from helpers.paths import ROOT
from quintain.contracts import Batch, DataSpec, Split
from quintain.data.base import InMemory
from quintain.plan.cell import Cell, make_cell

CONF = ROOT / "conf"


class Points(InMemory):
    """Two clouds of points in two dimensions, as a series of one step: an easy problem."""

    def __init__(self, sizes: tuple[int, int, int] = (50, 13, 11)) -> None:
        classes = ("left", "right")
        super().__init__(
            DataSpec(
                name="points", modality="series", task="classify", shape=(1, 2), classes=classes
            )
        )
        self.sizes = sizes
        self.indices_read: dict[str, list[int]] = {"train": [], "val": [], "test": []}

    def load(self) -> dict[Split, Batch]:
        splits: tuple[Split, ...] = ("train", "val", "test")
        return {s: self._cloud(n, i) for i, (s, n) in enumerate(zip(splits, self.sizes, strict=1))}

    def batch(self, split: Split, indices: torch.Tensor) -> Batch:
        self.indices_read[split] += indices.tolist()
        return super().batch(split, indices)

    @staticmethod
    def _cloud(size: int, seed: int) -> Batch:
        generator = torch.Generator().manual_seed(seed)
        y = torch.arange(size) % 2
        x = torch.randn(size, 1, 2, generator=generator) + (2 * y - 1)[:, None, None]
        return Batch(x, y)


def load_points(sizes: tuple[int, int, int] = (50, 13, 11)) -> Points:
    """Return `Points` that are set up."""
    points = Points(sizes)
    points.setup("fit")
    return points


def load_option(group: str, name: str) -> dict[str, Any]:
    """Return the content of `conf/<group>/<name>.yaml`."""
    content = OmegaConf.to_container(OmegaConf.load(CONF / group / f"{name}.yaml"))
    assert isinstance(content, dict)
    return content  # type: ignore[return-value]


def resolve(config: dict[str, Any]) -> dict[str, Any]:
    """Resolve the interpolations of a configuration, such as `${oc.select:stem.channels,…}`."""
    content = OmegaConf.to_container(OmegaConf.create(config), resolve=True)
    assert isinstance(content, dict)
    return content  # type: ignore[return-value]


def build_cell(
    dataset: str = "digits",
    model: str = "mlp",
    *,
    seed: int = 1,
    baseline: str | None = None,
    target: str | None = None,
    plugins: Path | None = None,
    **settings: Any,
) -> Cell:
    """Return a small cell; `settings` such as `budget={"steps": 5}` are merged into the parts.

    `target` names a class of a plugin folder (`plugins`) instead of a built-in model.
    """
    option = load_option("dataset", dataset)
    names = {"dataset": dataset, "model": model, "optimizer": "adamw", "budget": "tiny"}
    for default in option["defaults"]:
        ((group, name),) = default.items()
        names[group.removeprefix("override /")] = name
    names["hardware"] = "cpu"
    parts = ("stem", "head", "hardware", "optimizer")
    config = {part: load_option(part, names[part]) for part in parts}
    config["dataset"] = option["dataset"]
    config["model"] = {"_target_": target} if target else load_option("model", model)
    config["budget"] = {
        "_target_": "quintain.run.budget.Budget",
        "params": None if target else 9000,
    }
    config["budget"] |= {"steps": 6, "batch_size": 8, "validations": 2}
    for part, values in settings.items():
        config[part] = config[part] | values
    cell = make_cell(resolve(config), names, seed=seed, baseline=baseline)
    cell.plugins[:] = [str(plugins)] if plugins else []
    return cell


@contextmanager
def restore_threads() -> Iterator[None]:
    """Restore torch's global settings, which a run changes."""
    threads = torch.get_num_threads()
    try:
        yield
    finally:
        torch.set_num_threads(threads)
        torch.use_deterministic_algorithms(False)
