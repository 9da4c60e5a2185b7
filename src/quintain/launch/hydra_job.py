"""Hydra's own command line: `quintain run -m …`, `--cfg`, `--info`, and other Hydra launchers.

Each job looks into the store and runs its cell in a process of its own, so it does not matter which
launcher starts it. Jobs may run in other processes; they note how they ended in a shared file.
"""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import hydra
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, OmegaConf, open_dict
from rich.console import Console

from quintain.compose.config import VERSION_BASE, resolved
from quintain.compose.plan import plan_one
from quintain.compose.providers import register
from quintain.launch.server import examine
from quintain.launch.sweep import FAILED_CELLS, INTERRUPTED, OK, run_plan, say
from quintain.records.store import Store

ENDINGS = "QUINTAIN_ENDINGS"


def run_hydra(words: Sequence[str]) -> int:
    """Hand the words to Hydra; 1 if a job failed, 130 if one was interrupted."""
    register()
    before = sys.argv
    with tempfile.TemporaryDirectory() as folder:
        endings = Path(folder) / "endings"
        endings.touch()
        os.environ[ENDINGS] = str(endings)
        sys.argv = ["quintain run", *words]
        try:
            _main()
        finally:
            sys.argv = before
        codes = {int(line) for line in endings.read_text().split()}
    return max(codes & {OK, FAILED_CELLS, INTERRUPTED}, default=OK)


@hydra.main(version_base=VERSION_BASE, config_path="pkg://quintain.conf", config_name="config")
def _main(config: DictConfig) -> None:
    """One job: one cell."""
    with_hydra = config.copy()
    OmegaConf.set_readonly(with_hydra, False)
    with open_dict(with_hydra):
        with_hydra.hydra = HydraConfig.get()
    plan = plan_one(resolved(with_hydra), lambda store, key: Store(store).status(key), examine)
    console = Console(highlight=False)
    outcome = run_plan(plan, console)
    say(plan, outcome, console)
    with open(os.environ[ENDINGS], "a") as file:
        file.write(f"{outcome.exit_code}\n")
