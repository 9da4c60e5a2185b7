"""Plans the searches of a command: one study for each configuration, all with as many trials.

The name of a study is a hash of its configuration and space, so that the same command continues it.
All is composed here, so that editing a YAML file while a search runs changes none of its trials.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from quintain.compose.config import Composition, hydra_session
from quintain.compose.overrides import (
    check_hydra_settings,
    expand_overrides,
    explained_words,
    parse_overrides,
)
from quintain.compose.settings import Settings, read_settings
from quintain.errors import UsageError
from quintain.plan.cell import KEY_LENGTH, Cell, make_cell
from quintain.plan.cell_factory import compose_jobs, make_baseline_cells, make_run_cell
from quintain.plan.plan import PlanServices
from quintain.tuning.search_space import (
    Dimension,
    corner_values,
    find_search_problems,
    get_value,
    read_interval_overrides,
    read_space,
    set_values,
)

UNNAMED_TRIAL: dict[str, Any] = {"study": "0" * KEY_LENGTH, "number": 0}
"""Replaces `Cell.trial` before the name of the study is known."""


@dataclass(frozen=True, kw_only=True)
class Study:
    """One search: a configuration, its space, and the seeds that its best settings run with.

    Attributes:
        name: hash of configuration and space, but not of the number of trials, so that a search
            can be extended.
        label: dataset/model/hardware, for messages.
        compositions: the configuration with each seed.
        space: the searched settings and their ranges.
        search: the settings trials, sampler, pruner, startup and seed of `tune`.
        metric, direction: of the main score on validation.
        width: of the model, if no searched setting can change it.
        skip: why the model does not support the dataset, so that there is no search; else None.
    """

    name: str
    label: str
    compositions: tuple[Composition, ...]
    space: tuple[Dimension, ...]
    search: Mapping[str, Any]
    metric: str = ""
    direction: str = ""
    width: float | None = None
    skip: str | None = None

    def make_trial_cell(self, values: Mapping[str, Any], trial: Mapping[str, Any]) -> Cell:
        """Return the cell of one trial; `trial` is for `run.optuna_storage.TrialJournal`."""
        cell = _make_trial_cell(self.compositions[0], values, self.search["seed"], trial)
        return replace(cell, width=self.width)

    def make_best_cells(self, values: Mapping[str, Any], tuned: dict[str, Any]) -> list[Cell]:
        """Return a cell with these settings for each seed, whose records contain `tuned`."""
        return [
            replace(make_run_cell(_with_values(composition, values)), tuned=tuned)
            for composition in self.compositions
        ]

    def default_values(self) -> dict[str, Any]:
        """Return the current settings for the first trial, so that no search ends below them.

        Return {} if the space does not contain all of them.
        """
        config = self.compositions[0].config
        values = {d.name: get_value(config, d.name) for d in self.space}
        return values if all(d.contains(values[d.name]) for d in self.space) else {}

    def plain_space(self) -> dict[str, dict[str, Any]]:
        """Return the space as JSON values."""
        return {d.name: d.to_plain() for d in self.space}


@dataclass(frozen=True, kw_only=True)
class TuningPlan:
    """All searches of a command, its settings, and the baselines to run with the best cells."""

    settings: Settings
    studies: list[Study]
    baselines: list[Cell]


def plan_tuning(
    overrides: Sequence[str],
    services: PlanServices,
    *,
    baselines: bool,
    missing: str = "",
) -> TuningPlan:
    """Return the searches of a command, after preflight at the corners of each space.

    Intervals in the overrides are searched, other values are swept. `baselines` adds the baselines
    of every dataset; `missing` is a message about a missing package, or "".

    Raises:
        UsageError: with every problem.
    """
    check_hydra_settings(overrides)
    with explained_words(overrides), hydra_session():
        parsed = parse_overrides(overrides)
        ranges = read_interval_overrides(parsed)
        others = [override for override in parsed if override.key_or_group not in ranges]
        fixed = {override.key_or_group for override in others}
        compositions = compose_jobs(expand_overrides([o.input_line or "" for o in others]))
        studies, problems = [], [missing] if missing else []
        for repeats in _group_by_configuration(compositions):
            try:
                studies.append(_make_study(repeats, ranges, fixed))
            except UsageError as error:
                problems += error.problems
        if problems:
            raise UsageError(dict.fromkeys(problems))
        baseline_cells = [
            cell
            for composition in (compositions if baselines else ())
            for cell in make_baseline_cells(composition)
        ]
        settings = read_settings(compositions[0].config)
    return TuningPlan(
        settings=settings,
        studies=_preflight(studies, services),
        baselines=list({cell.key: cell for cell in baseline_cells}.values()),
    )


def _group_by_configuration(compositions: Sequence[Composition]) -> list[list[Composition]]:
    """Group compositions that differ only in the seed; each seed is in a group once."""
    groups: dict[str, dict[int, Composition]] = {}
    for composition in compositions:
        seedless = {key: value for key, value in composition.config.items() if key != "seed"}
        identity = json.dumps([seedless, composition.choices], sort_keys=True, default=str)
        groups.setdefault(identity, {})[composition.config["seed"]] = composition
    return [list(seeds.values()) for seeds in groups.values()]


def _make_study(
    repeats: Sequence[Composition],
    ranges: Mapping[str, dict[str, Any]],
    fixed: set[str],
) -> Study:
    first = repeats[0]
    search = {key: value for key, value in first.config["tune"].items() if key != "space"}
    problems = find_search_problems(first.config["tune"])
    try:
        space = read_space(first.config, ranges, fixed)
    except UsageError as error:
        problems += error.problems
    if problems:
        raise UsageError(problems)
    cell = _make_trial_cell(first, {}, search["seed"], UNNAMED_TRIAL)
    plain_space = {d.name: d.to_plain() for d in space}
    hashed = {key: value for key, value in search.items() if key != "trials"}
    text = json.dumps([cell.key, plain_space, hashed], sort_keys=True)
    return Study(
        name=hashlib.sha256(text.encode()).hexdigest()[:KEY_LENGTH],
        label=re.sub(r"/s\d+$", "", cell.label),
        compositions=tuple(repeats),
        space=space,
        search=search,
    )


def _make_trial_cell(
    composition: Composition, values: Mapping[str, Any], seed: int, trial: Mapping[str, Any]
) -> Cell:
    composition = _with_values(composition, values)
    return make_cell(
        composition.config,
        composition.choices,
        seed=seed,
        non_defaults=composition.non_defaults,
        trial=dict(trial),
    )


def _with_values(composition: Composition, values: Mapping[str, Any]) -> Composition:
    """Return the composition with other values; those that differ are added to `non_defaults`."""
    changed = {n: v for n, v in values.items() if get_value(composition.config, n) != v}
    return replace(
        composition,
        config=set_values(composition.config, values),
        non_defaults=composition.non_defaults | changed,
    )


def _preflight(studies: Sequence[Study], services: PlanServices) -> list[Study]:
    """Return each study with its preflight results; all corners of its space must be buildable."""
    defaults = [study.make_trial_cell({}, UNNAMED_TRIAL) for study in studies]
    corners = [
        [study.make_trial_cell(values, UNNAMED_TRIAL) for values in corner_values(study.space)]
        for study in studies
    ]
    results = services.preflight([*defaults, *(cell for cells in corners for cell in cells)])
    checked, problems = [], []
    for study, default, cells in zip(studies, defaults, corners, strict=True):
        result = results[default.key]
        if result.skip is None:
            reasons = {results[cell.key].skip for cell in cells} - {None}
            problems += [f"{study.label}: not all of tune.space can be built: {r}" for r in reasons]
        metric, direction = result.score or ("", "")
        has_one_width = all(d.name.startswith("optimizer.") for d in study.space)
        width = result.width if has_one_width else None
        checked.append(
            replace(study, metric=metric, direction=direction, width=width, skip=result.skip)
        )
    if problems:
        raise UsageError(problems)
    return checked
