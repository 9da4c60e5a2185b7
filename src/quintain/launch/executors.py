"""Where a plan's cells run: on this machine, on a Slurm cluster, or on a Ray cluster."""

from __future__ import annotations

from quintain.compose.errors import UsageError
from quintain.compose.settings import Settings
from quintain.launch.events import Executor
from quintain.launch.limits import limits_of
from quintain.launch.local import LocalPool
from quintain.records.store import Store
from quintain.run.machine import available_cores


def choose(settings: Settings, store: Store, workers: int, *, force: bool = False) -> Executor:
    """The executor that `launch.executor` names; libraries of clusters are imported here only.

    Raises:
        UsageError: what is in the store is to run again (`force`) on a cluster, whose jobs look
            into the store by themselves; or a limit is set that only this machine can watch.
    """
    if force and settings.executor != "local":
        raise UsageError(
            f"--force does not work with launch.executor={settings.executor}: its jobs leave alone"
            " what is in the store; choose launch.executor=local, or another store"
        )
    if settings.executor != "local" and (settings.memory_limit or settings.hang_limit):
        raise UsageError(
            "launch.memory_limit and launch.hang_limit are watched with launch.executor=local only;"
            " a cluster has limits of its own (launch.slurm.memory), and launch.time_limit"
        )
    if settings.executor == "slurm":
        from quintain.launch.slurm import Slurm

        return Slurm(store, settings, workers)
    if settings.executor == "ray":
        from quintain.launch.ray_cluster import RayCluster

        return RayCluster(store, settings, workers)
    return LocalPool(store, workers=workers, limits=limits_of(settings), force=force)


def workers_of(settings: Settings, cells: int) -> int:
    """How many cells run at once: as asked, else one a core here, as many as fit elsewhere."""
    if settings.executor == "local":
        return settings.workers or available_cores()
    return settings.workers or max(1, cells)
