"""What the index keeps of a record, and the SQL that takes it out of the record's text.

The text is parsed once for all columns: one list of paths. Scalars become SQL values, everything
with inner structure stays JSON text. Curves and step times are left out.
"""

from __future__ import annotations

VERSION = 1
"""Raise it with any change here: an index of another version is built anew."""

TEXTS = ("group", "status", "reason", "started", "finished")
TREES = (
    "names", "cell", "changed", "trial", "tuned", "data", "cost", "machine", "trust", "versions",
    "error", "nonfinite",
)  # fmt: skip
QUALITY = ("main", "scores", "best_step", "target", "confusion")
_PATHS = ("key", "schema", "reference", "seed", *TEXTS, *TREES, *(f"quality.{q}" for q in QUALITY))


def extract(source: str, schema: int) -> str:
    """SQL: rows `key`, `mark`, `text` of `source` → the columns of the index.

    Where the text is no JSON, or is of another key or schema, `usable` is false and all but `key`
    and `mark` is null.
    """
    paths = ", ".join(f"'$.{path}'" for path in _PATHS)
    at = {path: f"parts[{place}]" for place, path in enumerate(_PATHS, 1)}
    usable = (
        f"coalesce({at['key']}->>'$' = key and coalesce({at['schema']}, '1')::varchar = '{schema}' "
        f"and {at['status']}->>'$' in ('ok', 'failed', 'skipped'), false)"
    )
    columns = [
        f"{usable} as usable",
        f"coalesce(try_cast({at['reference']} as boolean), false) as reference",
        f"try_cast({at['seed']} as bigint) as seed",
        *(f"{at[name]}->>'$' as \"{name}\"" for name in TEXTS),
        *(f"nullif({at[name]}::varchar, 'null') as \"{name}\"" for name in TREES),
        f"{at['quality.main']}->>'$' as metric",
        *(f"nullif({at[f'quality.{q}']}::varchar, 'null') as \"{q}\"" for q in QUALITY[1:]),
    ]
    parsed = f"select key, mark, try(json_extract(text, [{paths}])) as parts from {source}"
    return f"select key, mark, {', '.join(columns)} from ({parsed})"
