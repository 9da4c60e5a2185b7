"""Finds and opens the store of a command: a folder, or a bundle.

The store's modules are imported in the functions, so that the command line starts quickly.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from quintain.errors import StoreError

if TYPE_CHECKING:
    from quintain.records.store import Store

DEFAULT_STORE = "results"
STORE_FOLDERS = ("records", "plans")  # a folder with neither of them is not a store


def find_store(overrides: Iterable[str]) -> Path:
    """Return the path of the last override `store=…`, or `results`."""
    values = [text.partition("=")[2] for text in overrides if text.startswith("store=")]
    return Path(read_location([DEFAULT_STORE, *values][-1])).expanduser()


def read_location(value: str) -> str:
    """Return the text of `store=…` or another location, which may be quoted as Hydra requires."""
    if value[:1] not in ("'", '"'):
        return value
    from hydra.core.override_parser.overrides_parser import OverridesParser
    from hydra.errors import HydraException

    try:
        return str(OverridesParser.create().parse_override(f"text={value}").value())
    except HydraException:
        return value


def open_store(path: Path) -> Store:
    """Open the store in a folder, or the content of a bundle as a store.

    Raises:
        StoreError: there is neither a store nor a bundle, or the bundle is damaged or not accepted.
    """
    from quintain.records.bundles.bundle import is_bundle, open_bundle
    from quintain.records.store import Store, sample_fetchers

    if not path.exists():
        raise StoreError(f"there is no store at {path}; run quintain sweep, or give store=FOLDER")
    if is_bundle(path):
        return open_bundle(path)
    # The local copy of a remote store may be empty, and so may the folder of a new store.
    is_store = path in sample_fetchers or not any(path.iterdir())
    if not is_store and not any((path / name).exists() for name in STORE_FOLDERS):
        names = " nor ".join(STORE_FOLDERS)
        raise StoreError(f"{path} is not a store: it contains neither {names}")
    return Store(path)
