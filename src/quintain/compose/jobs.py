"""From jobs, one list of words each, to frozen cells."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import lru_cache

from quintain.compose.bind import instantiate
from quintain.compose.cells import Cell, make_cell
from quintain.compose.changed import changed
from quintain.compose.config import (
    Composed,
    agree,
    compose_one,
    option_config,
)
from quintain.compose.diagnose import Uncomposable, first_line
from quintain.compose.errors import UsageError
from quintain.compose.preflight import light_problems
from quintain.compose.raw import COMPOSE_ERRORS
from quintain.compose.settings import Settings, settings_of, wrong_settings
from quintain.compose.shared import Shared

REFERENCE_SEED = 0  # a reference is the same whatever the seed


def first_settings(jobs: Sequence[Sequence[str]]) -> Settings:
    """How and where, as the first job says it; raises UsageError with the problems of all jobs."""
    try:
        return settings_of(compose_one(jobs[0]).config)
    except UsageError as error:
        compose_all(jobs)
        raise AssertionError("the first job composed the second time") from error


def cells_of(jobs: Sequence[Sequence[str]], references: bool) -> list[Cell]:
    """The cells of all jobs, each once, then the reference rows of every dataset.

    No list of configurations is kept, so that memory grows by the keys alone.

    Raises:
        UsageError: every problem of every job, each once.
    """
    shared = Shared()
    cells: dict[str, Cell] = {}
    rows: dict[str, Cell] = {}
    for one in _each(jobs):
        cell = freeze(one, shared)
        cells[cell.key] = cell
        if references:
            rows |= {row.key: row for row in reference_cells([one], shared)}
    return [*(cells | rows).values()]


def compose_all(jobs: Sequence[Sequence[str]]) -> list[Composed]:
    """One configuration a job.

    Raises:
        UsageError: what does not compose, and the values that are wrong beside it.
    """
    return [*_each(jobs)]


def _each(jobs: Sequence[Sequence[str]]) -> Iterator[Composed]:
    if jobs:
        agree(jobs[0])
    problems: list[str] = []
    for job in jobs:
        try:
            one = compose_one(job)
            problems += wrong_settings(one.config)
            one = with_hardware(one)
            if not problems:
                yield replace(one, changed=changed(one))
        except Uncomposable as error:
            problems += [*error.problems, *_wrong_values(error.mended)]
        except UsageError as error:
            problems += error.problems
    if problems:
        raise UsageError(dict.fromkeys([*problems, *_light(jobs)]))


def _light(jobs: Sequence[Sequence[str]]) -> Iterator[str]:
    """What is wrong with the jobs that compose, as far as it shows without torch."""
    for job in jobs:
        try:
            yield from light_problems(with_hardware(compose_one(job)).config)
        except UsageError:
            continue  # told already


def _wrong_values(mended: Sequence[str]) -> list[str]:
    """What is wrong with words besides what has been told, as far as it shows without torch."""
    try:
        config = compose_one(mended).config
    except UsageError:
        return []
    return [*wrong_settings(config), *light_problems(config)]


def with_hardware(composed: Composed) -> Composed:
    """With `hardware=auto` replaced by the first option that is here, and what is set beside it."""
    node = composed.config["hardware"]
    if "choose_from" not in node:
        return composed
    name, reasons = _available(tuple(node["choose_from"]))
    if name is None:
        raise UsageError(f"hardware={composed.choices['hardware']}: {'; '.join(reasons)}")
    beside = {key: value for key, value in node.items() if key != "choose_from"}
    config = composed.config | {"hardware": option_config("hardware", name) | beside}
    return replace(composed, config=config, choices=composed.choices | {"hardware": name})


@lru_cache(maxsize=8)
def _available(names: tuple[str, ...]) -> tuple[str | None, tuple[str, ...]]:
    """The first of the hardware options that this machine has, else why none."""
    reasons = []
    for name in names:
        try:
            candidate = option_config("hardware", name)
        except COMPOSE_ERRORS as error:
            raise UsageError(f"hardware.choose_from: {first_line(error)}") from error
        missing = instantiate(candidate).missing()
        if missing is None:
            return name, ()
        reasons.append(f"{name} {missing}")
    return None, tuple(reasons)


def freeze(composed: Composed, shared: Shared | None = None) -> Cell:
    """The cell of a composed configuration."""
    return make_cell(
        composed.config,
        composed.choices,
        seed=composed.config["seed"],
        changed=composed.changed,
        shared=shared,
    )


def reference_cells(composed: Sequence[Composed], shared: Shared | None = None) -> list[Cell]:
    """The reference rows that the head's card names."""
    return [
        make_cell(
            one.config,
            one.choices,
            seed=REFERENCE_SEED,
            reference=name,
            changed=one.changed,
            shared=shared,
        )
        for one in composed
        for name in (one.config["head"].get("card") or {}).get("references", [])
    ]
