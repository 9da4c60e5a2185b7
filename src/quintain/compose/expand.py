"""Hydra's sweep syntax: `a=1,2`, `glob(*)`, `range`, `choice`."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

from hydra.core.global_hydra import GlobalHydra
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from hydra.errors import OverrideParseException
from omegaconf import OmegaConf

from quintain.compose.diagnose import unknown_options
from quintain.compose.errors import UsageError
from quintain.compose.grids import axes_of
from quintain.compose.raw import COMPOSE_ERRORS, compose_raw


def expand(overrides: Sequence[str]) -> list[list[str]]:
    """One list of overrides a job.

    A suite's own `hydra.sweeper.params` and `sweep` list join in; what the command line says
    replaces them.

    Raises:
        UsageError: words that are no settings, and sweeps that have no values.
    """
    parsed = parse(overrides)
    for word in (o for o in parsed if o.key_or_group == "suite" and o.is_sweep_override()):
        raise UsageError(
            f"{word.input_line}: a suite is a sweep of its own, and a command runs one; give the"
            " command once for each suite, with the same store"
        )
    said = {o.key_or_group for o in parsed}
    suites = [o.input_line or "" for o in parsed if _chooses_sweep(o)]
    parameters, entries = _suite_sweeps(suites)
    added = parse([f"{k}={v}" for k, v in parameters.items() if k not in said])
    plain = [[[word] for word in _values(o)] for o in [*parsed, *added]]
    each = [[]] if entries is None else axes_of(entries, _swept, said | {*parameters})
    jobs = [
        tuple(word for words in job for word in words)
        for axes in each
        for job in itertools.product(*plain, *axes)
    ]
    return [list(job) for job in dict.fromkeys(jobs)]


def lists_sweeps(overrides: Sequence[str]) -> bool:
    """Whether the suite has a list of sweeps of its own, which Hydra's multirun does not know."""
    suites = [o.input_line or "" for o in parse(overrides) if _chooses_sweep(o)]
    return _suite_sweeps(suites)[1] is not None


def _swept(word: str) -> list[str]:
    return [text for override in parse([word]) for text in _values(override)]


def parse(overrides: Sequence[str]) -> list[Override]:
    """The words as Hydra reads them; raises UsageError naming each that it cannot read."""
    parser = OverridesParser.create(config_loader=GlobalHydra.instance().config_loader())
    parsed, problems = [], []
    for text in overrides:
        try:
            parsed += parser.parse_overrides([text])
        except OverrideParseException as error:
            problems.append(_unreadable(text, error))
    if problems:
        raise UsageError(problems + unknown_options([o.input_line or "" for o in parsed]))
    return parsed


def _unreadable(text: str, error: OverrideParseException) -> str:
    key, equals, value = text.partition("=")
    if not equals:
        return f"{text!r} is no setting; expected key=value, as in model=lstm"
    if any(c in value for c in " ()[]{}:,'\""):
        return f"{text}: {value!r} cannot be read; where it is one text, quote it: {key}=\"'…'\""
    return f"{text}: {str(error).splitlines()[0]}"


def _chooses_sweep(override: Override) -> bool:
    """Only these can bring a sweep of their own; the rest may need what the sweep chooses."""
    key = override.key_or_group
    return not override.is_sweep_override() and (
        key in ("suite", "sweep") or key.startswith("hydra")
    )


def _suite_sweeps(overrides: Sequence[str]) -> tuple[dict[str, Any], Any]:
    """A suite's `hydra.sweeper.params`, and its `sweep` list or None."""
    if unknown_options(overrides):
        return {}, None  # composing the jobs will tell it, with all else
    try:
        config = compose_raw(tuple(overrides))
        entries = OmegaConf.to_container(config, resolve=False)
        assert isinstance(entries, dict)
        return dict(config.hydra.sweeper.params or {}), entries.get("sweep")
    except COMPOSE_ERRORS:
        return {}, None


def _values(override: Override) -> list[str]:
    if not override.is_sweep_override():
        return [override.input_line or ""]
    if not override.is_discrete_sweep():
        raise UsageError(
            f"{override.input_line}: an interval cannot be swept; list its values,"
            " or search it with quintain tune"
        )
    key = override.get_key_element()
    swept = [f"{key}={value}" for value in override.sweep_string_iterator()]
    if not swept:
        raise UsageError(f"{override.input_line} matches no option")
    return list(dict.fromkeys(swept))
