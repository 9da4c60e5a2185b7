"""Reads the words of a command line that Hydra's grammar refuses, or reads as something else.

Hydra's grammar knows only ASCII letters, and reads `2022_01` as a number, `x,y` as two values of a
sweep and `null` as no value. The value of a *text setting* is taken as typed: locations, names in
W&B, and what the card of the dataset lists under `files` (paths) and `text_settings` (columns and
other text). Of any other setting, a value that Hydra cannot parse is one string.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable, Mapping, Sequence
from numbers import Number
from pathlib import Path
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Quote, QuotedString
from hydra.errors import HydraException
from omegaconf import OmegaConf

from quintain.compose.hydra_compose import load_yaml
from quintain.compose.plugin_providers import available_options
from quintain.compose.settings import LOCATIONS

NAMES_IN_WANDB = ("wandb.project", "wandb.entity")
_PLAIN = re.compile(r"([A-Za-z_]|\.{0,2}/)[\w./-]*", re.ASCII)
_LITERALS = ("null", "true", "false", "nan", "inf")
_NO_TEXT = {"null": "no value", "false": "false"}
_FUNCTION = re.compile(r"(choice|glob|range|interval|shuffle|sort|tag|str|int|float|bool)\(.*\)")
_QUOTED = re.compile(r"""(['"]).*\1""", re.DOTALL)
_BRACKETS = {"(": 1, "[": 1, "{": 1, ")": -1, "]": -1, "}": -1}


def quote(text: str, by: Quote = Quote.single) -> str:
    """Return a string in quotes, as Hydra reads it back; `${` is no interpolation in it."""
    return QuotedString(text=text.replace("${", r"\${"), quote=by).with_quotes()


def format_hydra_value(value: Any) -> str:
    """Write a value in Hydra's override grammar; strings other than plain words are quoted."""
    if isinstance(value, str):
        is_plain = _PLAIN.fullmatch(value) and value.lower() not in _LITERALS
        return value if is_plain else quote(value)
    if isinstance(value, Mapping):
        return "{" + ",".join(f"{k}:{format_hydra_value(v)}" for k, v in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ",".join(map(format_hydra_value, value)) + "]"
    if value is None or isinstance(value, bool):
        return "null" if value is None else str(value).lower()
    return str(value) if isinstance(value, Number) else quote(str(value))


def quote_words(
    overrides: Sequence[str], text_settings: Mapping[str, bool]
) -> tuple[list[str], list[str]]:
    """Return overrides that Hydra reads as the user means them, and problems with the others.

    Args:
        overrides: from the command line.
        text_settings: name of each text setting → whether it is a path.
    """
    words, problems = [], []
    for text in overrides:
        key, equals, value = text.partition("=")
        if equals and (name := key.lstrip("+")) in text_settings:
            text = f"{key}={quote_text(value, is_path=text_settings[name])}"
        if problem := _find_parse_problem(text):
            quoted = f"{key}={quote(value)}"
            if not equals or _find_parse_problem(quoted):
                problems.append(_explain_no_override(text))
            elif _FUNCTION.fullmatch(value):
                problems.append(f"{text}: {problem}")
            elif any(character in value for character in _BRACKETS):
                hint = shell_override(key, value)
                problems.append(
                    f"{text}: {value!r} cannot be read; if it is one string, type {hint}"
                )
            else:
                words.append(quoted)
        else:
            words.append(text)
    return words, problems


def _explain_no_override(text: str) -> str:
    options = available_options()
    groups = [group for group in ("suite", *options) if text in options[group]]
    hint = f"; did you mean {' or '.join(f'{group}={text}' for group in dict.fromkeys(groups))}?"
    expected = f"{text!r} is not an override; expected key=value, as in model=lstm"
    return expected + (hint if groups else "")


def quote_text(value: str, *, is_path: bool) -> str:
    """Return the value of a text setting with quotes around each text in it that needs them.

    Lists, sweeps (`a,b`, `choice(a,b)`), interpolations, null and false keep their meaning, unless
    the value is the path of something that exists.
    """
    if not value or _QUOTED.fullmatch(value):
        return value
    if is_path and Path(value).expanduser().exists():
        return format_hydra_value(value)
    if value.startswith("[") and value.endswith("]"):
        items = [quote_text(item, is_path=is_path) for item in _split(value[1:-1])]
        return f"[{','.join(items)}]"
    if value.lower() in _NO_TEXT or "${" in value or _FUNCTION.fullmatch(value):
        return value
    parts = _split(value)
    if len(parts) > 1 and all(parts):
        return ",".join(quote_text(part, is_path=is_path) for part in parts)
    return format_hydra_value(value)


def find_text_settings(datasets: Iterable[str]) -> dict[str, bool]:
    """Return the name of each text setting for these datasets, and whether it is a path."""
    settings = dict.fromkeys(LOCATIONS, True) | dict.fromkeys(NAMES_IN_WANDB, False)
    for dataset in datasets:
        file = load_yaml(f"dataset/{dataset}")
        values: Any = OmegaConf.to_container(file.config, resolve=False) if file else {}
        card = values.get("dataset", values).get("card") or {}
        settings |= {f"dataset.{name}": False for name in card.get("text_settings") or ()}
        settings |= {f"dataset.{name}": True for name in card.get("files") or ()}
    return settings


def explain_readings(
    overrides: Iterable[str], text_settings: Iterable[str], problems: Iterable[str]
) -> list[str]:
    """Return a message for each value of a text setting that was not read as one text.

    Only settings that one of the `problems` may be about are explained: it names the setting or a
    part of the value.
    """
    messages = []
    for text in overrides:
        key, _, value = text.partition("=")
        if key not in text_settings or _QUOTED.fullmatch(value) or _is_one_text(value):
            continue
        if any(p.startswith(f"{key} ") or (p.startswith(text) and "type" in p) for p in problems):
            continue  # the message is about this word and says what to type
        name, parts = key.rpartition(".")[2], _split(value.strip("[]"))
        if any(word in problem for problem in problems for word in (name, *parts)):
            hint = shell_override(key, value)
            messages.append(f"{text} was read as {_describe(value)}; for this text type {hint}")
    return messages


def shell_override(key: str, value: str) -> str:
    """Return an override that sets a string, quoted for Hydra and for a shell."""
    if not re.search(r'[`"$!\\]', word := f"{key}={quote(value)}"):
        return f'"{word}"'
    return shlex.quote(word if "'" in value else f"{key}={quote(value, Quote.double)}")


def _is_one_text(value: str) -> bool:
    """Whether a value was read as one text, or is clearly a list of several."""
    is_list = value.startswith("[") and len(_split(value[1:-1])) > 1
    return is_list or quote_text(value, is_path=False) == format_hydra_value(value)


def _describe(value: str) -> str:
    if value.lower() in _NO_TEXT:
        return _NO_TEXT[value.lower()]
    if "${" in value:
        return "a reference to another setting"
    if value.startswith("["):
        return "a list"
    return "several values of a sweep"


def _find_parse_problem(text: str) -> str:
    """Return the first line of Hydra's message about an override that it cannot parse, else ""."""
    try:
        OverridesParser.create().parse_override(text)
    except HydraException as error:
        return str(error).partition("\n")[0]
    return ""


def _split(text: str) -> list[str]:
    """Split at the commas outside of quotes and brackets."""
    parts, depth, quoted_by = [""], 0, ""
    for character in text:
        if quoted_by:
            quoted_by = "" if character == quoted_by else quoted_by
        elif character in "'\"" and not parts[-1].strip():  # Hydra quotes whole values only
            quoted_by = character
        else:
            depth += _BRACKETS.get(character, 0)
        if character == "," and depth == 0 and not quoted_by:
            parts.append("")
        else:
            parts[-1] += character
    return [part.strip() for part in parts]
