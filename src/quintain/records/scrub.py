"""Keeps secrets out of records: they are shared, and a traceback may quote what it was given."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping
from typing import Any, TypeVar

from quintain.records.schema import Record

T = TypeVar("T")

HIDDEN = "[redacted]"
SHORTEST = 8  # characters; shorter values ("1", "true") are no secrets and occur everywhere
_SECRET_NAME = re.compile(r"KEY|TOKEN|SECRET|PASS|PWD|CRED|AUTH(?!OR_)|DSN", re.IGNORECASE)
_FOLDERS = ("PWD", "OLDPWD")  # the shell's folders, not passwords
_URL_USER = re.compile(
    r"(?<=://)(?:[^\s/@'\"<>]+|[^\s/:@]+:(?!\d+/)[^\s@]+)@"  # host:80/a@b is no user
)
_URL_QUERY = re.compile(r"([?&](?:\w*(?:token|key|secret|pass|auth|sig)\w*)=)[^\s&'\"<>]+", re.I)
_PLACES = (
    "error", "reason", "cell", "changed", "machine", "trust", "nonfinite", "trial", "tuned",
    "versions", "data.notes", "data.reading", "cost.absent",
)  # fmt: skip
"""Where a record holds words of others; names are part of its identity, all else is our own."""


def secrets(environment: Mapping[str, str] | None = None) -> list[str]:
    """Values of variables whose name speaks of a secret, longest first; lines of a value too."""
    environment = os.environ if environment is None else environment
    found = set()
    for name, value in environment.items():
        if _SECRET_NAME.search(name) and name not in _FOLDERS:
            found |= {value, value.strip(), *(line.strip() for line in value.splitlines())}
    return sorted((value for value in found if len(value) >= SHORTEST), key=len, reverse=True)


def scrub(value: T, hide: Iterable[str] | None = None) -> T:
    """`value` (text, or dicts and lists of it) without secrets and without `user:pass@` in URLs."""
    return _scrub(value, list(secrets() if hide is None else hide))  # type: ignore[no-any-return]


def scrub_record(record: Record) -> Record:
    """The record with every text scrubbed that is not our own."""
    plain, hide = record.dump(), secrets()
    clean = dict(plain)
    for place in _PLACES:
        part, _, name = place.partition(".")
        if not name:
            clean[part] = _scrub(plain[part], hide)
        elif plain[part] is not None:
            clean[part] = clean[part] | {name: _scrub(plain[part][name], hide)}
    return record if clean == plain else Record.model_validate(clean)


def _scrub(value: Any, hide: list[str]) -> Any:
    if isinstance(value, str):
        for secret in hide:
            value = value.replace(secret, HIDDEN)
        return _URL_QUERY.sub(rf"\1{HIDDEN}", _URL_USER.sub(f"{HIDDEN}@", value))
    if isinstance(value, dict):
        return {_scrub(k, hide): _scrub(v, hide) for k, v in value.items()}
    if isinstance(value, list):
        return [_scrub(v, hide) for v in value]
    return value
