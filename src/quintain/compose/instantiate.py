"""Instantiates the `_target_` nodes of a configuration, and checks them against signatures.

`hydra.utils.instantiate` is not used. It needs 2 to 3 ms for a node, more than a hundred times as
long, and preflight builds a model dozens of times to solve its width; it also resolves
interpolations again, and wraps the errors of plugins in its own.
"""

from __future__ import annotations

import importlib
import inspect
import types
import typing
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from functools import partial
from typing import Any

from quintain.errors import UsageError, nearest

RESERVED_KEYS = ("_target_", "_partial_", "card")
POSITIONAL_ARGUMENTS = {"stem": 1, "head": 3, "model": 1}
"""Number of positional arguments that `quintain.model` passes to the target of each part."""
ENGINE_SETTINGS = {"stem": {"input_layout"}, "model": {"width"}}
"""Keyword arguments that `quintain.model` passes to the target of each part."""

_NAMES: dict[Any, tuple[str, ...]] = {
    int: ("a whole number",),
    float: ("a number",),
    str: ("text",),
    bool: ("true", "false"),
    type(None): ("null",),
}
_PLURALS: dict[Any, str] = {int: " of whole numbers", float: " of numbers", str: " of texts"}

Parameters = Mapping[str, inspect.Parameter]


def locate(target: str) -> Callable[..., Any]:
    """Import the object with this dotted name.

    Raises:
        UsageError: it does not exist (with the nearest name), or its module cannot be imported.
    """
    module_name, _, name = target.rpartition(".")
    try:
        module = importlib.import_module(module_name)
    except Exception as error:
        reason = f"{type(error).__name__}: {error}"
        if isinstance(error, ModuleNotFoundError) and error.name:
            reason = f"needs {error.name}: pip install {error.name.partition('.')[0]}"
        raise UsageError(f"{target}: cannot import {module_name}: {reason}") from error
    if not hasattr(module, name):
        public = [n for n in vars(module) if not n.startswith("_")]
        raise UsageError(f"{target}: {module_name} has no {name}{nearest(name, public)}")
    return typing.cast(Callable[..., Any], getattr(module, name))


def constructor_settings(node: Mapping[str, Any]) -> dict[str, Any]:
    """Return the arguments in a node: all keys except `_target_`, `_partial_` and `card`."""
    return {key: value for key, value in node.items() if key not in RESERVED_KEYS}


def instantiate(node: Mapping[str, Any], *args: Any, **overrides: Any) -> Any:
    """Call a node's target with `args` and its settings; `overrides` replace settings.

    As in Hydra, a setting that is itself a node is instantiated first; with `_partial_: true` it
    becomes a `functools.partial`.
    """
    settings = _instantiate_settings(node)
    return locate(node["_target_"])(*args, **(settings | overrides))


def _instantiate_settings(node: Mapping[str, Any]) -> dict[str, Any]:
    return {key: _instantiate_value(value) for key, value in constructor_settings(node).items()}


def _instantiate_value(value: Any) -> Any:
    if not _is_node(value):
        return value
    if value.get("_partial_"):
        return partial(locate(value["_target_"]), **_instantiate_settings(value))
    return instantiate(value)


def _is_node(value: Any) -> bool:
    return isinstance(value, Mapping) and "_target_" in value


def accepts_setting(node: Mapping[str, Any], name: str) -> bool:
    """Whether a node's target has a parameter of that name."""
    return name in inspect.signature(locate(node["_target_"])).parameters


def omitted_settings(part: str, node: Mapping[str, Any]) -> list[str]:
    """Return the settings that a node's target accepts and the node does not list.

    The list is empty if the node has no target, or one that cannot be imported. `part` is the path
    of the node, such as "model" or "model.sequence_model".
    """
    try:
        parameters = list(inspect.signature(locate(node["_target_"])).parameters.values())
    except (KeyError, UsageError, TypeError, ValueError):
        return []
    # A partial node is completed by the plugin around it, with one positional argument.
    positional = POSITIONAL_ARGUMENTS.get(part, int(bool(node.get("_partial_"))))
    filled_in = ENGINE_SETTINGS.get(part.partition(".")[0], ())
    return [
        p.name
        for p in parameters[positional:]
        if _is_named(p) and p.name not in node and p.name not in filled_in
    ]


def _is_named(parameter: inspect.Parameter) -> bool:
    return parameter.kind in (parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY)


def find_node_problems(
    path: str, node: Mapping[str, Any], *, positional: int = 0, filled_in: Collection[str] = ()
) -> list[str]:
    """Return one message for each problem of a node and of nodes inside it; no target is called.

    `path` is that of the node, such as "model". The caller of the target will pass `positional`
    positional arguments and the keyword arguments `filled_in`.
    """
    if "_target_" not in node:
        return [f"{path}: expected a plugin with a _target_, got {dict(node)}"]
    try:
        target = locate(node["_target_"])
        parameters = list(inspect.signature(target).parameters.values())[positional:]
    except UsageError as error:
        return [f"{path}._target_: {problem}" for problem in error.problems]
    problems = [
        problem
        for key, value in constructor_settings(node).items()
        if _is_node(value)
        for problem in find_node_problems(f"{path}.{key}", value)
    ]
    if any(p.kind is p.VAR_KEYWORD for p in parameters):
        return problems
    by_name = {p.name: p for p in parameters}
    problems += _wrong_settings(path, node, by_name, filled_in, _type_hints(target))
    if not node.get("_partial_"):  # a partial node is completed by the plugin around it
        problems += _missing_settings(path, node, by_name, filled_in)
    return problems


def _wrong_settings(
    path: str,
    node: Mapping[str, Any],
    parameters: Parameters,
    filled_in: Collection[str],
    hints: dict[str, Any],
) -> Iterator[str]:
    """Yield a message for each unknown setting and each value of a wrong type."""
    for key, value in constructor_settings(node).items():
        if key in filled_in:
            continue
        if key not in parameters:
            known = [p for p in parameters if p not in filled_in] or [*parameters]
            yield f"{path}.{key}: there is no such setting{nearest(key, known)}"
        elif key in hints and not _fits(value, hints[key]):
            yield f"{path}.{key}: {_describe_expected(hints[key])}, got {value!r}"


def _missing_settings(
    path: str, node: Mapping[str, Any], parameters: Parameters, filled_in: Collection[str]
) -> Iterator[str]:
    for key, p in parameters.items():
        if p.default is p.empty and _is_named(p) and key not in filled_in and key not in node:
            yield f"{path}.{key} has to be given"


def _type_hints(target: Callable[..., Any]) -> dict[str, Any]:
    function = target.__init__ if inspect.isclass(target) else target
    try:
        return typing.get_type_hints(function)
    except (NameError, TypeError, AttributeError):
        return {}  # without annotations, types are not checked


def _fits(value: Any, hint: Any) -> bool:
    """Whether a plain value has the type of a simple annotation; others are not checked."""
    if _is_union(hint):
        return any(_fits(value, option) for option in typing.get_args(hint))
    if _is_literal(hint):
        return value in typing.get_args(hint)
    if hint is type(None):
        return value is None
    if hint is float:
        return isinstance(value, int | float) and not isinstance(value, bool)
    if hint is int:
        return isinstance(value, int) and not isinstance(value, bool)
    if hint in (bool, str):
        return isinstance(value, hint)
    if typing.get_origin(hint) in (list, Sequence):
        items = typing.get_args(hint)  # empty for a bare typing.List
        is_list = isinstance(value, list | tuple)
        return is_list and (not items or all(_fits(item, items[0]) for item in value))
    return True


def _describe_expected(hint: Any) -> str:
    """Describe the values that a setting accepts, in the words of a command line."""
    options = typing.get_args(hint) if _is_union(hint) else (hint,)
    literals = [str(v) for o in options if _is_literal(o) for v in typing.get_args(o)]
    *first, last = literals + [word for o in options if not _is_literal(o) for word in _name(o)]
    return f"expected {', '.join(first)} or {last}" if first else f"expected {last}"


def _name(hint: Any) -> tuple[str, ...]:
    """Return words for the values of a type that is neither a union nor a literal."""
    if typing.get_origin(hint) in (list, Sequence):
        items = typing.get_args(hint) or ("",)
        return (f"a list{_PLURALS.get(items[0], '')}",)
    return _NAMES.get(hint) or (inspect.formatannotation(hint).replace("typing.", ""),)


def _is_union(hint: Any) -> bool:
    return typing.get_origin(hint) in (typing.Union, types.UnionType)


def _is_literal(hint: Any) -> bool:
    return typing.get_origin(hint) is typing.Literal
