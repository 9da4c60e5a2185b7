"""The optimizer, its learning-rate schedule and gradient clipping: the `optimizer` config group."""

from __future__ import annotations

import inspect
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, get_args

from quintain.errors import nearest

if TYPE_CHECKING:
    from torch import nn
    from torch.optim import Optimizer

Schedule = Literal["cosine", "constant"]
UNUSABLE = (
    "Optimizer",  # the base class
    "LBFGS",  # needs a closure
    "SparseAdam",  # for sparse gradients only
)


@dataclass(frozen=True, kw_only=True)
class OptimizerConfig:
    """Settings of the optimizer.

    They are equal for all models, except those whose YAML overrides them.

    Attributes:
        optimizer: name of a class in `torch.optim`.
        lr: highest learning rate.
        weight_decay: applied to weight matrices, not to biases, norm weights and embedding tables.
        clip_norm: largest norm of the gradient; None: no limit.
        warmup: share of the steps over which the learning rate rises linearly.
        schedule: "cosine" falls to `min_lr` at the last step (Loshchilov & Hutter 2017, eq. 5).
        min_lr: learning rate at the end of the cosine schedule.
        betas: decay rates of Adam and similar optimizers; None: torch's defaults.

    Raises:
        ValueError: all settings that are out of range, in one message.
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
        problems = []
        if self.optimizer not in (known := _list_optimizers()):
            problems.append(f"torch.optim has no {self.optimizer}{nearest(self.optimizer, known)}")
        if not 0 < self.lr < math.inf:
            problems.append(f"lr must be above 0, got {self.lr}")
        if not 0 <= self.weight_decay < math.inf:
            problems.append(f"weight_decay must be 0 or above, got {self.weight_decay}")
        if self.schedule not in get_args(Schedule):
            problems.append(f"schedule must be cosine or constant, got {self.schedule!r}")
        if not 0 <= self.warmup < 1:
            problems.append(f"warmup must be in [0, 1), got {self.warmup}")
        if self.clip_norm is not None and not self.clip_norm > 0:
            problems.append(f"clip_norm must be above 0 or null, got {self.clip_norm}")
        if not (0 <= self.min_lr <= self.lr or math.isnan(self.lr)):  # NaN is reported above
            problems.append(f"min_lr must be from 0 to lr, {self.lr}, got {self.min_lr}")
        problems += _check_betas(self.betas, known.get(self.optimizer))
        if problems:
            raise ValueError("; ".join(problems))

    def build(self, module: nn.Module) -> Optimizer:
        """Return the optimizer of a module's trainable parameters; it is fused where possible."""
        fused = {"fused": True} if self.optimizer in ("Adam", "AdamW", "SGD") else {}
        betas = {} if self.betas is None else {"betas": tuple(self.betas)}
        optimizer_class = _list_optimizers()[self.optimizer]
        optimizer: Optimizer = optimizer_class(
            self._group_parameters(module), lr=self.lr, **fused, **betas
        )
        return optimizer

    def learning_rate(self, step: int, steps: int) -> float:
        """Return the learning rate of optimizer step `step` (from 0) of `steps` steps."""
        warmup_steps = max(1, round(self.warmup * steps))
        if step < warmup_steps:
            return self.lr * (step + 1) / warmup_steps
        if self.schedule == "constant":
            return self.lr
        progress = (step - warmup_steps) / max(1, steps - warmup_steps)
        return self.min_lr + (self.lr - self.min_lr) * 0.5 * (1 + math.cos(math.pi * progress))

    def _group_parameters(self, module: nn.Module) -> list[dict[str, object]]:
        """Return parameter groups of `torch.optim`: one with weight decay and one without."""
        from torch import nn

        tables = {id(m.weight) for m in module.modules() if isinstance(m, nn.Embedding)}
        decayed: list[nn.Parameter] = []
        not_decayed: list[nn.Parameter] = []
        for parameter in module.parameters():
            if parameter.requires_grad:
                is_decayed = parameter.ndim > 1 and id(parameter) not in tables
                (decayed if is_decayed else not_decayed).append(parameter)
        groups = [(decayed, self.weight_decay), (not_decayed, 0.0)]
        return [{"params": ps, "weight_decay": decay} for ps, decay in groups if ps]


def _check_betas(betas: Sequence[float] | None, optimizer_class: type | None) -> list[str]:
    if betas is None:
        return []
    if optimizer_class and "betas" not in inspect.signature(optimizer_class).parameters:
        name = optimizer_class.__name__
        return [f"betas must be null for {name}, which does not use them, got {list(betas)}"]
    if len(betas) != 2 or not all(0 <= beta < 1 for beta in betas):
        return [f"betas must be two numbers in [0, 1), got {list(betas)}"]
    return []


def _list_optimizers() -> dict[str, Any]:
    """Return the classes of `torch.optim` that can train a model here, by name."""
    import torch

    classes = {n: c for n, c in vars(torch.optim).items() if isinstance(c, type)}
    return {name: value for name, value in classes.items() if name not in UNUSABLE}
