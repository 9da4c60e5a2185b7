"""Hydra's own command line: `quintain run -m …`, `--cfg`, `--info`, and other Hydra launchers.

Each job looks into the store and runs its cell in a process of its own, so it does not matter which
launcher starts it. Jobs may run in other processes; they note how they ended in a shared file.
"""

from __future__ import annotations

import multiprocessing
import os
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import hydra
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, OmegaConf, open_dict
from rich.console import Console

from quintain.compose.config import VERSION_BASE, composer, resolved
from quintain.compose.errors import UsageError
from quintain.compose.expand import expand, lists_sweeps
from quintain.compose.jobs import compose_all
from quintain.compose.plan import HOW_TO_SWEEP, plan_one
from quintain.compose.providers import register
from quintain.compose.settings import LIMITS
from quintain.launch.server import examine
from quintain.launch.sweep import OK, USAGE, run_plan, say
from quintain.records.store import Store, StoreError

ONE_AFTER_ANOTHER = "hydra._internal.core_plugins.basic_launcher.BasicLauncher"
ENDINGS = "QUINTAIN_ENDINGS"
OTHER_CONFIG = ("--package", "-cn", "-cp", "-cd", "--config", "--info", "-i", "--hydra-help", "-p")

VALUED = ("-c", "--cfg", "-p", "--package", "-cn", "--config-name", "-cp", "--config-path", "-cd",
          "--config-dir", "--experimental-rerun")  # fmt: skip
INFOS = ("all", "config", "defaults", "defaults-tree", "plugins", "searchpath")


def run_hydra(words: Sequence[str]) -> int:
    """Hand the words to Hydra; 1 if a job failed, 2 if one could not be done, 130 if interrupted.

    Raises:
        UsageError: words that do not compose, told before Hydra sees them.
    """
    flags, settings = _sorted(words)
    if not any(flag.startswith(OTHER_CONFIG) for flag in flags):
        _check(flags, settings)
    register()
    before = sys.argv
    with tempfile.TemporaryDirectory() as folder:
        endings = Path(folder) / "endings"
        endings.touch()
        os.environ[ENDINGS] = str(endings)
        sys.argv = [
            "quintain run",
            *settings,
            *flags,
        ]  # a bare --info would take a setting for its kind
        try:
            _main()
        except ValueError as error:  # flags that exclude each other
            raise UsageError(str(error)) from error
        finally:
            sys.argv = before
        codes = {int(line) for line in endings.read_text().split()}
    return max(codes, default=OK)


def _sorted(words: Sequence[str]) -> tuple[list[str], list[str]]:
    """Flags, each with its value, and settings: Hydra's own parser wants all settings in one row.

    A flag's value is the word after it: of `--info` only one of its kinds, which may be left out;
    of the others any.
    """
    flags: list[str] = []
    settings: list[str] = []
    for before, word in zip(["", *words], words, strict=False):
        valued = before in VALUED or (before in ("-i", "--info") and word in INFOS)
        (flags if word.startswith("-") or valued else settings).append(word)
    return flags, settings


def _check(flags: Sequence[str], settings: Sequence[str]) -> None:
    sweeps = bool(set(flags) & {"-m", "--multirun"})
    with composer():
        if sweeps and lists_sweeps(settings):
            raise UsageError(
                "this suite has a list of sweeps, which Hydra's multirun does not know;"
                " use quintain sweep"
            )
        jobs = expand(settings)
        if len(jobs) > 1 and not sweeps:
            raise UsageError(f"these settings make {len(jobs)} cells; {HOW_TO_SWEEP}")
        compose_all(jobs)
    GlobalHydra.instance().clear()


@hydra.main(version_base=VERSION_BASE, config_path="pkg://quintain.conf", config_name="config")
def _main(config: DictConfig) -> None:
    """One job: one cell."""
    # Launchers have worker processes whose start method (joblib's "loky") our children do not know.
    multiprocessing.set_start_method("forkserver", force=True)
    try:
        code = _job(config)
    except (UsageError, StoreError) as error:
        for problem in str(error).splitlines():
            print(f"quintain: {problem}", file=sys.stderr)
        code = USAGE
    _note(code)


def _check_alone(config: DictConfig, launcher: str) -> None:
    """Other launchers start jobs side by side, and a record must not say what is not so."""
    if config.get("measure") == "speed" and launcher != ONE_AFTER_ANOTHER:
        raise UsageError(
            "measure=speed times a cell with nothing beside it, which Hydra's launcher"
            f" {launcher.rpartition('.')[2]} does not promise: use `quintain sweep`, or -m without"
            " hydra/launcher"
        )


def _check_limits(config: DictConfig) -> None:
    if given := [name for name in LIMITS if config.get(name) is not None]:
        raise UsageError(
            f"{given[0]} is of a whole sweep, of which a job of Hydra's multirun sees one cell:"
            " use `quintain sweep`"
        )


def _note(code: int) -> None:
    """Tell who started the jobs; from another machine, which does not see the file, by failing."""
    try:
        with open(os.environ[ENDINGS], "a") as file:
            file.write(f"{code}\n")
    except (OSError, KeyError):
        if code != OK:
            raise RuntimeError(f"the job ended with exit code {code}, see above") from None


def _job(config: DictConfig) -> int:
    _check_alone(config, HydraConfig.get().launcher._target_)
    _check_limits(config)
    with_hydra = config.copy()
    OmegaConf.set_readonly(with_hydra, False)
    with open_dict(with_hydra):
        with_hydra.hydra = HydraConfig.get()
    plan = plan_one(resolved(with_hydra), lambda store, keys: Store(store).statuses(keys), examine)
    console = Console(highlight=False)
    outcome = run_plan(plan, console)
    say(plan, outcome, console)
    return outcome.exit_code
