"""The records of a store as a table for pandas: one row a record, one column a value."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from quintain.records.columns import QUALITY, TREES
from quintain.records.defaults import filled
from quintain.records.schema import Record
from quintain.records.store import Store, StoreError

if TYPE_CHECKING:
    from pandas import DataFrame

_WHOLE = ("cell", "changed", "tuned", "trial", "nonfinite")
"""Fields that stay one object a record: they have other keys for each plugin."""
_LEFT_OUT = ("schema", "step_times_ms", "quality.curve", "cost.ranks")
"""Long lists; `Store.read(key)` has them."""
LARGE = 2000
"""Records from which on a store is read by its index; without takes 1 ms a record."""


def frame(store: Store) -> DataFrame:
    """One row a usable record, in the order of the keys; nested values under dotted names.

    Beside the record's own fields there are `metric`, `direction`, `val` and `test`: the main
    score. What a record lacks is missing. Long lists are left out: curves and step times.
    Over `LARGE` records come from the store's index, see `records.table`, and are not validated.

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
    is_large = find_spec("duckdb") is not None and len(store.files()) > LARGE
    return pandas.DataFrame(indexed_rows(store) if is_large else flat_rows(store.all()))


def indexed_rows(store: Store) -> list[dict[str, Any]]:
    """What `flat_rows(store.all())` gives, by the store's index."""
    from quintain.records.table import table

    with table(store) as con:
        found = con.sql("select * from records order by key").to_arrow_table()
        return [_flat(filled(Record, values)) for values in _values(found)]


def _values(found: Any) -> Iterator[dict[str, Any]]:
    for batch in found.to_batches(max_chunksize=1000):
        for row in batch.to_pylist():
            yield _whole(row)


def _whole(row: dict[str, Any]) -> dict[str, Any]:
    """A row of the index → the values of the record's text, as far as the index keeps them."""
    trees, quality = _parsed(row, TREES), _parsed(row, QUALITY[1:])
    main = row.pop("metric")
    return row | trees | {"quality": None if main is None else quality | {"main": main}}


def _parsed(row: dict[str, Any], names: Iterable[str]) -> dict[str, Any]:
    texts = {name: row.pop(name) for name in names}
    return {name: json.loads(text) for name, text in texts.items() if text is not None}


def flat_rows(records: Iterable[Record]) -> list[dict[str, Any]]:
    """One flat dict a record, as `frame` has them."""
    return [_flat(record.dump()) for record in records]


def _flat(record: Mapping[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in record.items():
        _add(found, name, value)
    quality = record["quality"]
    if quality is not None:
        main = quality["scores"][quality["main"]]
        found |= {"metric": quality["main"], "direction": main["direction"]}
        found |= {"val": main["val"], "test": main["test"]}
    return found


def _add(found: dict[str, Any], name: str, value: Any) -> None:
    if name in _LEFT_OUT:
        return
    if isinstance(value, dict) and name not in _WHOLE:
        for inner, part in value.items():
            _add(found, f"{name}.{inner}", part)
    else:
        found[name] = value
