"""The one place that turns `_target_` nodes into objects. Python signatures are the schema."""

from __future__ import annotations

import importlib
import inspect
import types
import typing
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

from quintain.compose.errors import UsageError, nearest

RESERVED = ("_target_", "_partial_", "card")
GIVEN = {"stem": 1, "head": 3, "model": 1}  # positional arguments that the engine passes
FILLED = {"stem": {"reads"}, "model": {"width"}}


def locate(target: str) -> Callable[..., Any]:
    """Import what a `_target_` names; raises UsageError that keeps the cause."""
    module, _, name = target.rpartition(".")
    try:
        found = importlib.import_module(module)
    except Exception as error:
        raise UsageError(f"{target}: cannot import {module}: {_cause(error)}") from error
    if not hasattr(found, name):
        public = [n for n in vars(found) if not n.startswith("_")]
        raise UsageError(f"{target}: {module} has no {name}{nearest(name, public)}")
    return typing.cast(Callable[..., Any], getattr(found, name))


def settings(node: Mapping[str, Any]) -> dict[str, Any]:
    """A node's constructor arguments: all but the target and the card."""
    return {k: v for k, v in node.items() if k not in RESERVED}


def instantiate(node: Mapping[str, Any], *args: Any, **extra: Any) -> Any:
    """Call a node's target with `args`, its settings and `extra` (which wins).

    A setting that is itself a node is made first, as Hydra does: an object, or with `_partial_`
    something to call, which whoever is given it completes.
    """
    made = {key: _made(value) for key, value in settings(node).items()}
    return locate(node["_target_"])(*args, **(made | extra))


def _made(value: Any) -> Any:
    if not _is_node(value):
        return value
    if not value.get("_partial_"):
        return instantiate(value)
    made = {key: _made(inner) for key, inner in settings(value).items()}
    return partial(locate(value["_target_"]), **made)


def _is_node(value: Any) -> bool:
    return isinstance(value, Mapping) and "_target_" in value


def accepts(node: Mapping[str, Any], name: str) -> bool:
    """Whether a node's target has a parameter of that name."""
    parameters = inspect.signature(locate(node["_target_"])).parameters
    return name in parameters


def omitted(part: str, node: Mapping[str, Any]) -> list[str]:
    """Settings that a node's target takes and the node does not have, in the signature's order.

    Args:
        part: where the node stands ("model", "model.cnn").
        node: with a target; where it has none, or one that cannot be imported, there are none.
    """
    try:
        parameters = list(inspect.signature(locate(node["_target_"])).parameters.values())
    except (KeyError, UsageError, TypeError, ValueError):
        return []
    named = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
    given = GIVEN.get(part, int(bool(node.get("_partial_"))))  # whoever completes it gives one
    return [
        p.name
        for p in parameters[given:]
        if p.kind in named
        and p.name not in node
        and p.name not in FILLED.get(part.partition(".")[0], ())
    ]


def problems(path: str, node: Mapping[str, Any], *, given: int = 0, extra: set[str]) -> list[str]:
    """What is wrong with a node's settings and those of nodes in it, without calling a target.

    Args:
        path: where the node stands, for the sentences ("model").
        given: number of positional arguments that the engine passes.
        extra: names that the engine passes or fills in.
    """
    if "_target_" not in node:
        return [f"{path}: expected a plugin with a _target_, came {dict(node)}"]
    try:
        target = locate(node["_target_"])
        signature = inspect.signature(target)
    except UsageError as error:
        return [f"{path}._target_: {problem}" for problem in error.problems]
    parameters = list(signature.parameters.values())[given:]
    inner = [
        problem
        for key, value in settings(node).items()
        if _is_node(value)
        for problem in problems(f"{path}.{key}", value, extra=set())
    ]
    if any(p.kind is p.VAR_KEYWORD for p in parameters):
        return inner
    return inner + _check(path, node, {p.name: p for p in parameters}, extra, _hints(target))


def _check(
    path: str,
    node: Mapping[str, Any],
    parameters: dict[str, inspect.Parameter],
    extra: set[str],
    hints: dict[str, Any],
) -> list[str]:
    found = []
    name = node["_target_"].rpartition(".")[2]
    for key, value in settings(node).items():
        if key not in parameters and key not in extra:
            known = [p for p in parameters if p not in extra] or [*parameters]
            found.append(f"{path}.{key}: {name} has no setting {key}{nearest(key, known)}")
        elif key in hints and key not in extra and not _fits(value, hints[key]):
            found.append(f"{path}.{key}: {_expected(name, hints[key])}, came {value!r}")
    found += [
        f"{path}: {name} needs a value for {key}"
        for key, p in parameters.items()
        if p.default is p.empty
        and p.kind in (p.KEYWORD_ONLY, p.POSITIONAL_OR_KEYWORD)
        and key not in extra
        and key not in node
        and not node.get("_partial_")  # who completes it gives the rest
    ]
    return found


def _hints(target: Callable[..., Any]) -> dict[str, Any]:
    function = target.__init__ if inspect.isclass(target) else target
    try:
        return typing.get_type_hints(function)
    except (NameError, TypeError, AttributeError):
        return {}  # an annotation that cannot be read says nothing


def _fits(value: Any, hint: Any) -> bool:
    """Whether a plain value fits a simple annotation; other annotations are not judged."""
    if _is_union(hint):
        return any(_fits(value, option) for option in typing.get_args(hint))
    if _is_choice(hint):
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
        items = typing.get_args(hint)  # none of a bare typing.List
        fits = isinstance(value, list | tuple)
        return fits and (not items or all(_fits(each, items[0]) for each in value))
    return True


def _expected(name: str, hint: Any) -> str:
    """What a setting takes, in words: its choices where it has any, else its type."""
    options = typing.get_args(hint) if _is_union(hint) else (hint,)
    choices = [value for o in options if _is_choice(o) for value in typing.get_args(o)]
    if not choices:
        return f"{name} expects {inspect.formatannotation(hint).replace('typing.', '')}"
    others = [o for o in options if not _is_choice(o)]
    words = [str(value) for value in choices]
    words += ["null" if o is type(None) else inspect.formatannotation(o) for o in others]
    *first, last = words
    return f"expected {', '.join(first)} or {last}" if first else f"expected {last}"


def _is_union(hint: Any) -> bool:
    return typing.get_origin(hint) in (typing.Union, types.UnionType)


def _is_choice(hint: Any) -> bool:
    return typing.get_origin(hint) is typing.Literal


def _cause(error: BaseException) -> str:
    if isinstance(error, ModuleNotFoundError) and error.name:
        return f"needs {error.name}: pip install {error.name.partition('.')[0]}"
    return f"{type(error).__name__}: {error}"
