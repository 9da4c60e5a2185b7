"""Describes the settings by which configurations of the same option names differ."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import Any

from quintain.records.schema import Record

PARTS = ("dataset", "stem", "head", "model", "optimizer", "budget", "hardware")
DIGEST_LENGTH = 19  # characters of `sha256:…` that are shown
_BASELINE_PARTS = ("dataset", "stem", "head", "model")
_CODE_KEYS = ("sources", "results_version", "code", "versions")
"""Entries of a cell that depend on the code, not on the user's settings."""
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")


def flat_settings(record: Record) -> dict[str, str]:
    """Return the settings of a cell except the seed, as `{"optimizer.lr": "0.001"}`."""
    dropped = {"seed", "names", *_CODE_KEYS}
    return _flatten("", {k: v for k, v in record.cell.items() if k not in dropped})


def configuration_key(record: Record, ignored_part: str = "") -> str:
    """Return a text that identifies the configuration, without seed, code and `ignored_part`.

    For a baseline, hardware, budget and optimizer are left out too, because it does not use them.
    """
    names = record.names.model_dump()
    settings = {k: v for k, v in flat_settings(record).items() if k.split(".")[0] != ignored_part}
    if record.baseline:
        names = {part: names[part] for part in _BASELINE_PARTS}
        settings = {k: v for k, v in settings.items() if k.split(".")[0] in _BASELINE_PARTS}
    return json.dumps([names, settings], sort_keys=True)


def representative(group: Sequence[Record]) -> Record:
    """Return a record of the group, preferably one that lists its non-default settings."""
    return next((record for record in group if record.changed is not None), group[0])


def non_default_settings(record: Record, parts: Sequence[str]) -> dict[str, str]:
    """Return the non-default settings in these config groups, as far as the record lists them.

    A head with the name of the task is left out, because tables show the task.
    """
    task = record.data.task if record.data else ""
    return {
        key: value
        for key, value in _flatten("", dict(record.changed or {})).items()
        if key.split(".")[0] in parts and (key, value) != ("head", task)
    }


def describe_variants(
    records: Sequence[Record],
    parts: Sequence[str] = PARTS,
    always: Sequence[str] = (),
    ignore: Sequence[str] = (),
) -> list[str]:
    """Return for each record the settings that differ from the others: `optimizer.lr=0.001`.

    If the option names of a config group differ, only the names are shown: `budget=large`, without
    its settings.

    Args:
        records: one for each configuration.
        parts: config groups to compare.
        always: config groups whose non-default settings are shown even if they are equal.
        ignore: settings to ignore.
    """
    names = [record.names.model_dump() for record in records]
    settings = [flat_settings(record) for record in records]
    differing = [part for part in parts if len({each.get(part) for each in names}) > 1]
    shown = [{part: each[part] for part in differing} for each in names]
    for key in sorted(set().union(*settings)):
        part = key.split(".")[0]
        if key in ignore or part not in parts:
            continue
        for own_names, own, line in zip(names, settings, shown, strict=True):
            peers = [
                peer
                for peer_names, peer in zip(names, settings, strict=True)
                if part not in differing or peer_names[part] == own_names[part]
            ]
            if len({peer.get(key) for peer in peers}) > 1:
                line[key] = own.get(key, "unset")
    return [_format(record, line, always) for record, line in zip(records, shown, strict=True)]


def describe_settings(record: Record, parts: Sequence[str]) -> str:
    """Return the non-default settings in these config groups: `dataset.path=a.csv`."""
    return _format(record, {}, parts)


def split_settings(text: str) -> list[str]:
    """Return the parts of `a=1, b=[2, 3]`: `a=1` and `b=[2, 3]`."""
    return [part for part in re.split(r", (?=[a-z][\w.]*=)", text) if part]


def _format(record: Record, shown: dict[str, str], always: Sequence[str]) -> str:
    """Join the settings, option names first. User files are shown by path instead of digest."""
    digests = {k: v for k, v in shown.items() if _DIGEST.fullmatch(v)}
    known = non_default_settings(record, PARTS)
    for key, digest in digests.items():
        if key in known:
            shown[key] = known[key]
        elif record.changed is None:
            shown[key] = digest[:DIGEST_LENGTH]
        else:
            del shown[key]  # a file that belongs to another setting, such as the folder of a table
    shown |= non_default_settings(record, always)
    order = sorted(shown, key=lambda key: ("." in key, key if "." in key else ""))
    return ", ".join(f"{key}={shown[key]}" for key in order)


def _flatten(prefix: str, value: Any) -> dict[str, str]:
    if isinstance(value, dict) and value:
        nested = [_flatten(f"{prefix}.{k}" if prefix else k, v) for k, v in value.items()]
        return {k: v for part in nested for k, v in part.items()}
    return {prefix: value if isinstance(value, str) else json.dumps(value)}
