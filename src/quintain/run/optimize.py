"""How weights are updated: one recipe, the same for every model unless its YAML says otherwise."""

from __future__ import annotations

import inspect
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, get_args

from quintain.compose.errors import nearest

if TYPE_CHECKING:
    from torch import Tensor, nn
    from torch.optim import Optimizer

Schedule = Literal["cosine", "constant"]
UNFIT = ("Optimizer", "LBFGS", "SparseAdam")  # the base, a closure a step, sparse gradients only


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """An optimizer of `torch.optim`, a schedule and a limit on the gradient's norm.

    Attributes:
        optimizer: class name in `torch.optim`.
        lr: highest learning rate.
        weight_decay: on matrices only; biases, gains and embedding tables are left alone.
        clip_norm: largest gradient norm; None: no limit.
        warmup: share of the steps over which the rate rises linearly.
        schedule: "cosine" falls to `min_lr` at the last step (Loshchilov & Hutter 2017, eq. 5).
        min_lr: where the cosine ends.
        betas: of an optimizer that has them (Adam and its kin); None: torch's own defaults.
    """

    optimizer: str = "AdamW"
    lr: float = 3e-3
    weight_decay: float = 0.01
    clip_norm: float | None = 1.0
    warmup: float = 0.1
    schedule: Schedule = "cosine"
    min_lr: float = 0.0
    betas: tuple[float, float] | None = None

    def __post_init__(self) -> None:
        wrong = []
        if self.optimizer not in (known := _optimizers()):
            wrong.append(f"torch.optim has no {self.optimizer}{nearest(self.optimizer, known)}")
        if not 0 < self.lr < math.inf:
            wrong.append(f"lr must be above 0, came {self.lr}")
        if not 0 <= self.weight_decay < math.inf:
            wrong.append(f"weight_decay must be 0 or above, came {self.weight_decay}")
        if self.schedule not in get_args(Schedule):
            wrong.append(f"schedule must be cosine or constant, came {self.schedule!r}")
        if not 0 <= self.warmup < 1:
            wrong.append(f"warmup must be in [0, 1), came {self.warmup}")
        if self.clip_norm is not None and not self.clip_norm > 0:
            wrong.append(f"clip_norm must be above 0 or null, came {self.clip_norm}")
        if not (0 <= self.min_lr <= self.lr or math.isnan(self.lr)):
            wrong.append(f"min_lr must be from 0 to lr, {self.lr}, came {self.min_lr}")
        wrong += _wrong_betas(self.betas, known.get(self.optimizer))
        if wrong:
            raise ValueError("; ".join(wrong))

    def build(self, module: nn.Module) -> Optimizer:
        """The optimizer over a module's trainable parameters; fused where torch offers it."""
        kind = _optimizers()[self.optimizer]
        fused = {"fused": True} if self.optimizer in ("Adam", "AdamW", "SGD") else {}
        betas = {} if self.betas is None else {"betas": tuple(self.betas)}
        optimizer: Optimizer = kind(self._groups(module), lr=self.lr, **fused, **betas)
        return optimizer

    def rate(self, step: int, steps: int) -> float:
        """Learning rate of step `step` (from 0) of `steps`."""
        rising = max(1, round(self.warmup * steps))
        if step < rising:
            return self.lr * (step + 1) / rising
        if self.schedule == "constant":
            return self.lr
        progress = (step - rising) / max(1, steps - rising)
        return self.min_lr + (self.lr - self.min_lr) * 0.5 * (1 + math.cos(math.pi * progress))

    def _groups(self, module: nn.Module) -> list[dict[str, object]]:
        from torch import nn

        tables = {id(m.weight) for m in module.modules() if isinstance(m, nn.Embedding)}
        trained = [p for p in module.parameters() if p.requires_grad]
        decayed = [p for p in trained if p.ndim > 1 and id(p) not in tables]
        kept = _others(trained, decayed)
        groups = [(decayed, self.weight_decay), (kept, 0.0)]
        return [{"params": ps, "weight_decay": decay} for ps, decay in groups if ps]


def _wrong_betas(betas: Sequence[float] | None, kind: type | None) -> list[str]:
    if betas is None:
        return []
    if kind is not None and "betas" not in inspect.signature(kind).parameters:
        return [f"betas must be null for {kind.__name__}, which has none, came {list(betas)}"]
    if len(betas) != 2 or not all(0 <= beta < 1 for beta in betas):
        return [f"betas must be two numbers in [0, 1), came {list(betas)}"]
    return []


def _optimizers() -> dict[str, Any]:
    import torch

    found = {n: c for n, c in vars(torch.optim).items() if isinstance(c, type)}
    return {name: kind for name, kind in found.items() if name not in UNFIT}


def _others(parameters: Iterable[Tensor], chosen: Iterable[Tensor]) -> list[Tensor]:
    taken = {id(p) for p in chosen}
    return [p for p in parameters if id(p) not in taken]
