"""The two sides of `quintain compare`: which records A and B mean, and which of them pair."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

from quintain.records.bundle import is_bundle, open_bundle
from quintain.records.schema import Record
from quintain.records.store import Store, StoreError
from quintain.report.comparisons import AGAIN, budget_settings, read_as
from quintain.report.rows import parts
from quintain.report.variants import identity

Key = tuple[str, ...]


class Sides(NamedTuple):
    """Records of A and of B by question and seed; `kind` says what differs between the two."""

    kind: str
    a: dict[Key, dict[int, Record]]
    b: dict[Key, dict[int, Record]]
    notes: list[str]


def sides(a: str, b: str, find: Callable[[], Store]) -> Sides:
    """Two models, hardware options or versions of the code in one store, or two stores.

    Args:
        a, b: the words; two folders or bundles are stores.
        find: gives the store that other words are looked for in; ValueError where there is none.

    Raises:
        StoreError: the words are no two of one kind, and says what there is; or a bundle is not
            taken.
    """
    if _is_store(a) and _is_store(b):
        first, second = _opened(a), _opened(b)
        return _sides("store", _ranked(first.all()), _ranked(second.all()), _question)
    try:
        store = find()
    except ValueError as error:
        raise StoreError(f"{_lone(a, b)}{error}") from error
    records = _ranked(store.all())
    for kind, (name, question) in _KINDS.items():
        mine = [record for record in records if name(record) == a]
        theirs = [record for record in records if name(record) == b]
        if mine and theirs:
            return _sides(kind, mine, theirs, question)
    raise StoreError(_unknown(a, b, records, store))


def code(record: Record) -> str:
    """Eight digits that change with the plugins' source and with what raises the results' version.

    A user sees them in `quintain compare`; two commits that left both alone have the same.
    """
    parts = [record.cell.get("sources"), record.cell.get("results_version")]
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:8]


def _is_store(word: str) -> bool:
    return Path(word).is_dir() or is_bundle(Path(word))


def _lone(a: str, b: str) -> str:
    """Said first where only one of the two is a store: a slip in the other's name, maybe."""
    lacks = [word for word in (a, b) if not _is_store(word)]
    return f"there is no store {lacks[0]}; " if len(lacks) == 1 else ""


def _opened(word: str) -> Store:
    return open_bundle(Path(word)) if is_bundle(Path(word)) else Store(Path(word))


def _question(record: Record) -> Key:
    assert record.data  # the schema demands it of an ok record
    measure = (part for part in budget_settings(record) if part in AGAIN)
    return identity(record, but="measure"), record.data.fingerprint, *measure, *_score(record)


def _score(record: Record) -> Key:
    """What the main score means: no two that differ in it compare."""
    quality = parts(record)[1]
    score = quality.scores[quality.main]
    return quality.main, score.direction, score.unit


def _but_for(kind: str) -> Callable[[Record], Key]:
    """What two records share that differ in one part alone."""

    def question(record: Record) -> Key:
        assert record.data
        names = record.names.model_dump()
        rest = [f"{k}={v}" for k, v in names.items() if k in ("model", "hardware") and k != kind]
        budget, data = budget_settings(record), read_as(record)
        return names["dataset"], record.data.fingerprint, *data, *budget, *rest, *_score(record)

    return question


_KINDS: dict[str, tuple[Callable[[Record], str], Callable[[Record], Key]]] = {
    "model": (lambda record: record.names.model, _but_for("model")),
    "hardware": (lambda record: record.names.hardware, _but_for("hardware")),
    "version": (lambda record: record.versions.get("quintain", ""), _question),
    "code": (code, _question),
}
"""What A and B may name, how a record has it, and which records pair then."""


def _ranked(records: Iterable[Record]) -> list[Record]:
    return [r for r in records if r.status == "ok" and not r.reference and r.trial is None]


def _sides(
    kind: str, mine: Sequence[Record], theirs: Sequence[Record], question: Callable[[Record], Key]
) -> Sides:
    notes: list[str] = []
    a, b = _by_question(mine, question, notes), _by_question(theirs, question, notes)
    return Sides(kind, a, b, list(dict.fromkeys(notes)))


def _by_question(
    records: Sequence[Record], question: Callable[[Record], Key], notes: list[str]
) -> dict[Key, dict[int, Record]]:
    """Of several configurations that answer one question the one that finished last."""
    groups: dict[Key, dict[str, list[Record]]] = {}
    for record in records:
        groups.setdefault(question(record), {}).setdefault(record.group, []).append(record)
    found = {}
    for key, several in groups.items():
        newest = max(several.values(), key=lambda group: max(r.finished_at() for r in group))
        found[key] = {record.seed: record for record in newest}
        if len(several) > 1:
            names = newest[0].names
            notes.append(
                f"{names.dataset}/{names.model}: {len(several)} configurations; "
                "the one that finished last is compared"
            )
    return found


def _unknown(a: str, b: str, records: Sequence[Record], store: Store) -> str:
    have = {kind: sorted({name(r) for r in records}) for kind, (name, _) in _KINDS.items()}
    told = "; ".join(f"{kind}: {', '.join(names)}" for kind, names in have.items() if names)
    return (
        f"{_lone(a, b)}{a} and {b} are not two stores, nor two of one kind in the store"
        f" {store.path}: expected two of {told or 'its models, but it has no finished results'}"
    )
