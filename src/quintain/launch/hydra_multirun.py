"""Hydra's own command line: `quintain run -m …`, `--cfg`, `--info`, and other Hydra launchers.

Any Hydra launcher may start the jobs: each checks the store and runs its cell in a process of its
own. The jobs append their exit codes to a shared file, because they may run in other processes.
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

from quintain.compose.config import VERSION_BASE, hydra_session, resolve_config
from quintain.compose.overrides import (
    check_hydra_settings,
    expand_overrides,
    has_sweep_list,
    parse_overrides,
)
from quintain.compose.plugin_providers import register_search_path
from quintain.compose.settings import SWEEP_LIMITS
from quintain.errors import ExitCode, StoreError, UsageError
from quintain.launch.planning import LaunchServices
from quintain.launch.sweep import run_plan
from quintain.plan.cell_factory import compose_jobs
from quintain.plan.plan import SWEEP_HINT, plan_composition

BASIC_LAUNCHER = "hydra._internal.core_plugins.basic_launcher.BasicLauncher"
EXIT_CODES = "QUINTAIN_EXIT_CODES"  # environment variable: the file of the jobs' exit codes
UNCHECKED_FLAGS = (
    "--package", "-cn", "-cp", "-cd", "--config", "--info", "-i", "--hydra-help", "-p",
)  # fmt: skip
"""Flags with which Hydra does not compose our configuration."""
FLAGS_WITH_VALUE = (
    "-c", "--cfg", "-p", "--package", "-cn", "--config-name", "-cp", "--config-path", "-cd",
    "--config-dir", "--experimental-rerun",
)  # fmt: skip
INFO_KINDS = ("all", "config", "defaults", "defaults-tree", "plugins", "searchpath")


def run_hydra(arguments: Sequence[str]) -> int:
    """Run Hydra's command line, with flags in any place; return the largest exit code of its jobs.

    Raises:
        UsageError: the overrides do not compose.
    """
    flags, words = _split_flags(arguments)
    check_hydra_settings(words, is_multirun=True)
    with hydra_session():
        overrides = [override.input_line or "" for override in parse_overrides(words)]
    if not any(flag.startswith(UNCHECKED_FLAGS) for flag in flags):
        _check_overrides(overrides, is_multirun=bool({"-m", "--multirun"} & set(flags)))
    register_search_path()
    previous = sys.argv
    with tempfile.TemporaryDirectory() as folder:
        exit_codes = Path(folder) / "exit_codes"
        exit_codes.touch()
        os.environ[EXIT_CODES] = str(exit_codes)
        # Flags come last, because `--info` would take an override that follows as its value.
        sys.argv = ["quintain run", *overrides, *flags]
        try:
            _main()
        except ValueError as error:  # incompatible flags
            raise UsageError(str(error)) from error
        finally:
            sys.argv = previous
        return max(map(int, exit_codes.read_text().split()), default=ExitCode.OK)


def _split_flags(arguments: Sequence[str]) -> tuple[list[str], list[str]]:
    """Return the flags, each with the next argument as its value, and the overrides.

    Hydra expects all overrides side by side. The value of `--info` is optional.
    """
    flags: list[str] = []
    overrides: list[str] = []
    for previous, argument in zip(["", *arguments], arguments, strict=False):
        is_value = previous in FLAGS_WITH_VALUE or (
            previous in ("-i", "--info") and argument in INFO_KINDS
        )
        (flags if argument.startswith("-") or is_value else overrides).append(argument)
    return flags, overrides


def _check_overrides(overrides: Sequence[str], *, is_multirun: bool) -> None:
    """Raise a UsageError as other commands do, because Hydra would print a traceback."""
    with hydra_session():
        if is_multirun and has_sweep_list(overrides):
            raise UsageError(
                "this suite has a list of sweeps, which Hydra's multirun does not support;"
                " use quintain sweep"
            )
        jobs = expand_overrides(overrides)
        if len(jobs) > 1 and not is_multirun:
            raise UsageError(f"these settings make {len(jobs)} cells; {SWEEP_HINT}")
        compose_jobs(jobs)
    GlobalHydra.instance().clear()


@hydra.main(version_base=VERSION_BASE, config_path="pkg://quintain.conf", config_name="config")
def _main(config: DictConfig) -> None:
    """Run one job, which is one cell, in the folder in which the command was started."""
    os.chdir(HydraConfig.get().runtime.cwd)  # a job with hydra.job.chdir starts in another one
    # Launchers such as joblib set a start method ("loky") which our child processes do not have.
    multiprocessing.set_start_method("forkserver", force=True)
    try:
        _check_supported(config, HydraConfig.get().launcher._target_)
        full_config = config.copy()
        OmegaConf.set_readonly(full_config, False)
        with open_dict(full_config):
            full_config.hydra = HydraConfig.get()
        plan = plan_composition(resolve_config(full_config), LaunchServices())
        code = run_plan(plan, Console(highlight=False)).exit_code
    except (UsageError, StoreError) as error:
        for problem in str(error).splitlines():
            print(f"quintain: {problem}", file=sys.stderr)
        code = ExitCode.USAGE
    _report_exit_code(code)


def _check_supported(config: DictConfig, launcher: str) -> None:
    """Raise a UsageError for settings that only `quintain sweep` can respect."""
    if config.get("measure") == "speed" and launcher != BASIC_LAUNCHER:
        raise UsageError(
            "measure=speed needs one cell at a time on a machine, which Hydra's launcher"
            f" {launcher.rpartition('.')[2]} does not guarantee: use `quintain sweep`, or -m"
            " without hydra/launcher"
        )
    if limits := [name for name in SWEEP_LIMITS if config.get(name) is not None]:
        raise UsageError(
            f"{limits[0]} is a limit of a whole sweep, and a job of Hydra's multirun knows only its"
            " own cell: use `quintain sweep`"
        )


def _report_exit_code(code: ExitCode) -> None:
    """Append the exit code to the shared file; where it is missing, raise unless the code is 0."""
    try:
        with open(os.environ[EXIT_CODES], "a") as file:
            file.write(f"{int(code)}\n")
    except (OSError, KeyError):
        if code != ExitCode.OK:
            raise RuntimeError(f"the job ended with exit code {int(code)}, see above") from None
