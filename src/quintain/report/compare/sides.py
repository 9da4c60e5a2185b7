"""Selects the records of the two sides of `quintain compare`, and pairs them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

from quintain.errors import StoreError
from quintain.records.bundles.bundle import is_bundle, open_bundle
from quintain.records.schema import Record
from quintain.records.store import Store
from quintain.report.comparisons import SPEED_SETTINGS, budget_settings, dataset_settings
from quintain.report.configuration_labels import configuration_key
from quintain.report.rows import measurements

Key = tuple[str, ...]
"""What two records must have in common to be compared."""


class Sides(NamedTuple):
    """The records of A and B: key → seed → record; `kind` is what differs between A and B."""

    kind: str
    a: dict[Key, dict[int, Record]]
    b: dict[Key, dict[int, Record]]
    notes: list[str]


def select_sides(a: str, b: str, find_store: Callable[[], Store]) -> Sides:
    """Select the records of two models, hardware options, versions, code digests or stores.

    Args:
        a: the name of one side. If both names are folders or bundles, two stores are compared.
        b: the name of the other side.
        find_store: returns the store to search for other names; raises ValueError if there is none.

    Raises:
        StoreError: A and B are not of the same kind, or a bundle cannot be read.
    """
    if _is_store(a) and _is_store(b):
        records_a, records_b = (_ranked(_open_store(name).all()) for name in (a, b))
        return _pair_up("store", records_a, records_b, _configuration)
    try:
        store = find_store()
    except ValueError as error:
        raise StoreError(f"{_missing_store(a, b)}{error}") from error
    records = _ranked(store.all())
    for kind, (name, key) in _KINDS.items():
        records_a = [record for record in records if name(record) == a]
        records_b = [record for record in records if name(record) == b]
        if records_a and records_b:
            return _pair_up(kind, records_a, records_b, key)
    raise StoreError(_unknown_sides(a, b, records, store))


def code_digest(record: Record) -> str:
    """Return eight digits that identify the plugins' sources and the results' version.

    Users may compare two of them. Commits that change neither have the same digest.
    """
    code = [record.cell.get("sources"), record.cell.get("results_version")]
    return hashlib.sha256(json.dumps(code, sort_keys=True).encode()).hexdigest()[:8]


def _is_store(name: str) -> bool:
    return Path(name).is_dir() or is_bundle(Path(name))


def _open_store(name: str) -> Store:
    return open_bundle(Path(name)) if is_bundle(Path(name)) else Store(Path(name))


def _missing_store(a: str, b: str) -> str:
    """If only one of the two is a store, report the other one, which may be misspelled."""
    missing = [name for name in (a, b) if not _is_store(name)]
    return f"there is no store {missing[0]}; " if len(missing) == 1 else ""


def _configuration(record: Record) -> Key:
    """Return the key for stores and versions: the same configuration on the same data."""
    speed_settings = (part for part in budget_settings(record) if part in SPEED_SETTINGS)
    configuration = configuration_key(record, ignored_part="measure")
    fingerprint = measurements(record)[0].fingerprint
    return configuration, fingerprint, *speed_settings, *_score_key(record)


def _score_key(record: Record) -> Key:
    """Return name, direction and unit of the main score."""
    quality = measurements(record)[1]
    return quality.main, quality.main_score.direction, quality.main_score.unit


def _ignoring(part: str) -> Callable[[Record], Key]:
    """Return the key function for models or hardware options: the same data and budget."""

    def key(record: Record) -> Key:
        names = record.names.model_dump()
        others = [f"{k}={v}" for k, v in names.items() if k in ("model", "hardware") and k != part]
        fingerprint = measurements(record)[0].fingerprint
        data = names["dataset"], fingerprint, *dataset_settings(record)
        return *data, *budget_settings(record), *others, *_score_key(record)

    return key


_KINDS: dict[str, tuple[Callable[[Record], str], Callable[[Record], Key]]] = {
    "model": (lambda record: record.names.model, _ignoring("model")),
    "hardware": (lambda record: record.names.hardware, _ignoring("hardware")),
    "version": (lambda record: record.versions.get("quintain", ""), _configuration),
    "code": (code_digest, _configuration),
}
"""What A and B may be → its name in a record, and the key of the records to pair."""


def _ranked(records: Iterable[Record]) -> list[Record]:
    return [r for r in records if r.status == "ok" and not r.baseline and r.trial is None]


def _pair_up(
    kind: str, a: Sequence[Record], b: Sequence[Record], key: Callable[[Record], Key]
) -> Sides:
    notes: list[str] = []
    by_key_a, by_key_b = (_newest_by_key(records, key, notes) for records in (a, b))
    return Sides(kind, by_key_a, by_key_b, list(dict.fromkeys(notes)))


def _newest_by_key(
    records: Sequence[Record], key: Callable[[Record], Key], notes: list[str]
) -> dict[Key, dict[int, Record]]:
    """Return key → seed → record; of several configurations of one key the newest, with a note."""
    groups: dict[Key, dict[str, list[Record]]] = {}
    for record in records:
        groups.setdefault(key(record), {}).setdefault(record.group, []).append(record)
    selected = {}
    for value, configurations in groups.items():
        newest = max(
            configurations.values(), key=lambda group: max(r.finished_at() for r in group)
        )  # fmt: skip
        selected[value] = {record.seed: record for record in newest}
        if len(configurations) > 1:
            names = newest[0].names
            notes.append(
                f"{names.dataset}/{names.model}: {len(configurations)} configurations; "
                "the one that finished last is compared"
            )
    return selected


def _unknown_sides(a: str, b: str, records: Sequence[Record], store: Store) -> str:
    options = {kind: sorted({name(r) for r in records}) for kind, (name, _) in _KINDS.items()}
    known = "; ".join(f"{kind}: {', '.join(names)}" for kind, names in options.items() if names)
    return (
        f"{_missing_store(a, b)}{a} and {b} are neither two stores nor two of the same kind in the "
        f"store {store.path}: expected two of {known or 'its models, but it has no results'}"
    )
