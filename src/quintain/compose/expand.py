"""Hydra's sweep syntax: `a=1,2`, `glob(*)`, `range`, `choice`."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

from hydra.core.global_hydra import GlobalHydra
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from hydra.errors import OverrideParseException

from quintain.compose.diagnose import unknown_options
from quintain.compose.errors import UsageError
from quintain.compose.raw import COMPOSE_ERRORS, compose_raw


def expand(overrides: Sequence[str]) -> list[list[str]]:
    """One list of overrides a job.

    A suite's own `hydra.sweeper.params` join in; what the command line says replaces them.

    Raises:
        UsageError: words that are no settings, and sweeps that have no values.
    """
    parsed = parse(overrides)
    said = {o.key_or_group for o in parsed}
    suites = [o.input_line or "" for o in parsed if _chooses_sweep(o)]
    added = parse([f"{k}={v}" for k, v in _suite_parameters(suites).items() if k not in said])
    return [list(job) for job in itertools.product(*map(_values, [*parsed, *added]))]


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
    return not override.is_sweep_override() and (key == "suite" or key.startswith("hydra"))


def _suite_parameters(overrides: Sequence[str]) -> dict[str, Any]:
    if unknown_options(overrides):
        return {}  # composing the jobs will tell it, with all else
    try:
        return dict(compose_raw(tuple(overrides)).hydra.sweeper.params or {})
    except COMPOSE_ERRORS:
        return {}


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
