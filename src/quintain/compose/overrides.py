"""Expands overrides in Hydra's sweep syntax (`a=1,2`, `glob`, `range`, `choice`) into jobs.

Besides `hydra.sweeper.params`, a suite may have a list `sweep` of several grids:

    sweep:
      - grid: {dataset: "digits,sunspots", model: [mlp, cnn]}
      - paired: {dataset: [pydoc, spoken_words], model: [lstm, cnn]}
        grid: {seed: "1,2"}

`grid` stands for every combination of its values. `paired` combines the first values of all its
settings, then the second values, and so on. An entry with both combines each pair with the whole
grid. Values are a list, or a string in Hydra's sweep syntax.
"""

from __future__ import annotations

import itertools
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from hydra.core.global_hydra import GlobalHydra
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from omegaconf import OmegaConf

from quintain.compose.config import hydra_session
from quintain.compose.diagnose import find_unknown_options
from quintain.compose.hydra_compose import COMPOSE_ERRORS, compose_unresolved
from quintain.compose.plugin_providers import available_options
from quintain.compose.settings import EXECUTION_SETTINGS
from quintain.compose.words import (
    explain_readings,
    find_text_settings,
    format_hydra_value,
    quote_words,
    shell_override,
)
from quintain.errors import UsageError, nearest

Axis = list[list[str]]
"""The values of one axis of a grid; each is a list of overrides that are set together."""

ENTRY_KEYS = ("grid", "paired")


def expand_overrides(overrides: Sequence[str]) -> list[list[str]]:
    """Return the jobs of a sweep: lists of overrides without sweep syntax, each job once.

    The suite's `hydra.sweeper.params` and `sweep` list are added, except for settings that are
    among the overrides.

    Raises:
        UsageError: an override cannot be parsed, or a sweep has no values.
    """
    parsed = parse_overrides(overrides)
    for override in parsed:
        if override.key_or_group == "suite" and override.is_sweep_override():
            raise UsageError(
                f"{override.input_line}: a suite is a sweep, and a command runs only one; run the"
                " command once for each suite, with the same store"
            )
    keys = {override.key_or_group for override in parsed}
    parameters, entries = _load_suite_sweep(parsed)
    added = parse_overrides([f"{k}={v}" for k, v in parameters.items() if k not in keys])
    common_axes = [[[text] for text in _expand(override)] for override in [*parsed, *added]]
    grids = [[]] if entries is None else _read_entries(entries, keys | {*parameters})
    jobs = [
        tuple(text for texts in job for text in texts)
        for axes in grids
        for job in itertools.product(*common_axes, *axes)
    ]
    return [list(job) for job in dict.fromkeys(jobs)]


def has_sweep_list(overrides: Sequence[str]) -> bool:
    """Whether the suite has a `sweep` list, which Hydra's multirun does not know."""
    return _load_suite_sweep(parse_overrides(overrides))[1] is not None


def parse_overrides(overrides: Sequence[str]) -> list[Override]:
    """Parse overrides as Hydra does.

    Raises:
        UsageError: with a message for each override that cannot be parsed.
    """
    parser = OverridesParser.create(config_loader=GlobalHydra.instance().config_loader())
    text_settings = find_text_settings(_chosen_datasets(overrides))
    words, problems = quote_words(overrides, text_settings)
    parsed: list[Override] = parser.parse_overrides(words)
    problems += filter(None, map(_find_location_problem, parsed))
    if problems:
        raise UsageError(problems + find_unknown_options(words))
    return parsed


@contextmanager
def explained_words(overrides: Sequence[str]) -> Iterator[None]:
    """Add to a `UsageError` in the `with` block how values of text settings were read."""
    try:
        yield
    except UsageError as error:
        try:
            with hydra_session():
                settings = find_text_settings(_chosen_datasets(overrides))
        except UsageError:
            raise error from None
        readings = explain_readings(overrides, settings, error.problems)
        raise UsageError([*error.problems, *readings]) from None


def check_hydra_settings(overrides: Sequence[str], *, is_multirun: bool = False) -> None:
    """Raise a UsageError for settings of Hydra itself that the command would ignore."""
    reasons = {
        "hydra/sweeper": "quintain tune searches settings, with equal trials for every model",
        "hydra.run.dir": "a run writes no files of its own, and its record is in store=FOLDER",
    }
    if not is_multirun:
        reasons |= {
            "hydra/launcher": "Hydra's launchers work with quintain run -m",
            "hydra.": "Hydra's own settings work with quintain run -m",
        }
    problems = []
    for text in overrides:
        key = text.lstrip("+~")
        if not key.startswith("hydra.searchpath"):
            found = (reason for start, reason in reasons.items() if key.startswith(start))
            problems += [f"{text}: {reason}" for reason in found][:1]
    if problems:
        raise UsageError(problems)


def _chosen_datasets(overrides: Sequence[str]) -> list[str]:
    """Return the options that `dataset=…` overrides name; all if only a suite may choose one."""
    values = [text.partition("=")[2] for text in overrides if text.startswith("dataset=")]
    options = available_options()["dataset"]
    if not values and any(text.startswith("suite=") for text in overrides):
        return [*options]
    return [name for value in values for name in value.split(",") if name in options]


def _find_location_problem(override: Override) -> str:
    """Return a message if an override gives several values to a setting of the whole sweep."""
    key, value = override.key_or_group, (override.input_line or "").partition("=")[2]
    is_shared = key.split(".")[0] in {*EXECUTION_SETTINGS} - {"tune"}
    if not is_shared or not override.is_sweep_override():
        return ""
    hint = shell_override(key, value)
    return f"{key}={value}: a sweep has one {key}; if this is one text, type {hint}"


def _load_suite_sweep(overrides: Sequence[Override]) -> tuple[dict[str, Any], Any]:
    """Return the suite's `hydra.sweeper.params`, and its `sweep` list or None.

    Only overrides that may set one of these are composed: the others may set values of an option
    that the sweep chooses.
    """
    texts = [
        override.input_line or ""
        for override in overrides
        if not override.is_sweep_override()
        and override.key_or_group.startswith(("suite", "sweep", "hydra"))
    ]
    if find_unknown_options(texts):
        return {}, None  # reported with all other problems when the jobs are composed
    try:
        config = compose_unresolved(tuple(texts))
        plain: Any = OmegaConf.to_container(config, resolve=False)
        return dict(config.hydra.sweeper.params or {}), plain.get("sweep")
    except COMPOSE_ERRORS:
        return {}, None


def _expand(override: Override) -> list[str]:
    """Return the overrides without sweep syntax that one override stands for."""
    if not override.is_sweep_override():
        return [override.input_line or ""]
    if not override.is_discrete_sweep():
        raise UsageError(
            f"{override.input_line}: an interval cannot be swept; list its values,"
            " or search it with quintain tune"
        )
    key = override.get_key_element()
    texts = [f"{key}={value}" for value in override.sweep_string_iterator()]
    if not texts:
        raise UsageError(f"{override.input_line} matches no option")
    return list(dict.fromkeys(texts))


def _read_entries(entries: Any, ignored: Collection[str]) -> list[list[Axis]]:
    """Return the axes of each entry of a suite's `sweep` list, without the `ignored` settings.

    Raises:
        UsageError: with a message for each entry that is not valid.
    """
    if not isinstance(entries, list) or not entries:
        raise UsageError(f"sweep: expected a list of grid: and paired: tables, got {entries!r}")
    grids, problems = [], []
    for index, entry in enumerate(entries):
        try:
            grids.append(_read_entry(f"sweep[{index}]", entry, ignored))
        except UsageError as error:
            problems += error.problems
    if problems:
        raise UsageError(problems)
    return grids


def _read_entry(path: str, entry: Any, ignored: Collection[str]) -> list[Axis]:
    if not isinstance(entry, dict) or not entry:
        raise UsageError(f"{path}: expected grid: or paired: with settings, got {entry!r}")
    overrides: dict[str, dict[str, list[str]]] = {}
    for kind, table in entry.items():
        if kind not in ENTRY_KEYS:
            hint = nearest(str(kind), ENTRY_KEYS)
            raise UsageError(f"{path}.{kind}: there is no such kind of sweep{hint}")
        if not isinstance(table, dict) or not table:
            raise UsageError(f"{path}.{kind}: expected settings with their values, got {table!r}")
        overrides[kind] = {
            key: _expand_values(f"{path}.{kind}", key, value)
            for key, value in table.items()
            if key not in ignored
        }
    axes = [[[text] for text in texts] for texts in overrides.get("grid", {}).values()]
    if paired := overrides.get("paired"):
        counts = {key: len(texts) for key, texts in paired.items()}
        if len(set(counts.values())) > 1:
            lengths = ", ".join(f"{key} has {count}" for key, count in counts.items())
            raise UsageError(f"{path}.paired: all settings need equally many values: {lengths}")
        axes.insert(0, [list(pair) for pair in zip(*paired.values(), strict=True)])
    return axes


def _expand_values(path: str, key: Any, value: Any) -> list[str]:
    if isinstance(value, str | int | float | bool) or value is None:
        text = value if isinstance(value, str) else format_hydra_value(value)
        return _expand(*parse_overrides([f"{key}={text}"]))
    if not isinstance(value, list) or not value:
        raise UsageError(f"{path}.{key}: expected values, got {value!r}")
    if nested := [item for item in value if isinstance(item, dict | list)]:
        raise UsageError(f"{path}.{key}: expected plain values, got {nested[0]!r}")
    return [f"{key}={_format_item(item)}" for item in value]


def _format_item(item: Any) -> str:
    is_interpolation = isinstance(item, str) and "${" in item
    return item if is_interpolation else format_hydra_value(item)
