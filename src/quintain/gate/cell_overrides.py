"""The overrides that run a cell again, and `--regressed` files: one `quintain sweep` per line."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path

from quintain.compose.non_defaults import UNSET
from quintain.compose.words import format_hydra_value
from quintain.errors import UsageError
from quintain.records.schema import Record

_NAMES = ("dataset", "model", "budget", "hardware")


def cell_overrides(record: Record) -> list[str]:
    """Return the options and non-default settings of a record's cell as overrides, without seed.

    Stem, head and optimizer are included if they are not the defaults. Of the path of a user file
    only the name is included, because a record contains no more.
    """
    names, settings = record.names.model_dump(), record.changed or {}
    overrides = {name: names[name] for name in _NAMES if names.get(name, "none") != "none"}
    non_default = {k: v for k, v in settings.items() if v != UNSET and k not in overrides}
    return [f"{name}={value}" for name, value in overrides.items()] + [
        f"{key}={format_hydra_value(value)}" for key, value in sorted(non_default.items())
    ]


def without_seed(overrides: Sequence[str]) -> list[str]:
    """Return the overrides that are not `seed=…`."""
    return [override for override in overrides if not override.startswith("seed=")]


def sweep_command(overrides: Sequence[str], seeds: Sequence[int]) -> str:
    """Return the shell command that runs one cell again with these seeds."""
    seed = f"seed={','.join(map(str, seeds))}"
    return shlex.join(["quintain", "sweep", *overrides, seed, "--no-baselines"])


def select_cells(records: list[Record], cells_file: Path | None) -> list[Record]:
    """Return the records of the cells that a `--regressed` file names; all if there is no file.

    Raises:
        UsageError: the file cannot be used, or none of its cells has a record.
    """
    if cells_file is None:
        return records
    cells = [set(without_seed(overrides)) for overrides in _read_sweep_commands(cells_file)]
    selected = [r for r in records if set(cell_overrides(r)) in cells]
    if not selected:
        raise UsageError(f"{cells_file}: the baseline has none of its {len(cells)} cells")
    return selected


def expand_cells_file(overrides: Sequence[str], cells_file: Path | None) -> list[list[str]]:
    """Return one list of overrides for each cell of a `--regressed` file, or a single list.

    Each list has the overrides of its cell and then the given ones.

    Raises:
        UsageError: the file cannot be used.
    """
    cells = [[]] if cells_file is None else _read_sweep_commands(cells_file)
    return [[*cell, *overrides] for cell in cells]


def _read_sweep_commands(file: Path) -> list[list[str]]:
    """Return the overrides of each command in a file that `quintain gate --regressed` wrote.

    Raises:
        UsageError: the file cannot be read, names no cell, or contains something else.
    """
    try:
        lines = [shlex.split(line) for line in file.read_text(encoding="utf-8").splitlines()]
    except (OSError, ValueError) as error:
        raise UsageError(f"{file} cannot be read: {error}") from error
    commands = [line for line in lines if line]
    if not commands:
        raise UsageError(f"{file} names no cell: no cell was worse when it was written")
    if any(command[:2] != ["quintain", "sweep"] for command in commands):
        raise UsageError(
            f"{file}: expected one `quintain sweep …` command per line, as --regressed writes"
        )
    return [[word for word in command[2:] if not word.startswith("--")] for command in commands]
