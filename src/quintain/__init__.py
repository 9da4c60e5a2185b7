"""Quintain: the same few architectures on five kinds of data, with one honest score."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from os import PathLike

    from pandas import DataFrame

__version__ = "0.1.0"


def load(store: str | PathLike[str] = "results") -> DataFrame:
    """The records of a store as a pandas DataFrame, one row a record; see `records.frame`.

    Raises:
        StoreError: there is no such store, or pandas is not installed.
    """
    from quintain.records.frame import frame
    from quintain.records.store import Store

    return frame(Store(store))
