"""What a cell asks of a scheduler, as its hardware plugin says."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from quintain.compose.bind import instantiate
from quintain.compose.cells import Cell
from quintain.compose.errors import UsageError
from quintain.contracts import Hardware


@dataclass(frozen=True)
class Resources:
    """Of one cell: CPU cores and GPUs on one machine, where it is alone if its times count."""

    cpus: int
    gpus: int
    alone: bool = False

    def __str__(self) -> str:
        words = f"{_some(self.cpus, 'CPU')} and {_some(self.gpus, 'GPU')}"
        return f"{words}, alone on the machine" if self.alone else words


def resources_of(cell: Cell) -> Resources:
    """Reads the Trainer's arguments: so many devices, and threads for each process of the run.

    Raises:
        UsageError: the cell needs several machines, and a scheduler's job here has one.
    """
    hardware: Hardware = instantiate(cell.config["hardware"])
    arguments = hardware.trainer_arguments()
    nodes = _count(arguments.get("num_nodes", 1))
    if nodes > 1:
        raise UsageError(
            f"{cell.label} needs {nodes} machines, and a sweep gives a cell one: plan it with"
            " --dry-run, then start it on all of them by `srun … python -m quintain.run PLAN --key"
            f" {cell.key[:8]} --store STORE`"
        )
    processes = _count(arguments.get("devices", 1))
    gpus = processes if arguments.get("accelerator") in ("cuda", "gpu") else 0
    return Resources(cpus=processes * hardware.threads(), gpus=gpus, alone=cell.alone)


def slots_of(cell: Cell) -> int:
    """Cores that a cell keeps busy on this machine: the threads of all its ranks.

    One whose hardware cannot be built is let through: its run says what is wrong.
    """
    try:
        asked = resources_of(cell).cpus
    except Exception:
        return 1
    return 1 if cell.reference else asked


def in_order(cells: Iterable[Cell]) -> list[Cell]:
    """As they came, but last those that run alone (`measure=speed`), so that nothing waits."""
    return sorted(cells, key=lambda cell: cell.alone)


def by_resources(cells: Iterable[Cell]) -> dict[Resources, list[Cell]]:
    """Cells that ask for the same, together; last those that run alone."""
    groups: dict[Resources, list[Cell]] = {}
    for cell in in_order(cells):
        groups.setdefault(resources_of(cell), []).append(cell)
    return groups


def _count(devices: Any) -> int:
    """Lightning takes a number, its text, or a list of devices; "auto" and -1 are all there are."""
    if isinstance(devices, list | tuple):
        return len(devices)
    text = str(devices)
    return max(1, int(text)) if text.lstrip("-").isdigit() else 1


def _some(count: int, unit: str) -> str:
    return f"{count} {unit}" + ("" if count == 1 else "s")
