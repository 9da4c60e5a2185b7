"""Why words do not compose: each problem as a sentence, and the words as they were likely meant.

Hydra stops at the first problem. Here each word is judged beside the good ones, and what is left
after mending can be composed, so that the values in it are judged in the same answer.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from omegaconf import DictConfig, OmegaConf
from yaml import MarkedYAMLError

from quintain.compose.bind import omitted
from quintain.compose.errors import UsageError, guess, nearest
from quintain.compose.providers import options
from quintain.compose.raw import COMPOSE_ERRORS, compose_raw

FOLDER = "quintain_plugins"  # where `quintain new` writes, unless told otherwise


class Uncomposable(UsageError):
    """Words that do not compose; `mended` are those that do, with the nearest options."""

    def __init__(self, problems: Sequence[str], mended: Sequence[str]) -> None:
        super().__init__(problems)
        self.mended = list(mended)


def unknown_options(overrides: Sequence[str]) -> list[str]:
    """A sentence for each word that chooses what is not there, whatever Hydra makes of it."""
    known = options()
    return [text for o in _parsed(overrides) if (text := _unknown_option(o, known))]


def explain(overrides: Sequence[str], error: Exception) -> Uncomposable:
    """Every word that is wrong by itself; where there is none, Hydra's own first words."""
    known = options()
    problems, groups, others = [], [], []
    lost = set()  # groups whose option cannot even be guessed: their settings cannot be judged
    for override in _parsed(overrides):
        word, group = override.input_line or "", override.key_or_group
        if group not in known and not group.startswith("hydra/"):
            others.append(override)
        elif text := _unknown_option(override, known):
            problems.append(text)
            close = guess(str(override.value()), known.get(group, ()))
            groups += [f"{group}={close}"] if close else []
            lost |= set() if close else {group}
        else:
            groups.append(word)
    judged = [o for o in others if o.key_or_group.partition(".")[0] not in lost]
    wrong = dict(_wrong_settings(judged, groups))
    problems += wrong.values()
    kept = [o.input_line or "" for o in judged if o.input_line not in wrong]
    return Uncomposable(problems or [first_line(error)], [*groups, *kept])


def _wrong_settings(
    overrides: Sequence[Override], groups: Sequence[str]
) -> Iterator[tuple[str, str]]:
    """(word, sentence) of each setting that does not go with the chosen options."""
    try:
        config = compose_raw(tuple(groups))
    except COMPOSE_ERRORS:
        return
    for override in overrides:
        word = override.input_line or ""
        if sentence := _unknown_setting(override, config):
            yield word, sentence
            continue
        try:
            compose_raw((*groups, word))
        except COMPOSE_ERRORS as alone:
            yield word, f"{word}: {first_line(alone)}"


def _unknown_option(override: Override, known: dict[str, dict[str, str]]) -> str:
    group = override.key_or_group
    if group not in known or override.is_sweep_override():
        return ""
    if override.is_delete():
        return "" if group == "suite" else f"~{group}: a run needs its {group}; choose another"
    name = override.value()
    if name is None and group == "suite":
        return ""
    if isinstance(name, str) and name:
        name = str(name)  # quoted or not
        if name in known[group]:
            return ""
        made = Path(FOLDER) / "conf" / group / f"{name}.yaml"
        if made.is_file():
            return f"{group}={name}: it stands in {FOLDER}; add plugins_dir={FOLDER}"
        return f"{group}={name}: there is no such {group}{nearest(name, known[group])}"
    word = override.input_line
    return f"{word}: expected the name of one {group}. Known: {', '.join(sorted(known[group]))}"


def _unknown_setting(override: Override, config: DictConfig) -> str:
    """Whether each step of a.b.c leads somewhere; what `+` adds may be new at its last step."""
    steps = override.key_or_group.split(".")
    node: Any = OmegaConf.to_container(config, resolve=False)
    for depth, step in enumerate(steps):
        path = ".".join(steps[:depth])
        last = depth == len(steps) - 1
        if not isinstance(node, dict):
            return f"{override.input_line}: {path} is a value and has no settings"
        if step not in node:
            if last and depth and (override.is_add() or override.is_force_add()):
                return ""
            chosen = config.hydra.runtime.choices.get(path)
            return f"{override.input_line}: {_lacks(override, depth, node, chosen)}"
        node = node[step]
    return ""


def _lacks(override: Override, depth: int, node: dict[str, Any], chosen: str | None) -> str:
    """What has no such setting, and what to type instead, with a + where its YAML omits that.

    Only here is a plugin imported before preflight, to read its signature.
    """
    steps = override.key_or_group.split(".")
    path, step = ".".join(steps[:depth]), steps[depth]
    if "choose_from" in node:
        word = (override.input_line or "").lstrip("+")
        options = ", ".join(map(str, node["choose_from"]))
        return (
            f"{path}={chosen} is the first of {options} that this machine has; name one"
            f" ({path}={node['choose_from'][-1]} {word}), or type +{word} for whichever it is"
        )
    names = [k for k in node if not str(k).startswith("_") and k not in ("card", "hydra")]
    absent = [] if override.is_delete() else omitted(path, node)
    what = f"{path}={chosen}" if chosen else path
    plus = f"+{(override.input_line or '').lstrip('+')}"
    if step in absent:
        return f"the YAML of {what} does not list {step}; type {plus}"
    wrong = ".".join(steps[: depth + 1])
    lacks = f"{what} has no setting {step}" if chosen else f"there is no setting {wrong}"
    if not depth and (home := _home(step, node)):
        return f"{lacks}; did you mean {home}?"
    close = guess(step, [*names, *absent])
    if close in absent:
        close = plus.replace(wrong, f"{path}.{close}", 1)
    meant = f"; did you mean {close}?" if close else "."
    known = f"Known: {', '.join(sorted(names)) or 'none'}"
    more = f"; not in its YAML: {', '.join(absent)} (+{path}.{absent[0]}=…)" if absent else ""
    return f"{lacks}{meant} {known}{more}"


def _home(step: str, config: dict[str, Any]) -> str | None:
    """Where a setting of this name stands: of `lr` optimizer.lr."""
    parts = {part: node for part, node in config.items() if isinstance(node, dict)}
    plain = (f"{part}.{step}" for part, node in parts.items() if part != "hydra" and step in node)
    return next(plain, None)


def first_line(error: Exception) -> str:
    """The first line of an error that says something; of a YAML file also which, and where."""
    if isinstance(error, MarkedYAMLError) and (mark := error.problem_mark):
        return f"{mark.name}, line {mark.line + 1}: {error.problem or error.context}"
    return next((line.strip() for line in str(error).splitlines() if line.strip()), repr(error))


def _parsed(overrides: Sequence[str]) -> list[Override]:
    parsed: list[Override] = OverridesParser.create().parse_overrides(list(overrides))
    return parsed
