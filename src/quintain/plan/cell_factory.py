"""Makes cells from jobs (lists of overrides)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import lru_cache

from quintain.compose.baseline_settings import reduce_to_baseline
from quintain.compose.config import Composition, check_fast_compose, compose_job, load_option
from quintain.compose.diagnose import CompositionError, first_line
from quintain.compose.hydra_compose import COMPOSE_ERRORS
from quintain.compose.instantiate import instantiate
from quintain.compose.non_defaults import non_default_settings
from quintain.compose.settings import Settings, find_setting_problems, read_settings
from quintain.errors import UsageError
from quintain.plan.cell import Cell, make_cell
from quintain.plan.interning import InternPool
from quintain.plan.preflight import find_problems_without_torch

BASELINE_SEED = 0  # a baseline does not depend on the seed


def make_first_cell(jobs: Sequence[Sequence[str]]) -> tuple[Settings, Cell]:
    """Return the settings of a sweep and the cell of its first job.

    Raises:
        UsageError: the first job is not valid; with every problem of all jobs.
    """
    try:
        composition = compose_job(jobs[0])
        settings = read_settings(composition.config)
        return settings, make_run_cell(resolve_hardware(composition))
    except UsageError:
        compose_jobs(jobs)
        raise


def make_cells(jobs: Sequence[Sequence[str]], baselines: bool) -> list[Cell]:
    """Return the cells of all jobs, each once, then the baselines of every dataset.

    One job is composed at a time, so that only the cells are held in memory.

    Raises:
        UsageError: with every problem of every job, each once.
    """
    pool = InternPool()
    cells: dict[str, Cell] = {}
    baseline_cells: dict[str, Cell] = {}
    for composition in _compose_each(jobs):
        cell = make_run_cell(composition, pool)
        cells[cell.key] = cell
        if baselines:
            for cell in make_baseline_cells(composition, pool):
                baseline_cells[cell.key] = cell
    return [*(cells | baseline_cells).values()]


def compose_jobs(jobs: Sequence[Sequence[str]]) -> list[Composition]:
    """Return the composition of each job, checked as far as possible without importing torch.

    Raises:
        UsageError: with every problem of every job, each once.
    """
    return [*_compose_each(jobs)]


def _compose_each(jobs: Sequence[Sequence[str]]) -> Iterator[Composition]:
    if jobs:
        check_fast_compose(jobs[0])
    problems: list[str] = []
    for job in jobs:
        try:
            composition = compose_job(job)
            problems += find_setting_problems(composition.config)
            composition = resolve_hardware(composition)
            if not problems:
                yield add_non_defaults(composition)
        except CompositionError as error:
            problems += [*error.problems, *_find_value_problems(error.corrected)]
        except UsageError as error:
            problems += error.problems
    if problems:
        problems += [text for job in jobs for text in _find_value_problems(job)]
        raise UsageError(dict.fromkeys(problems))


def add_non_defaults(composition: Composition) -> Composition:
    """Return the composition with the settings that differ from their defaults."""
    return replace(composition, non_defaults=non_default_settings(composition))


def _find_value_problems(overrides: Sequence[str]) -> list[str]:
    """Return the problems with values in overrides that can be found without importing torch."""
    try:
        config = compose_job(overrides).config
    except UsageError:
        return []
    return [*find_setting_problems(config), *find_problems_without_torch(config)]


def resolve_hardware(composition: Composition) -> Composition:
    """Replace `hardware=auto` by the first of its options that this machine has.

    Settings beside `choose_from`, such as `+hardware.threads=2`, are added to that option.
    """
    node = composition.config["hardware"]
    if "choose_from" not in node:
        return composition
    name, reasons = _find_available(tuple(node["choose_from"]))
    if name is None:
        raise UsageError(f"hardware={composition.choices['hardware']}: {'; '.join(reasons)}")
    settings = {key: value for key, value in node.items() if key != "choose_from"}
    config = composition.config | {"hardware": load_option("hardware", name) | settings}
    return replace(composition, config=config, choices=composition.choices | {"hardware": name})


@lru_cache(maxsize=8)
def _find_available(names: tuple[str, ...]) -> tuple[str | None, list[str]]:
    """Return the first hardware option that this machine has, or None and why it lacks each."""
    reasons: list[str] = []
    for name in names:
        try:
            node = load_option("hardware", name)
        except COMPOSE_ERRORS as error:
            raise UsageError(f"hardware.choose_from: {first_line(error)}") from error
        missing = instantiate(node).missing()
        if missing is None:
            return name, []
        reasons.append(f"{name} {missing}")
    return None, reasons


def make_run_cell(composition: Composition, pool: InternPool | None = None) -> Cell:
    """Return the cell that trains and tests the model of a composition."""
    return make_cell(
        composition.config,
        composition.choices,
        seed=composition.config["seed"],
        non_defaults=composition.non_defaults,
        pool=pool,
    )


def make_baseline_cells(composition: Composition, pool: InternPool | None = None) -> list[Cell]:
    """Return a cell for each baseline in the card of a composition's head."""
    cells = []
    for name in (composition.config["head"].get("card") or {}).get("baselines", []):
        reduced = reduce_to_baseline(composition, name)
        cell = make_cell(
            reduced.config,
            reduced.choices,
            seed=BASELINE_SEED,
            baseline=name,
            non_defaults=reduced.non_defaults,
            pool=pool,
        )
        cells.append(cell)
    return cells
