"""The records in a bundle: each is read as a stranger's, and named by what its cell hashes to."""

from __future__ import annotations

from collections.abc import Iterator

from quintain.records.bundles.archive import Archive
from quintain.records.bundles.manifest import MOST_NAME, RECORDS
from quintain.records.bundles.strict import strict_json
from quintain.records.keys import recomputed
from quintain.records.schema import SCHEMA, Record


def records_in(archive: Archive) -> Iterator[Record]:
    """The records of a bundle, one after another.

    Raises:
        ValueError: a line is no record, is of a newer schema, has another key than its cell gives,
            or one that was there before.
    """
    seen: set[str] = set()
    for number, line in enumerate(archive.lines(RECORDS) if RECORDS in archive else (), start=1):
        try:
            record = _record(line)
        except ValueError as error:
            raise ValueError(f"line {number} of {RECORDS}: {_brief(error)}") from error
        if record.key in seen:
            raise ValueError(f"line {number} of {RECORDS}: the key {record.key} is there twice")
        seen.add(record.key)
        yield record


def _record(line: bytes) -> Record:
    value = strict_json(line)
    schema = value.get("schema") if isinstance(value, dict) else None
    if type(schema) is int and schema > SCHEMA:
        raise ValueError(
            f"a record of schema {schema}, this quintain knows up to {SCHEMA}: update quintain"
        )
    record = Record.model_validate(value)
    labels = [*record.names.model_dump().values(), *(record.versions | record.trust)]
    if any(len(label) > MOST_NAME for label in labels):
        raise ValueError(f"a name of over {MOST_NAME} characters")
    found = recomputed(record)
    if found and found != (record.key, record.group):
        raise ValueError(
            f"the record says that its key is {record.key}, its cell gives {found[0]}: "
            "it was changed, or was not made by quintain"
        )
    return record


def _brief(error: ValueError) -> str:
    """What pydantic says in many lines, in one."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return ": ".join(lines[1:3]) if len(lines) > 2 else " ".join(lines)
