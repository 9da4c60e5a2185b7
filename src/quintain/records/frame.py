"""The records of a store as a table for pandas: one row a record, one column a value."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from quintain.records.schema import Record
from quintain.records.store import Store, StoreError

if TYPE_CHECKING:
    from pandas import DataFrame

_WHOLE = ("cell", "changed", "tuned", "trial", "nonfinite")
"""Fields that stay one object a record: they have other keys for each plugin."""
_LEFT_OUT = ("schema", "step_times_ms", "quality.curve", "cost.ranks")
"""Long lists; `Store.read(key)` has them."""


def frame(store: Store) -> DataFrame:
    """One row a usable record, in the order of the keys; nested values under dotted names.

    Beside the record's own fields there are `metric`, `direction`, `val` and `test`: the main
    score. What a record lacks is missing. Long lists are left out: curves and step times.

    Raises:
        StoreError: there is no such store, or pandas is not installed.
    """
    if not store.path.is_dir():
        raise StoreError(f"there is no store at {store.path}; give the folder of one")
    try:
        import pandas
    except ImportError as error:
        raise StoreError(
            "a table needs pandas, which is not installed: pip install 'quintain[frame]'"
        ) from error
    return pandas.DataFrame(flat_rows(store.all()))


def flat_rows(records: Iterable[Record]) -> list[dict[str, Any]]:
    """One flat dict a record, as `frame` has them."""
    return [_flat(record) for record in records]


def _flat(record: Record) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in record.dump().items():
        _add(found, name, value)
    quality = record.quality
    if quality is not None:
        main = quality.scores[quality.main]
        found |= {"metric": quality.main, "direction": main.direction}
        found |= {"val": main.val, "test": main.test}
    return found


def _add(found: dict[str, Any], name: str, value: Any) -> None:
    if name in _LEFT_OUT:
        return
    if isinstance(value, dict) and name not in _WHOLE:
        for inner, part in value.items():
            _add(found, f"{name}.{inner}", part)
    else:
        found[name] = value
