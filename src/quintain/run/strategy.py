"""How Lightning trains over the ranks of a run: DDP, or a model that is spread over them (FSDP).

Processes and their connections are `run.crew`'s; Lightning finds both there and starts nothing.
"""

# No `from __future__ import annotations`: DDP checks the types that a hook is annotated with.

from typing import Any, cast

from lightning_fabric.plugins.environments.lightning import LightningEnvironment
from pytorch_lightning.strategies import DDPStrategy, Strategy
from torch import Tensor
from torch.distributed import GradBucket  # type: ignore[attr-defined]
from torch.futures import Future

from quintain.run.ranks import Ranks
from quintain.run.shard import shard


class RankEnvironment(LightningEnvironment):
    """Where this process stands, as `run.crew` says it; no variable of the environment is read."""

    def __init__(self, ranks: Ranks) -> None:
        super().__init__()
        assert ranks.place is not None
        self._place = ranks.place

    @property
    def creates_processes_externally(self) -> bool:
        return True

    @property
    def main_address(self) -> str:
        return self._place.address

    @property
    def main_port(self) -> int:
        return self._place.port

    def world_size(self) -> int:
        return self._place.world

    def set_world_size(self, size: int) -> None:
        if size != self._place.world:
            raise ValueError(
                f"hardware.devices and nodes make {size} ranks; {self._place.world} were started"
            )

    def global_rank(self) -> int:
        return self._place.rank

    def set_global_rank(self, rank: int) -> None:
        if rank != self._place.rank:
            raise ValueError(
                f"this process is rank {self._place.rank}, and by its place on its node {rank}:"
                " start as many tasks on each node as hardware.devices says"
            )

    def local_rank(self) -> int:
        return self._place.local_rank

    def node_rank(self) -> int:
        return (self._place.rank - self._place.local_rank) // self._per_node

    def validate_settings(self, num_devices: int, num_nodes: int) -> None:
        """Lightning tells how many ranks a node has before it asks for the node."""
        self._per_node = num_devices

    _per_node = 1

    def teardown(self) -> None:
        """Nothing was set."""


def strategy(name: str, accelerator: str, ranks: Ranks) -> Strategy:
    """The strategy that a hardware plugin names, over these ranks: "ddp" or "fsdp"."""
    if name == "fsdp":
        return _Fsdp()
    if name != "ddp":
        raise ValueError(f"a hardware's strategy must be ddp or fsdp, came {name!r}")
    # Buffers are equal on all ranks from the start; to send them again at every forward pass would
    # be one more thing to wait for, and validation has passes that not every rank makes.
    settings: dict[str, Any] = {"broadcast_buffers": False}
    if accelerator == "cpu":
        settings |= {"ddp_comm_state": ranks, "ddp_comm_hook": _timed_mean}
    return _Ddp(**settings)


class _Ddp(DDPStrategy):
    def _register_ddp_hooks(self) -> None:
        """Lightning registers hooks on GPUs only."""
        if self._ddp_comm_hook is None:
            super()._register_ddp_hooks()
        else:
            model = cast(Any, self.model)
            model.register_comm_hook(self._ddp_comm_state, self._ddp_comm_hook)


class _Fsdp(DDPStrategy):
    """Lightning's way of setting up DDP, with `fully_shard` where it would wrap the model.

    Its own `ModelParallelStrategy` has no double precision, in which equality is tested.
    """

    def configure_ddp(self) -> None:
        """The model of the Task is spread; the Task itself stays as it is."""
        task, device = cast(Any, self.lightning_module), self.root_device
        shard(task.model, device.type, self.world_size)

    def teardown(self) -> None:
        """Without moving the weights to the CPU: they belong to a mesh of devices."""
        assert self.cluster_environment is not None and self.accelerator is not None
        self.cluster_environment.teardown()
        self.precision_plugin.teardown()
        self.accelerator.teardown()


def _timed_mean(ranks: Ranks, bucket: GradBucket) -> Future[Tensor]:
    """The mean of the gradients, waited for, so that the wait can be told from computing.

    Nothing is lost by not going on meanwhile: a rank's only thread is the one that computes.
    """
    done: Future[Tensor] = Future()
    done.set_result(ranks.reduce_mean(bucket.buffer()))
    return done
