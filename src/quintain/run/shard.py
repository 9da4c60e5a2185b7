"""A model spread over the ranks: weights, gradients and optimizer state (FSDP2, `fully_shard`).

Zhao et al. 2023, "PyTorch FSDP". Each block of a list of blocks is gathered when it computes, and
let go; what is evaluated is a whole copy, so that ranks may have uneven shares of a split.
torch's part is imported where it is used: other runs need not wait for it.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn


def shard(model: nn.Module, accelerator: str, world: int) -> None:
    """Spread a model, equal on all ranks, over them; in place."""
    from torch.distributed.device_mesh import init_device_mesh
    from torch.distributed.fsdp import fully_shard

    mesh = init_device_mesh(accelerator, (world,))
    for block in _blocks(model):
        fully_shard(block, mesh=mesh)
    fully_shard(model, mesh=mesh)


@torch.no_grad()
def gather(model: nn.Module, into: nn.Module) -> None:
    """Copy the weights of a model that is spread into a whole one; all ranks call it."""
    to = into.state_dict()
    for name, value in model.state_dict().items():
        to[name].copy_(whole(value))


def whole(value: Tensor) -> Tensor:
    """The tensor itself, put together where it is spread over the ranks."""
    from torch.distributed.tensor import DTensor

    return value.full_tensor() if isinstance(value, DTensor) else value


def _blocks(model: nn.Module) -> list[nn.Module]:
    """The members of all lists of layers, which compute one after the other."""
    lists = [part for part in model.modules() if isinstance(part, nn.ModuleList)]
    members = [block for part in lists for block in part if not isinstance(block, nn.ModuleList)]
    return [block for block in members if any(True for _ in block.parameters())]
