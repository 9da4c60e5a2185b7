"""Shards weights, gradients and optimizer state over the ranks (FSDP2, `fully_shard`).

Zhao et al. 2023, "PyTorch FSDP". The weights of each block in a `ModuleList` are gathered for its
computation and freed afterwards. Evaluation uses an unsharded copy of the model, because ranks may
have different numbers of batches. Imports are deferred because most runs need no FSDP.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn


def shard_model(model: nn.Module, accelerator: str, world_size: int) -> None:
    """Shard a model in place over all ranks, on which its weights are equal."""
    from torch.distributed.device_mesh import init_device_mesh
    from torch.distributed.fsdp import fully_shard

    mesh = init_device_mesh(accelerator, (world_size,))
    for layers in model.modules():
        if isinstance(layers, nn.ModuleList):
            for block in layers:
                has_parameters = next(block.parameters(), None) is not None
                if has_parameters and not isinstance(block, nn.ModuleList):
                    fully_shard(block, mesh=mesh)
    fully_shard(model, mesh=mesh)


@torch.no_grad()
def copy_weights(sharded: nn.Module, target: nn.Module) -> None:
    """Copy the weights of a sharded model into an unsharded one; all ranks must call it."""
    state = target.state_dict()
    for name, value in sharded.state_dict().items():
        state[name].copy_(unshard(value))


def unshard(value: Tensor) -> Tensor:
    """Return the full tensor of a sharded one, or any other tensor; all ranks must call it."""
    from torch.distributed.tensor import DTensor

    return value.full_tensor() if isinstance(value, DTensor) else value
