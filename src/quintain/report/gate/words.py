"""The words with which `quintain sweep` runs a cell again."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from quintain.records.schema import Record

_NAMES = ("dataset", "model", "budget", "hardware")
_BARE = re.compile(r"[\w./-]+")


def words_of(record: Record) -> list[str]:
    """Names, and the settings off their defaults; stem, head and optimizer where they are not.

    A file of the user's is named by the last part of its path: that is all a record keeps.
    """
    return setting_words(record.names.model_dump(), record.changed or {})


def setting_words(names: Mapping[str, str], changed: Mapping[str, Any]) -> list[str]:
    """`dataset=digits`, `optimizer.lr=0.01`, in Hydra's override syntax."""
    words = [f"{name}={names[name]}" for name in _NAMES if names.get(name, "none") != "none"]
    given = {word.split("=")[0] for word in words}
    more = {k: v for k, v in changed.items() if v != "unset" and k not in given}
    return words + [f"{key}={value_word(value)}" for key, value in sorted(more.items())]


def value_word(value: Any) -> str:
    """A value as Hydra's grammar reads it: strings in quotes where they are not plain words."""
    if isinstance(value, str) and not _BARE.fullmatch(value):
        return "'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'"
    if isinstance(value, str):
        return value
    if isinstance(value, Mapping):
        return "{" + ",".join(f"{k}:{value_word(v)}" for k, v in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ",".join(map(value_word, value)) + "]"
    return json.dumps(value)


def seeds_word(seeds: Iterable[int]) -> str:
    """`seed=1,2,3`."""
    return f"seed={','.join(map(str, seeds))}"


def same_words(a: Sequence[str], b: Sequence[str]) -> bool:
    """Whether two lists of words choose the same cell, seeds apart."""
    return _chosen(a) == _chosen(b)


def _chosen(words: Sequence[str]) -> set[str]:
    return {word for word in words if not word.startswith("seed=")}
