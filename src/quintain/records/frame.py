"""The records of a store as a pandas DataFrame, with one row per record."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from typing import TYPE_CHECKING, Any, get_args, get_origin

from pydantic import BaseModel

from quintain.errors import StoreError
from quintain.records.index.columns import JSON_FIELDS, QUALITY_FIELDS
from quintain.records.schema import Record
from quintain.records.store import Store

if TYPE_CHECKING:
    from pandas import DataFrame

LARGE_STORE = 2000
"""Stores with more records are read through their index; validating a record takes 1 ms."""
_NOT_FLATTENED = ("cell", "changed", "tuned", "trial", "nonfinite")
"""Fields that stay dicts, because their keys differ between plugins."""
_OMITTED = ("schema", "step_times_ms", "quality.curve", "cost.ranks")


def records_frame(store: Store) -> DataFrame:
    """Return a DataFrame with one row per usable record, sorted by key.

    Nested values have dotted column names. The columns `metric`, `direction`, `val` and `test`
    hold the main score. Values that a record does not have are NaN or None. Curves, step times and
    other long lists are omitted; `Store.read` returns them. If the store has over `LARGE_STORE`
    records, they are read from its index (see `records.index.table`) and not validated.

    Raises:
        StoreError: the store does not exist.
    """
    if not store.path.is_dir():
        raise StoreError(f"there is no store at {store.path}")
    import pandas

    is_large = len(store.files()) > LARGE_STORE
    return pandas.DataFrame(read_index_rows(store) if is_large else flatten_records(store.all()))


def flatten_records(records: Iterable[Record]) -> list[dict[str, Any]]:
    """Return the rows of `records_frame`: one flat dict per record."""
    return [_flatten_record(record.dump()) for record in records]


def read_index_rows(store: Store) -> list[dict[str, Any]]:
    """Return `flatten_records(store.all())`, but from the index of the store."""
    from quintain.records.index.table import open_table

    with open_table(store) as connection:
        table = connection.sql("select * from records order by key").to_arrow_table()
        rows = (row for part in table.to_batches(max_chunksize=1000) for row in part.to_pylist())
        return [_flatten_record(fill_defaults(Record, _parse_index_row(row))) for row in rows]


def _parse_index_row(row: dict[str, Any]) -> dict[str, Any]:
    """Return the fields of a record that the index has, nested as in the record's JSON."""
    # The first quality field, `main`, is a plain text in the index, not JSON.
    texts = {name: row.pop(name) for name in (*JSON_FIELDS, *QUALITY_FIELDS[1:])}
    values = {name: json.loads(text) for name, text in texts.items() if text is not None}
    quality = {name: values.pop(name) for name in QUALITY_FIELDS[1:] if name in values}
    main = row.pop("metric")
    return row | values | {"quality": None if main is None else quality | {"main": main}}


def _flatten_record(record: Mapping[str, Any]) -> dict[str, Any]:
    flat = dict(item for name, value in record.items() for item in _flatten(name, value))
    if (quality := record["quality"]) is not None:
        score = quality["scores"][quality["main"]]
        flat |= {"metric": quality["main"], **{n: score[n] for n in ("direction", "val", "test")}}
    return flat


def _flatten(name: str, value: Any) -> Iterator[tuple[str, Any]]:
    if name in _OMITTED:
        return
    if isinstance(value, dict) and name not in _NOT_FLATTENED:
        for key, part in value.items():
            yield from _flatten(f"{name}.{key}", part)
    else:
        yield name, value


def fill_defaults(model: type[BaseModel], value: dict[str, Any]) -> dict[str, Any]:
    """Return `model.model_validate(value).model_dump()`, but much faster, without validation.

    Fields are in the order of the model; defaults are filled in nested models too.
    """
    return {
        name: _fill_nested(nested, is_mapping, value[name]) if name in value else default
        for name, default, nested, is_mapping in _describe_fields(model)
    }


@cache
def _describe_fields(model: type[BaseModel]) -> list[tuple[str, Any, type[BaseModel] | None, bool]]:
    """Return for each field its JSON name, default, nested model, and if it is a dict of those."""
    return [
        (
            field.alias or name,
            None if field.is_required() else field.get_default(call_default_factory=True),
            _find_model(field.annotation),
            get_origin(field.annotation) is dict,
        )
        for name, field in model.model_fields.items()
    ]


def _find_model(annotation: Any) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    models = map(_find_model, get_args(annotation))
    return next((model for model in models if model), None)


def _fill_nested(model: type[BaseModel] | None, is_mapping: bool, value: Any) -> Any:
    if model is None or not isinstance(value, dict):
        return value
    if is_mapping:
        return {name: _fill_nested(model, False, item) for name, item in value.items()}
    return fill_defaults(model, value)
