"""Quintain: the same few architectures on five kinds of data, with one honest score."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from os import PathLike

    from pandas import DataFrame

__version__ = "0.1.0"


def load(store: str | PathLike[str] = "results") -> DataFrame:
    """The records of a store or bundle as a pandas DataFrame, a row each; see `records.frame`.

    Raises:
        StoreError: there is no such store, the bundle is not taken, or pandas is not installed.
    """
    from quintain.records.bundle import is_bundle, open_bundle
    from quintain.records.frame import frame
    from quintain.records.store import Store

    path = Path(store)
    return frame(open_bundle(path) if path.exists() and is_bundle(path) else Store(path))
