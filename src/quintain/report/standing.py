"""Which rows of a table are tied, which ranks are possible, and the tests behind both."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace

from quintain.report.rows import Row
from quintain.stats.family import Family

LEVEL = 0.05  # chance of any false difference within one table


@dataclass(frozen=True, kw_only=True)
class Standing:
    """The rows of one table with their places; `models` are those that rank, as in `family`."""

    rows: list[Row]
    models: list[Row]
    family: Family


def standing(table: Sequence[Row]) -> Standing:
    """Place the rows of one table, which must have some; references stay as they are."""
    ranked = [i for i, row in enumerate(table) if not row.reference]
    scores = [dict(zip(table[i].seeds, table[i].scores, strict=True)) for i in ranked]
    family = Family(scores, direction=table[0].direction, level=LEVEL)
    rows = list(table)
    for i, place in zip(ranked, family.places(), strict=True):
        rows[i] = replace(rows[i], **asdict(place))
    return Standing(rows=rows, models=[rows[i] for i in ranked], family=family)
