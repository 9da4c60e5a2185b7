"""Replaces secrets in records, logs and tracebacks by `[redacted]`, because records are shared."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping
from typing import Any, TypeVar

from quintain.records.schema import Record

T = TypeVar("T")

REDACTED = "[redacted]"
MIN_LENGTH = 8  # characters; shorter values such as "true" are too common to be replaced
_SECRET_NAME = re.compile(r"KEY|TOKEN|SECRET|PASS|PWD|CRED|AUTH(?!OR_)|DSN", re.IGNORECASE)
_WORKING_FOLDERS = ("PWD", "OLDPWD")  # set by the shell, not passwords
_URL_USER = re.compile(
    r"(?<=://)(?:[^\s/@'\"<>]+|[^\s/:@]+:(?!\d+/)[^\s@]+)@"  # but host:80/a@b has a path, no user
)
_URL_QUERY = re.compile(r"([?&](?:\w*(?:token|key|secret|pass|auth|sig)\w*)=)[^\s&'\"<>]+", re.I)
_FREE_TEXT = (
    "error", "reason", "cell", "changed", "machine", "trust", "nonfinite", "trial", "tuned",
    "versions", "data.notes", "data.reading", "cost.absent",
)  # fmt: skip
"""Fields that may contain text of the user or of other programs."""


def find_secrets(environment: Mapping[str, str] | None = None) -> list[str]:
    """Return the values of environment variables whose names suggest a secret, longest first.

    Each line of a value counts as a secret too. By default `os.environ` is searched.
    """
    secrets = set()
    for name, value in (os.environ if environment is None else environment).items():
        if _SECRET_NAME.search(name) and name not in _WORKING_FOLDERS:
            secrets |= {value, value.strip(), *(line.strip() for line in value.splitlines())}
    return sorted((value for value in secrets if len(value) >= MIN_LENGTH), key=len, reverse=True)


def redact(value: T, secrets: Iterable[str] | None = None) -> T:
    """Redact secrets, and users in URLs, in text or in dicts and lists of text.

    By default `secrets` are those of `find_secrets`.
    """
    secrets = find_secrets() if secrets is None else list(secrets)
    return _redact(value, secrets)  # type: ignore[no-any-return]


def redact_record(record: Record) -> Record:
    """Return the record with all fields of `_FREE_TEXT` redacted; itself if nothing changes."""
    values, secrets = record.dump(), find_secrets()
    redacted = dict(values)
    for field in _FREE_TEXT:
        part, _, name = field.partition(".")
        if not name:
            redacted[part] = _redact(values[part], secrets)
        elif values[part] is not None:
            redacted[part] = redacted[part] | {name: _redact(values[part][name], secrets)}
    return record if redacted == values else Record.model_validate(redacted)


def _redact(value: Any, secrets: list[str]) -> Any:
    if isinstance(value, str):
        for secret in secrets:
            value = value.replace(secret, REDACTED)
        return _URL_QUERY.sub(rf"\1{REDACTED}", _URL_USER.sub(f"{REDACTED}@", value))
    if isinstance(value, dict):
        return {_redact(k, secrets): _redact(v, secrets) for k, v in value.items()}
    if isinstance(value, list):
        return [_redact(item, secrets) for item in value]
    return value
