"""Cells for tests of running and launching, made from the YAML files without Hydra."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from omegaconf import OmegaConf

from quintain.compose.cells import Cell, make_cell
from quintain.contracts import Batch, DataSpec, Split
from quintain.kit.dataset import InMemory

CONF = Path(__file__).parent.parent / "conf"


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
        self.taken: dict[str, list[int]] = {"train": [], "val": [], "test": []}

    def load(self) -> dict[Split, Batch]:
        splits: tuple[Split, ...] = ("train", "val", "test")
        return {s: self._cloud(n, i) for i, (s, n) in enumerate(zip(splits, self.sizes, strict=1))}

    def take(self, split: Split, indices: torch.Tensor) -> Batch:
        self.taken[split] += indices.tolist()
        return super().take(split, indices)

    @staticmethod
    def _cloud(size: int, seed: int) -> Batch:
        generator = torch.Generator().manual_seed(seed)
        y = torch.arange(size) % 2
        x = torch.randn(size, 1, 2, generator=generator) + (2 * y - 1)[:, None, None]
        return Batch(x, y)


def loaded(sizes: tuple[int, int, int] = (50, 13, 11)) -> Points:
    points = Points(sizes)
    points.setup("fit")
    return points


def node(group: str, name: str) -> dict[str, Any]:
    plain = OmegaConf.to_container(OmegaConf.load(CONF / group / f"{name}.yaml"))
    assert isinstance(plain, dict)
    return plain  # type: ignore[return-value]


def cell(
    dataset: str = "digits",
    model: str = "mlp",
    *,
    seed: int = 1,
    reference: str | None = None,
    target: str | None = None,
    plugins: Path | None = None,
    **settings: Any,
) -> Cell:
    """A small cell; `settings` such as `budget={"steps": 5}` are merged into the parts.

    `target` names a class of a plugin folder (`plugins`) instead of a built-in model.
    """
    whole = node("dataset", dataset)
    names = {"dataset": dataset, "model": model, "optimizer": "adamw", "budget": "tiny"}
    for default in whole["defaults"]:
        ((group, option),) = default.items()
        names[group.removeprefix("override /")] = option
    names["hardware"] = "cpu"
    config = {part: node(part, names[part]) for part in ("stem", "head", "hardware", "optimizer")}
    config["dataset"] = whole["dataset"]
    config["model"] = {"_target_": target} if target else node("model", model)
    config["budget"] = {
        "_target_": "quintain.run.budget.Budget",
        "params": None if target else 9000,
    }
    config["budget"] |= {"steps": 6, "batch_size": 8, "validations": 2}
    for part, changes in settings.items():
        config[part] = config[part] | changes
    made = make_cell(config, names, seed=seed, reference=reference)
    made.plugins[:] = [str(plugins)] if plugins else []
    return made


@contextmanager
def own_threads() -> Iterator[None]:
    """A run sets the number of torch's threads; give it back."""
    before = torch.get_num_threads()
    try:
        yield
    finally:
        torch.set_num_threads(before)
        torch.use_deterministic_algorithms(False)
