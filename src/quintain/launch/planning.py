"""Services of the launcher for planning: preflight in forks of the fork server."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from pathlib import Path

from rich.console import Console

from quintain.compose.plugin_providers import add_plugin_folder, register_local_plugins
from quintain.errors import UsageError
from quintain.launch.fork_server import ForkedCall, start_fork_server
from quintain.plan.cell import Cell
from quintain.plan.preflight import PreflightResult, preflight_cells
from quintain.records.store import Store
from quintain.run.measure.machine import count_available_cores

CELLS_PER_PROCESS = 100  # with fewer cells a second process takes longer to start than it saves


class LaunchServices:
    """Implements `plan.plan.PlanServices`; the console, if any, shows when the work starts."""

    def __init__(self, console: Console | None = None) -> None:
        self._console = console

    def warm_up(self) -> None:
        if self._console is not None:
            self._console.print("composing and checking the cells …", style="dim")
        start_fork_server()

    def read_statuses(self, store: Path, keys: Sequence[str]) -> Mapping[str, str]:
        return Store(store).statuses(keys)

    def preflight(
        self, cells: Sequence[Cell], check_devices: bool = True
    ) -> dict[str, PreflightResult]:
        """Preflight cells in forks, so that this process imports no torch.

        Many cells are distributed over as many processes as there are cores, all cells of a dataset
        to the same process.

        Raises:
            UsageError: lists every problem of every cell; or a plugin crashed the interpreter.
        """
        processes = max(1, min(count_available_cores(), len(cells) // CELLS_PER_PROCESS))
        datasets = list(dict.fromkeys(cell.names["dataset"] for cell in cells))
        shares: list[list[str]] = [[] for _ in range(processes)]
        for cell in cells:
            shares[datasets.index(cell.names["dataset"]) % processes].append(cell.to_json())
        folders = cells[0].plugins if cells else []
        with contextlib.ExitStack() as stack:
            try:
                calls = [
                    stack.enter_context(ForkedCall(_preflight, share, folders, check_devices))
                    for share in shares
                    if share
                ]
                outcomes = [call.result() for call in calls]
            except ChildProcessError as error:
                raise UsageError(
                    f"preflight has no result: {error}; a plugin may have crashed the interpreter,"
                    " see above"
                ) from None
        if problems := [problem for _, share in outcomes for problem in share]:
            raise UsageError(dict.fromkeys(problems))
        return {key: result for results, _ in outcomes for key, result in results.items()}


def _preflight(
    cells: Sequence[str], folders: Sequence[str], check_devices: bool
) -> tuple[dict[str, PreflightResult], list[str]]:
    """Return the results of cells (given as JSON) by key, and the problems; called in the fork."""
    for folder in folders:
        add_plugin_folder(folder)
    register_local_plugins()
    try:
        return preflight_cells([Cell.from_json(text) for text in cells], check_devices), []
    except UsageError as error:
        return {}, error.problems
