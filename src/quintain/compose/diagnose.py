"""Explains why overrides do not compose, with one message for each wrong override.

Hydra stops at the first problem. Here each override is checked together with the valid ones. Wrong
options are replaced by similar ones, so that the values of all other settings can be checked too.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from omegaconf import DictConfig, OmegaConf
from yaml import MarkedYAMLError

from quintain.compose.hydra_compose import COMPOSE_ERRORS, compose_unresolved, load_yaml
from quintain.compose.instantiate import RESERVED_KEYS, omitted_settings
from quintain.compose.plugin_providers import available_options
from quintain.errors import UsageError, guess, nearest

COMMON_NAMES = {
    **dict.fromkeys(
        ("epochs", "num_epochs", "max_epochs", "n_epochs"),
        "budget.steps (budgets count optimizer steps, not epochs)",
    ),
    **dict.fromkeys(("max_steps", "num_steps", "iterations"), "budget.steps"),
    **dict.fromkeys(("learning_rate", "alpha", "eta"), "optimizer.lr"),
    **dict.fromkeys(("gpus", "num_gpus"), "hardware.devices (with hardware=cuda_ddp)"),
    **dict.fromkeys(("num_workers", "jobs", "n_jobs"), "launch.workers"),
    **dict.fromkeys(("time_limit", "timeout"), "launch.time_limit"),
    **dict.fromkeys(("project", "entity"), "wandb.project or wandb.entity"),
    "random_state": "seed",
    "trials": "tune.trials",
}
"""What other programs call some settings → the setting."""
SCAFFOLD_FOLDER = "quintain_plugins"  # the default folder of `quintain new`


class CompositionError(UsageError):
    """Overrides do not compose; `corrected` are similar overrides that do."""

    def __init__(self, problems: Sequence[str], corrected: Sequence[str]) -> None:
        super().__init__(problems)
        self.corrected = list(corrected)


def find_unknown_options(overrides: Sequence[str]) -> list[str]:
    """Return one message for each override that chooses an option that does not exist."""
    options = available_options()
    return [text for o in _parse(overrides) if (text := _find_option_problem(o, options))]


def diagnose(overrides: Sequence[str], error: Exception) -> CompositionError:
    """Return an error with one message for each wrong override.

    If no single override is wrong, the message is the first line of `error`, which Hydra raised.
    """
    options = available_options()
    problems, choices, settings = [], [], []
    unknown_parts = set()  # parts without a similar option: their settings cannot be checked
    for override in _parse(overrides):
        group = override.key_or_group
        if group not in options and not group.startswith("hydra/"):
            settings.append(override)
        elif not (problem := _find_option_problem(override, options)):
            choices.append(override.input_line or "")
        else:
            problems.append(problem)
            if similar := guess(str(override.value()), options.get(group, ())):
                choices.append(f"{group}={similar}")
            else:
                unknown_parts.add(group)
    settings = [o for o in settings if o.key_or_group.partition(".")[0] not in unknown_parts]
    setting_problems = dict(_find_setting_problems(settings, choices))
    problems += setting_problems.values()
    valid = [o.input_line or "" for o in settings if o.input_line not in setting_problems]
    return CompositionError(problems or [first_line(error)], [*choices, *valid])


def _find_setting_problems(
    settings: Sequence[Override], choices: Sequence[str]
) -> Iterator[tuple[str, str]]:
    """Yield override and message for each setting that does not fit the chosen options."""
    try:
        config = compose_unresolved(tuple(choices))
    except COMPOSE_ERRORS:
        return
    for override in settings:
        text = override.input_line or ""
        if problem := _find_unknown_key(override, config):
            yield text, problem
            continue
        try:
            compose_unresolved((*choices, text))
        except COMPOSE_ERRORS as error:
            yield text, f"{text}: {first_line(error)}"


def _find_option_problem(override: Override, options: dict[str, dict[str, str]]) -> str:
    """Return a message if an override of a group does not choose one of its options, else ""."""
    group = override.key_or_group
    if group not in options or override.is_sweep_override():
        return ""
    if override.is_delete():
        return "" if group == "suite" else f"~{group}: a run needs its {group}; choose another"
    name = override.value()
    if name is None and group == "suite":
        return ""
    if isinstance(name, str) and name:
        name = str(name)  # Hydra's type for quoted text is a subclass
        if name in options[group]:
            return ""
        if folder := _find_plugin_folder(group, name):
            return f"{group}={name}: it is in {folder}; add plugins_dir={folder}"
        return f"{group}={name}: there is no such {group}{nearest(name, options[group])}"
    names = ", ".join(sorted(options[group]))
    return f"{override.input_line}: expected the name of one {group}. Known: {names}"


def _find_plugin_folder(group: str, name: str) -> Path | None:
    """Return a folder here, such as that of `quintain new`, with a plugin of this name."""
    folders = (Path(SCAFFOLD_FOLDER), *sorted(Path().iterdir()))
    return next((f for f in folders if (f / "conf" / group / f"{name}.yaml").is_file()), None)


def _find_unknown_key(override: Override, config: DictConfig) -> str:
    """Return a message if a key in `a.b.c` does not exist, else ""; `+a.b.c` may add the last."""
    keys = override.key_or_group.split(".")
    node: Any = OmegaConf.to_container(config, resolve=False)
    for depth, key in enumerate(keys):
        path = ".".join(keys[:depth])
        if not isinstance(node, dict):
            return f"{override.input_line}: {path} is a value and has no settings"
        if key not in node:
            is_last = depth == len(keys) - 1
            if is_last and depth and (override.is_add() or override.is_force_add()):
                return ""
            choice = config.hydra.runtime.choices.get(path)
            return f"{override.input_line}: {_explain_unknown_key(override, depth, node, choice)}"
        node = node[key]
    return ""


def _explain_unknown_key(
    override: Override, depth: int, node: dict[str, Any], choice: str | None
) -> str:
    """Say that a node does not have the key at this depth of `a.b.c`, and what to type instead.

    A setting that the plugin's signature accepts and its YAML does not list is added by `+a.b=c`.
    To read the signature, the plugin is imported; before preflight this happens only here.
    """
    keys = override.key_or_group.split(".")
    path, key = ".".join(keys[:depth]), keys[depth]
    typed = (override.input_line or "").lstrip("+")
    if "choose_from" in node:
        return _explain_key_of_choice(path, key, choice, node["choose_from"], typed)
    names = [k for k in node if not str(k).startswith("_") and k not in ("card", "hydra")]
    omitted = [] if override.is_delete() else omitted_settings(path, node)
    owner = f"{path}={choice}" if choice else path
    if key in omitted:
        return f"the YAML of {owner} does not list {key}; type +{typed}"
    full_key = ".".join(keys[: depth + 1])
    problem = f"{owner} has no setting {key}" if choice else f"there is no setting {full_key}"
    if not depth and (setting := COMMON_NAMES.get(key)):
        return f"{problem}; did you mean {setting}?"
    if not depth:  # such as `lr` instead of `optimizer.lr`
        for part, settings in node.items():
            if part != "hydra" and isinstance(settings, dict) and key in settings:
                return f"{problem}; did you mean {part}.{key}?"
    similar = guess(key, [*names, *omitted])
    if similar in omitted:
        similar = f"+{typed}".replace(full_key, f"{path}.{similar}", 1)
    hint = f"; did you mean {similar}?" if similar else "."
    known = f"Known: {', '.join(sorted(names)) or 'none'}"
    if omitted:
        known += f"; not in its YAML: {', '.join(omitted)} (+{path}.{omitted[0]}=…)"
    return f"{problem}{hint} {known}"


def _explain_key_of_choice(
    path: str, key: str, choice: str | None, options: Sequence[str], typed: str
) -> str:
    """Say what to type for a setting of the option that `hardware=auto` will choose."""
    known = sorted(available_options()[path])
    owners = [name for name in [*options, *known] if key in _list_settings(path, name)]
    if not owners:
        settings = {setting for name in known for setting in _list_settings(path, name)}
        return f"no {path} has a setting {key}{nearest(key, settings)}"
    if not {*options} & {*owners}:
        names = ", ".join(dict.fromkeys(owners))
        return f"{path}={choice} has no setting {key}; {names} have it: {path}={owners[0]} {typed}"
    whichever = f", or type +{typed} to set it whichever is chosen"
    return (
        f"{path}={choice} chooses the first of {', '.join(options)} that this machine has; choose"
        f" one yourself ({path}={[name for name in options if name in owners][-1]} {typed})"
        f"{whichever if {*options} <= {*owners} else ''}"
    )


def _list_settings(group: str, option: str) -> list[str]:
    """Return the settings of an option, in its YAML and in the signature of its class."""
    file = load_yaml(f"{group}/{option}")
    node: Any = OmegaConf.to_container(file.config, resolve=False) if file else {}
    names = [name for name in node if name not in (*RESERVED_KEYS, "defaults", "choose_from")]
    return [*names, *omitted_settings(group, node)]


def first_line(error: Exception) -> str:
    """Return the first non-empty line of an error; of a YAML error also the file and the line."""
    if isinstance(error, MarkedYAMLError) and (mark := error.problem_mark):
        return f"{mark.name}, line {mark.line + 1}: {error.problem or error.context}"
    return next((line.strip() for line in str(error).splitlines() if line.strip()), repr(error))


def _parse(overrides: Sequence[str]) -> list[Override]:
    parsed: list[Override] = OverridesParser.create().parse_overrides(list(overrides))
    return parsed
