"""A suite's own list of grids and of paired settings: sweeps that are no one product.

    sweep:
      - grid: {dataset: "digits,sunspots", model: [mlp, cnn]}
      - paired: {dataset: [pydoc, spoken_words], model: [lstm, cnn]}
        grid: {seed: "1,2"}

Each entry makes cells, one after the other. `grid` is every combination; `paired` takes the first
values together, then the second ones, and so on; where an entry has both, each pair is combined
with the whole grid. Values are a list, or a text in Hydra's sweep syntax.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any

from quintain.compose.errors import UsageError, nearest

Axis = list[list[str]]
"""The choices of one axis; each is one or several words that go together."""

Values = Callable[[str], list[str]]
"""A sweep word, `a=1,2` → `["a=1", "a=2"]`."""

KINDS = ("grid", "paired")


def axes_of(entries: Any, values: Values, said: Collection[str]) -> list[list[Axis]]:
    """One list of axes for each entry of a suite's `sweep`.

    Args:
        entries: as the YAML has it.
        values: reads a sweep word.
        said: keys that the command line gives; it replaces what the suite says of them.

    Raises:
        UsageError: every entry that cannot be read, and pairs of unequal numbers.
    """
    if not isinstance(entries, list) or not entries:
        raise UsageError(f"sweep: expected a list of grid: and paired: tables, came {entries!r}")
    found, problems = [], []
    for index, entry in enumerate(entries):
        try:
            found.append(_axes(f"sweep[{index}]", entry, values, said))
        except UsageError as error:
            problems += error.problems
    if problems:
        raise UsageError(problems)
    return found


def _axes(path: str, entry: Any, values: Values, said: Collection[str]) -> list[Axis]:
    if not isinstance(entry, dict) or not entry:
        raise UsageError(f"{path}: expected grid: or paired: with settings, came {entry!r}")
    if unknown := [str(kind) for kind in entry if kind not in KINDS]:
        raise UsageError(f"{path}.{unknown[0]}: no such kind of sweep{nearest(unknown[0], KINDS)}")
    for kind, table in entry.items():
        if not isinstance(table, dict) or not table:
            raise UsageError(f"{path}.{kind}: expected settings with their values, came {table!r}")
    read = {
        kind: {
            key: _words(f"{path}.{kind}", key, value, values)
            for key, value in table.items()
            if key not in said
        }
        for kind, table in entry.items()
    }
    axes = [[[word] for word in words] for words in read.get("grid", {}).values()]
    if paired := read.get("paired"):
        counts = {key: len(words) for key, words in paired.items()}
        if len(set(counts.values())) > 1:
            told = ", ".join(f"{key} has {count}" for key, count in counts.items())
            raise UsageError(f"{path}.paired: each setting needs as many values: {told}")
        axes.insert(0, [list(pair) for pair in zip(*paired.values(), strict=True)])
    return axes


def _words(path: str, key: Any, value: Any, values: Values) -> list[str]:
    if isinstance(value, str | int | float | bool) or value is None:
        return values(f"{key}={_text(value)}")
    if not isinstance(value, list) or not value:
        raise UsageError(f"{path}.{key}: expected values, came {value!r}")
    if wrong := [one for one in value if isinstance(one, dict | list)]:
        raise UsageError(f"{path}.{key}: expected plain values, came {wrong[0]!r}")
    return [f"{key}={_text(one)}" for one in value]


def _text(value: Any) -> str:
    """As Hydra's words have it."""
    if value is None:
        return "null"
    return str(value).lower() if isinstance(value, bool) else str(value)
