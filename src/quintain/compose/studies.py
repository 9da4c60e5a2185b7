"""From words to studies: one search for every point of the grid, all with equal trials.

A study's name is a hash of what is searched, so that the same words find it again. Everything is
frozen here: editing a YAML while a search runs changes none of its trials.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from quintain.compose.cells import KEY_LENGTH, Cell, make_cell
from quintain.compose.config import Composed, composer
from quintain.compose.errors import UsageError
from quintain.compose.expand import expand, parse
from quintain.compose.jobs import compose_all, freeze, reference_cells
from quintain.compose.preflight import Verdict
from quintain.compose.settings import Settings, settings_of
from quintain.compose.space import (
    Dimension,
    corners,
    defaults,
    interval_words,
    read_space,
    with_values,
    wrong_search,
)

Examine = Callable[[Sequence[Cell]], dict[str, Verdict]]
PROBE: dict[str, Any] = {"study": "0" * KEY_LENGTH, "number": 0}
"""Marks a cell as a trial before its study has a name."""


@dataclass(frozen=True, kw_only=True)
class Study:
    """One search: a point of the grid, its space, and the seeds that its best will run with.

    Attributes:
        name: hash of what is searched; the number of trials is not in it, so that more may follow.
        label: dataset/model/hardware, for people.
        seeds: the configuration of each seed.
        space: what is searched.
        search: `tune` of the configuration: trials, sampler, pruner, startup, seed.
        metric, direction: of the main score on validation.
        width: of the core, where no searched setting can change it.
        skip: why this model cannot serve this data; then nothing is searched.
    """

    name: str
    label: str
    seeds: tuple[Composed, ...]
    space: tuple[Dimension, ...]
    search: Mapping[str, Any]
    metric: str = ""
    direction: str = ""
    width: float | None = None
    skip: str | None = None

    def trial_cell(self, values: Mapping[str, Any], trial: Mapping[str, Any]) -> Cell:
        """The cell of one trial; `trial` is what `run.journal.Journal` needs to know."""
        made = _trial_cell(self.seeds[0], values, self.search["seed"], trial)
        return replace(made, width=self.width)

    def best_cells(self, values: Mapping[str, Any], tuned: dict[str, Any]) -> list[Cell]:
        """Ordinary cells of every seed with these settings, which say what found them."""
        found = []
        for one in self.seeds:
            config = with_values(one.config, values)
            off = {n: v for n, v in values.items() if _value(one.config, n) != v}
            cell = freeze(replace(one, config=config, changed=one.changed | off))
            found.append(replace(cell, tuned=tuned))
        return found

    def plain_cells(self) -> list[Cell]:
        """The cells as they stand, of a study that is skipped."""
        return [freeze(one) for one in self.seeds]

    def first(self) -> dict[str, Any]:
        """The settings as they stand: the first trial, so that no search ends below them."""
        return defaults(self.seeds[0].config, self.space)

    def plain_space(self) -> dict[str, dict[str, Any]]:
        """The space as a record keeps it."""
        return {d.name: d.plain() for d in self.space}


@dataclass(frozen=True, kw_only=True)
class Studies:
    """All searches of a command, where they run, and the reference rows beside their winners."""

    settings: Settings
    studies: list[Study]
    references: list[Cell]


def make_studies(
    words: Sequence[str],
    examine: Examine,
    *,
    references: bool,
    missing: str = "",
) -> Studies:
    """The searches that the words ask for, each space tried at its corners.

    Args:
        words: as of a sweep; intervals are searched.
        examine: preflights cells.
        references: add the reference rows of every dataset.
        missing: what this machine lacks for a search, "" if nothing.

    Raises:
        UsageError: everything that is wrong, at once.
    """
    with composer():
        parsed = parse(words)
        said = interval_words(parsed)
        kept = [o.input_line or "" for o in parsed if o.key_or_group not in said]
        fixed = {o.key_or_group for o in parsed if o.key_or_group not in said}
        composed = compose_all(expand(kept))
        studies, problems = [], [missing] if missing else []
        for together in _points(composed):
            try:
                studies.append(_study(together, said, fixed))
            except UsageError as error:
                problems += error.problems
        if problems:
            raise UsageError(dict.fromkeys(problems))
        free = reference_cells(composed) if references else []
        settings = settings_of(composed[0].config)
    return Studies(
        settings=settings,
        studies=_examined(studies, examine),
        references=list({cell.key: cell for cell in free}.values()),
    )


def _points(composed: Sequence[Composed]) -> list[list[Composed]]:
    """The grid without its seeds; a seed that is named twice counts once."""
    found: dict[str, dict[int, Composed]] = {}
    for one in composed:
        rest = {k: v for k, v in one.config.items() if k != "seed"}
        key = json.dumps([rest, one.choices], sort_keys=True, default=str)
        found.setdefault(key, {})[one.config["seed"]] = one
    return [list(seeds.values()) for seeds in found.values()]


def _study(
    together: Sequence[Composed],
    said: Mapping[str, dict[str, Any]],
    fixed: set[str],
) -> Study:
    first = together[0]
    search = {k: v for k, v in first.config["tune"].items() if k != "space"}
    problems = wrong_search(first.config["tune"])
    space: tuple[Dimension, ...] = ()
    if not any(text.startswith("tune.space") for text in problems):
        try:
            space = read_space(first.config, said, fixed)
        except UsageError as error:
            problems += error.problems
    if problems:
        raise UsageError(problems)
    cell = _trial_cell(first, {}, search["seed"], PROBE)
    about = {d.name: d.plain() for d in space}
    rest = {k: v for k, v in search.items() if k != "trials"}
    text = json.dumps([cell.key, about, rest], sort_keys=True)
    return Study(
        name=hashlib.sha256(text.encode()).hexdigest()[:KEY_LENGTH],
        label=re.sub(r"/s\d+$", "", cell.label),
        seeds=tuple(together),
        space=space,
        search=search,
    )


def _trial_cell(
    one: Composed, values: Mapping[str, Any], seed: int, trial: Mapping[str, Any]
) -> Cell:
    config = with_values(one.config, values)
    off = {n: v for n, v in values.items() if _value(one.config, n) != v}
    return make_cell(config, one.choices, seed=seed, changed=one.changed | off, trial=dict(trial))


def _value(config: Mapping[str, Any], name: str) -> Any:
    node: Any = config
    for step in name.split("."):
        node = node.get(step)
    return node


def _examined(studies: Sequence[Study], examine: Examine) -> list[Study]:
    """Each study with what preflight says of it and of its corners."""
    base = [s.trial_cell({}, PROBE) for s in studies]
    at = [
        [s.trial_cell(values, PROBE) for values in corners(s.seeds[0].config, s.space)]
        for s in studies
    ]
    verdicts = examine([*base, *(cell for cells in at for cell in cells)])
    found, problems = [], []
    for study, cell, ends in zip(studies, base, at, strict=True):
        verdict = verdicts[cell.key]
        if verdict.skip is None:
            skips = {verdicts[end.key].skip for end in ends} - {None}
            problems += [f"{study.label}: not all of its space can be built: {s}" for s in skips]
        metric, direction = verdict.score or ("", "")
        alike = all(d.name.startswith("optimizer.") for d in study.space)
        width = verdict.width if alike else None
        found.append(
            replace(study, metric=metric, direction=direction, width=width, skip=verdict.skip)
        )
    if problems:
        raise UsageError(problems)
    return found
