"""Lightning strategies for the ranks of a run: DDP, or a sharded model (FSDP).

`run.distributed.spawn` starts and connects the ranks; Lightning starts no process.
"""

# No `from __future__ import annotations`: DDP checks the annotations of a communication hook.

from typing import Any, cast

from lightning_fabric.plugins.environments.lightning import LightningEnvironment
from pytorch_lightning.strategies import DDPStrategy, Strategy
from torch import Tensor
from torch.distributed import GradBucket  # type: ignore[attr-defined]
from torch.futures import Future

from quintain.run.distributed.context import DistContext
from quintain.run.distributed.fsdp import shard_model


class RankEnvironment(LightningEnvironment):
    """Tells Lightning the placement of this process, without using environment variables."""

    _devices_per_node = 1

    def __init__(self, dist: DistContext) -> None:
        super().__init__()
        assert dist.placement is not None
        self._placement = dist.placement

    @property
    def creates_processes_externally(self) -> bool:
        return True

    @property
    def main_address(self) -> str:
        return self._placement.address

    @property
    def main_port(self) -> int:
        return self._placement.port

    def world_size(self) -> int:
        return self._placement.world_size

    def set_world_size(self, size: int) -> None:
        if size != self._placement.world_size:
            raise ValueError(
                f"hardware.devices and hardware.nodes require {size} ranks, but"
                f" {self._placement.world_size} were started"
            )

    def global_rank(self) -> int:
        return self._placement.rank

    def set_global_rank(self, rank: int) -> None:
        if rank != self._placement.rank:
            raise ValueError(
                f"this process is rank {self._placement.rank}, but by its local rank it should be"
                f" rank {rank}: start as many tasks on each node as hardware.devices requires"
            )

    def local_rank(self) -> int:
        return self._placement.local_rank

    def node_rank(self) -> int:
        return (self._placement.rank - self._placement.local_rank) // self._devices_per_node

    def validate_settings(self, num_devices: int, num_nodes: int) -> None:
        """Store the number of ranks on a node; Lightning calls this before `node_rank`."""
        self._devices_per_node = num_devices

    def teardown(self) -> None:
        """Do not delete environment variables, as LightningEnvironment would."""


def build_strategy(name: str, accelerator: str, dist: DistContext) -> Strategy:
    """Return the strategy "ddp" or "fsdp" for these ranks.

    Raises:
        ValueError: the name is neither.
    """
    if name == "fsdp":
        return _FsdpStrategy()
    if name != "ddp":
        raise ValueError(f"a hardware's strategy must be ddp or fsdp, got {name!r}")
    # Buffers are equal on all ranks: they are built alike and not trained. Broadcasting them in
    # every forward pass would cost time, and would deadlock in validation, where ranks may have
    # different numbers of passes.
    settings: dict[str, Any] = {"broadcast_buffers": False}
    if accelerator == "cpu":
        settings |= {"ddp_comm_state": dist, "ddp_comm_hook": _reduce_mean}
    return _DdpStrategy(**settings)


class _DdpStrategy(DDPStrategy):
    def _register_ddp_hooks(self) -> None:
        """Register the hook on CPUs too; Lightning registers hooks only on GPUs."""
        if self._ddp_comm_hook is None:
            super()._register_ddp_hooks()
        else:
            model = cast(Any, self.model)
            model.register_comm_hook(self._ddp_comm_state, self._ddp_comm_hook)


class _FsdpStrategy(DDPStrategy):
    """Is set up like DDP, but shards the model with `fully_shard`.

    Lightning's `ModelParallelStrategy` does not support double precision, which the tests need.
    """

    def configure_ddp(self) -> None:
        """Shard the model inside the LightningModule."""
        module, device = cast(Any, self.lightning_module), self.root_device
        shard_model(module.model, device.type, self.world_size)

    def teardown(self) -> None:
        """Leave the sharded weights on their devices; DDP would move them to the CPU."""
        assert self.cluster_environment is not None and self.accelerator is not None
        self.cluster_environment.teardown()
        self.precision_plugin.teardown()
        self.accelerator.teardown()


def _reduce_mean(dist: DistContext, bucket: GradBucket) -> Future[Tensor]:
    """Average gradients over ranks and wait, so that communication can be timed separately.

    On a CPU waiting costs little, because communication and computation share the same cores.
    """
    done: Future[Tensor] = Future()
    done.set_result(dist.reduce_mean(bucket.buffer()))
    return done
