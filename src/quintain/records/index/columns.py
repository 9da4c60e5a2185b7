"""The columns of an index, and the DuckDB SQL that extracts them from the text of a record.

All columns come from one list of JSON paths, so that each text is parsed once. Scalars become SQL
values; dicts and lists stay JSON text. Curves and step times are omitted.
"""

from __future__ import annotations

VERSION = 2
"""Increase it with every change in this file: an index of another version is rebuilt."""

TEXTS = ("group", "status", "reason", "started", "finished")
JSON_FIELDS = (
    "names", "cell", "changed", "trial", "tuned", "data", "cost", "machine", "trust", "versions",
    "error", "nonfinite",
)  # fmt: skip
QUALITY_FIELDS = ("main", "scores", "best_step", "target", "confusion")
_PATHS = (
    "key", "schema", "baseline", "reference", "seed", *TEXTS, *JSON_FIELDS,
    *(f"quality.{name}" for name in QUALITY_FIELDS),
)  # fmt: skip


def make_query(source: str, schema: int) -> str:
    """Return the SQL query for the columns of the index.

    `usable` is false where a text is not JSON, its key is not that of the column `key`, or its
    schema or status is unknown. Records of schema 1 have `reference` instead of `baseline`.

    Args:
        source: table or subquery with the columns `key`, `inode` and `text`.
        schema: the newest schema version that can be read.
    """
    paths = ", ".join(f"'$.{path}'" for path in _PATHS)
    at = {path: f"parts[{position}]" for position, path in enumerate(_PATHS, 1)}
    usable = (
        f"coalesce({at['key']}->>'$' = key "
        f"and coalesce(try_cast({at['schema']} as int), 1) between 1 and {schema} "
        f"and {at['status']}->>'$' in ('ok', 'failed', 'skipped'), false)"
    )
    columns = [
        f"{usable} as usable",
        f"coalesce(try_cast({at['baseline']} as boolean), "
        f"try_cast({at['reference']} as boolean), false) as baseline",
        f"try_cast({at['seed']} as bigint) as seed",
        *(f"{at[name]}->>'$' as \"{name}\"" for name in TEXTS),
        *(f"nullif({at[name]}::varchar, 'null') as \"{name}\"" for name in JSON_FIELDS),
        f"{at['quality.main']}->>'$' as metric",
        *(f"nullif({at[f'quality.{n}']}::varchar, 'null') as \"{n}\"" for n in QUALITY_FIELDS[1:]),
    ]
    parsed = f"select key, inode, try(json_extract(text, [{paths}])) as parts from {source}"
    return f"select key, inode, {', '.join(columns)} from ({parsed})"
