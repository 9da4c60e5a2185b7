"""The CPU cores and GPUs that a cell needs, from its hardware plugin."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from quintain.compose.instantiate import instantiate
from quintain.compose.settings import Settings
from quintain.contracts import Hardware
from quintain.errors import UsageError
from quintain.plan.cell import Cell
from quintain.run.measure.machine import count_available_cores


@dataclass(frozen=True)
class Resources:
    """The numbers of CPU cores and GPUs that a cell needs on one machine.

    An exclusive cell needs the machine for itself, because its times are measured.
    """

    cpus: int
    gpus: int
    exclusive: bool = False

    def __str__(self) -> str:
        text = f"{_format_count(self.cpus, 'CPU')} and {_format_count(self.gpus, 'GPU')}"
        return f"{text}, alone on the machine" if self.exclusive else text


def required_resources(cell: Cell) -> Resources:
    """Return what a cell needs, from its Trainer arguments and the threads of each of its ranks.

    Raises:
        UsageError: the cell needs several machines; a sweep runs each cell on one.
    """
    hardware: Hardware = instantiate(cell.config["hardware"])
    arguments = hardware.trainer_arguments()
    nodes = _count_devices(arguments.get("num_nodes", 1))
    if nodes > 1:
        raise UsageError(
            f"{cell.label} needs {nodes} machines, but a sweep runs each cell on one: plan it with"
            " --dry-run, then start it on all of them by `srun … python -m quintain.run PLAN --key"
            f" {cell.key[:8]} --store STORE`"
        )
    ranks = _count_devices(arguments.get("devices", 1))
    gpus = ranks if arguments.get("accelerator") in ("cuda", "gpu") else 0
    return Resources(cpus=ranks * hardware.threads(), gpus=gpus, exclusive=cell.exclusive)


def required_slots(cell: Cell) -> int:
    """Return how many worker slots a cell takes on this machine: the threads of all its ranks."""
    try:
        cpus = required_resources(cell).cpus
    except Exception:  # the hardware cannot be instantiated, which the run will report
        return 1
    return 1 if cell.baseline else cpus


def count_workers(settings: Settings, cells: int) -> int:
    """Return how many cells run at once: `launch.workers`, or a default.

    The default is the number of cores on this machine, and the number of cells on a cluster, which
    queues those that do not fit.
    """
    if settings.executor == "local":
        return settings.workers or count_available_cores()
    return settings.workers or max(1, cells)


def exclusive_last(cells: Iterable[Cell]) -> list[Cell]:
    """Return the cells in their order, exclusive ones last, so that no cell waits for them."""
    return sorted(cells, key=lambda cell: cell.exclusive)


def group_by_resources(cells: Iterable[Cell]) -> dict[Resources, list[Cell]]:
    """Group cells that need the same resources; exclusive ones come last."""
    groups: dict[Resources, list[Cell]] = {}
    for cell in exclusive_last(cells):
        groups.setdefault(required_resources(cell), []).append(cell)
    return groups


def _count_devices(devices: Any) -> int:
    """Count the devices of a Trainer argument; "auto" and -1 count as one."""
    if isinstance(devices, list | tuple):
        return len(devices)
    text = str(devices)
    return max(1, int(text)) if text.lstrip("-").isdigit() else 1


def _format_count(count: int, unit: str) -> str:
    return f"{count} {unit}" + ("" if count == 1 else "s")
