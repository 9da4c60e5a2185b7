"""Match the cells of baseline and candidate results, whatever version of the code ran them."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from quintain.gate.cell_overrides import cell_overrides
from quintain.records.schema import Record
from quintain.report.comparisons import without_speed_settings
from quintain.report.configuration_labels import flat_settings, representative


@dataclass(frozen=True, kw_only=True)
class MatchedCell:
    """The records of one cell in baseline and candidate, by seed."""

    label: str
    overrides: tuple[str, ...]  # with which `quintain sweep` runs the cell again; no seeds
    baseline: dict[int, Record]
    candidate: dict[int, Record]
    notes: tuple[str, ...] = ()

    @property
    def seeds(self) -> list[int]:
        """The seeds that both baseline and candidate have."""
        return sorted(self.baseline.keys() & self.candidate.keys())

    @property
    def pairs(self) -> dict[int, tuple[Record, Record]]:
        """The records of baseline and candidate by common seed."""
        return {seed: (self.baseline[seed], self.candidate[seed]) for seed in self.seeds}

    @property
    def ok_seeds(self) -> list[int]:
        """The seeds whose runs were successful in both."""
        return [seed for seed, pair in self.pairs.items() if all(r.status == "ok" for r in pair)]


@dataclass(frozen=True, kw_only=True)
class MatchedCells:
    """The matched cells, and the labels of the cells that only one of the two stores has."""

    matched: list[MatchedCell]
    missing: list[str]  # in the baseline only
    new: list[str]  # in the candidate only


def is_comparable(record: Record) -> bool:
    """Return False for baseline models (majority, linear) and for trials of a search."""
    return not record.baseline and record.trial is None


def match_cells(baseline: Iterable[Record], candidate: Iterable[Record]) -> MatchedCells:
    """Match cells by dataset, model, budget, hardware and the settings that a user changed.

    If the code changed the default of another setting, the cells still match, and a note names the
    setting. If a store has a cell from several versions of the code, the newest one is used.
    """
    old, new = _newest_groups(baseline), _newest_groups(candidate)
    groups = [representative(group) for cells in (old, new) for group in cells.values()]
    labels = dict(zip([*old, *new], _labels(groups), strict=True))
    return MatchedCells(
        matched=[
            MatchedCell(
                label=labels[key],
                overrides=tuple(cell_overrides(representative(new[key]))),
                baseline={record.seed: record for record in old[key]},
                candidate={record.seed: record for record in new[key]},
                notes=_note_changed_defaults(labels[key], old[key][0], new[key][0]),
            )
            for key in old
            if key in new
        ],
        missing=[labels[key] for key in old if key not in new],
        new=[labels[key] for key in new if key not in old],
    )


def drop_repeated_scores(cells: Sequence[MatchedCell]) -> list[MatchedCell]:
    """Drop seeds whose scores would count twice.

    A cell with `measure=speed` repeats the training of the cell without it, and so its scores. Its
    seeds are dropped if both cells have them; a cell of which no seed remains is dropped too.
    """
    ok_seeds = {cell.overrides: set(cell.ok_seeds) for cell in cells}
    remaining = []
    for cell in cells:
        repeated: set[int] = set()
        if (original := without_speed_settings(cell.overrides)) != cell.overrides:
            repeated = ok_seeds.get(original, set()) & ok_seeds[cell.overrides]
        if not repeated or set(cell.seeds) - repeated:
            baseline, candidate = (
                {seed: record for seed, record in records.items() if seed not in repeated}
                for records in (cell.baseline, cell.candidate)
            )
            remaining.append(replace(cell, baseline=baseline, candidate=candidate))
    return remaining


def _newest_groups(records: Iterable[Record]) -> dict[str, list[Record]]:
    """Return the comparable records of the newest group of each cell, sorted by cell."""
    groups: dict[str, dict[str, list[Record]]] = defaultdict(lambda: defaultdict(list))
    for record in records:
        if is_comparable(record):
            groups[_match_key(record)][record.group].append(record)
    return {
        key: max(versions.values(), key=lambda group: max(r.finished_at() for r in group))
        for key, versions in sorted(groups.items())
    }


def _match_key(record: Record) -> str:
    settings = flat_settings(record) if record.changed is None else record.changed
    names = record.names
    options = names.dataset, names.model, names.budget, names.hardware
    return json.dumps([options, settings], sort_keys=True)


def _labels(records: Sequence[Record]) -> list[str]:
    """Return dataset/model/hardware and the other overrides of each cell.

    The budget is left out if all cells have the same one.
    """
    omitted = {"dataset", "model", "hardware"}
    if len({record.names.budget for record in records}) == 1:
        omitted.add("budget")
    return [
        " ".join([
            f"{record.names.dataset}/{record.names.model}/{record.names.hardware}",
            *(text for text in cell_overrides(record) if text.split("=")[0] not in omitted),
        ])
        for record in records
    ]  # fmt: skip


def _note_changed_defaults(label: str, old: Record, new: Record) -> tuple[str, ...]:
    """Return a note if settings differ although the user changed the same ones."""
    before, after = flat_settings(old), flat_settings(new)
    differences = [
        f"{key} {before.get(key, 'unset')} → {after.get(key, 'unset')}"
        for key in sorted(before.keys() | after.keys())
        if before.get(key) != after.get(key)
        if ".card" not in key and key != "dataset.fingerprint"  # these describe, and set nothing
    ]
    return (f"{label}: defaults have changed: {', '.join(differences)}",) if differences else ()
