"""Find the columns of a table that say how its rows are ordered: times, counters, ids of series.

If the time column is not recognised, rows are used in the order of the file, so that a series may
be forecast backwards, or several series end to end. So every doubtful case is refused.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from itertools import combinations
from typing import Any, Final

import numpy as np

from quintain.data.files.problems import short_repr
from quintain.data.tables.columns import Numbers, read_labels
from quintain.data.tables.table import Table
from quintain.data.tables.time_formats import (
    Int64,
    find_format,
    has_absolute_times,
    parse_time,
    suggest_formats,
)
from quintain.data.tables.timestamps import first_values, read_plain_times
from quintain.errors import DataError

TIME_NAMES = (
    *("time", "date", "datetime", "timestamp", "ds", "ts", "unix", "unixtime", "epoch", "year"),
    *("datum", "zeit", "zeitstempel", "jahr", "fecha", "day", "week", "month", "quarter", "period"),
    *("date_time", "time_stamp", "unix_time", "yyyymm", "yyyymmdd", "t"),
)
"""Names of columns that are taken for times if no two rows of a series have the same value."""

ID_NAMES = (
    *("id", "series", "series_id", "unique_id", "store", "store_id", "shop", "item", "item_id"),
    *("product", "product_id", "sku", "sensor", "sensor_id", "device", "machine", "station"),
    *("location", "region", "country", "city", "customer", "user", "subject"),
)
"""Names of numeric columns that may tell series apart."""

PART_NAMES = (
    *("year", "month", "day", "hour", "minute", "second", "jahr", "monat", "tag", "stunde"),
    *("uhrzeit", "time", "clock"),
)
"""Names of columns that may have a part of the time."""

_CLOCK: Final = re.compile(r"(?<!\d)\d{1,2}:\d{2}(?!\d)")
_IN_ORDER: Final = "use the rows in the order of the file (dataset.time=false)"
_YEAR: Final = re.compile(r"(?<!\d)(19|20)\d{2}(?!\d)")
_ZONE_NAME: Final = re.compile(r"\d ?[A-Z]{2,5}$")
_SHAPE: Final = re.compile(r"[^\W\d_]+")
_SHARE_OF_STEPS: Final = 0.9  # of the differences that must be equal in a column that counts


def find_time_column(
    table: Table,
    without: Iterable[str],
    time_format: str | None = None,
    groups: Int64 | None = None,
    *,
    needs_channel: bool = False,
) -> str | None:
    """Return the column of dates, else a numeric column of times, else one that counts the rows.

    Args:
        table: table to search.
        without: columns to ignore.
        time_format: as in `strptime`; None: formats with a single reading.
        groups: number of the series of each row; None: all rows are one series.
        needs_channel: a column that counts the rows is not taken if there is no other number.

    Raises:
        DataError: several columns contain times, or none has times of this format; or none has
            times, but one looks like times of an unknown format, or counts the rows of several
            series, so that the order of the file may be wrong.
    """
    excluded = set(without)
    names = [name for name in table.columns if name not in excluded]
    dated = [name for name in names if _contains_dates(table.columns[name], time_format)]
    if time_format is not None and not dated:
        raise DataError(
            f"{table.path}: no column has times of the format {time_format}; the first row has "
            + ", ".join(f"{name!r}: {table.columns[name][0]!r}" for name in names[:8])
        )
    if dated:
        named = [name for name in dated if time_format and name.casefold() in TIME_NAMES]
        return _choose(table, named or dated)
    for name in names:
        _refuse_unknown_times(table, name, groups)
    numbers = {
        name: found for name in names if (found := read_plain_times(table, name)) is not None
    }
    if numeric := _find_numeric_times(numbers, groups, needs_channel):
        return numeric[0] if numeric[0].casefold() not in TIME_NAMES else _choose(table, numeric)
    if not needs_channel:
        _refuse_parts(table, names)
    if groups is None:
        _refuse_several_series(table, names, numbers)
    return None


def _find_numeric_times(
    numbers: Mapping[str, Numbers], groups: Int64 | None, needs_channel: bool
) -> list[str]:
    """Return columns of dates in digits or Unix times, else with names of times, else counters.

    No two rows of a series may have the same value. A column of any name has Unix times only if it
    counts too, since populations may be as large.
    """
    distinct = [name for name, column in numbers.items() if _is_distinct(column, groups)]
    named = [name for name in distinct if name.casefold() in TIME_NAMES]
    counters = [name for name in distinct if is_counter(numbers[name], groups)]
    absolute = [
        name
        for name in distinct
        if has_absolute_times(numbers[name], must_be_dates=name not in (*named, *counters))
    ]
    if needs_channel and len(counters) == len(numbers):
        counters = []
    return absolute or named or counters


def is_counter(numbers: Numbers, groups: Int64 | None = None) -> bool:
    """Return whether a column counts the rows: 0, 1, 2, … in some order, or in each group.

    Args:
        numbers: the column, (rows,).
        groups: number of the series of each row; None: all rows are one series.
    """
    if len(numbers) < 3 or np.isnan(numbers).any():
        return False
    if _has_equal_steps(np.sort(numbers)):
        return True
    if groups is None or not _is_distinct(numbers, groups):
        return False
    order = np.lexsort((numbers, groups))
    is_start = np.diff(groups[order], prepend=-1) != 0
    starts = numbers[order][is_start]
    differences = np.diff(numbers[order])[~is_start[1:]]
    return len(differences) > 0 and bool(
        (starts == starts[0]).all() and _are_mostly_equal(differences)
    )


def suggest_groups(table: Table, times: Int64) -> str:
    """Return a hint that names the column (or two) whose series have each time once; or ""."""
    codes = {}
    for name in table.columns:
        try:
            labels = read_labels(table, name)
        except DataError:
            continue
        if 1 < len(set(labels)) <= len(labels) // 2:
            codes[name] = np.unique(labels, return_inverse=True)[1]
    time_codes = np.unique(times, return_inverse=True)[1]
    choices = [*((name,) for name in codes), *combinations(codes, 2)]
    fitting = [
        choice
        for choice in choices
        if _is_unique(np.stack([time_codes, *(codes[name] for name in choice)], 1))
    ]
    if not fitting:
        return ""
    best = min(fitting, key=lambda c: (len(c), np.prod([len(np.unique(codes[n])) for n in c])))
    if best[0].casefold() in PART_NAMES:
        return f"; if column {best[0]!r} is a part of the time, join both into 2024-01-31 13:00"
    if len(best) == 1:
        return f"; if column {best[0]!r} tells several series apart, set dataset.group={best[0]}"
    return f"; if columns {best[0]!r} and {best[1]!r} tell several series apart, set " + (
        f"dataset.group=[{','.join(best)}]"
    )


def _choose(table: Table, columns: Sequence[str]) -> str:
    if len(columns) > 1:
        raise DataError(
            f"{table.path}: several columns have times ({', '.join(map(repr, columns))}); choose "
            "one (dataset.time=…), and leave the others out (dataset.covariates=[…])"
        )
    return columns[0]


def _contains_dates(values: Sequence[Any], time_format: str | None) -> bool:
    first = first_values(values)
    if time_format is not None:
        return bool(first) and all(parse_time(value, time_format) for value in first)
    is_text = bool(first) and not all(_is_plain(value) for value in first)
    return is_text and find_format(first) is not None


def _is_plain(value: object) -> bool:
    try:
        float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        return False
    return True


def _refuse_unknown_times(table: Table, name: str, groups: Int64 | None) -> None:
    """Raise DataError if a column of text looks like times, or has the name of times."""
    values = table.columns[name]
    first = [str(value).strip() for value in first_values(values)]
    if not first or all(map(_is_plain, first)) or not any(map(str.isdigit, "".join(first))):
        return
    formats = suggest_formats(first)
    is_named = name.casefold() in TIME_NAMES
    patterns = (_CLOCK, _YEAR)
    has_pattern = any(all(pattern.search(text) for text in first) for pattern in patterns)
    labels = np.array(read_labels(table, name))
    codes = np.unique(labels, return_inverse=True)[1]
    is_unique = len(first) > 1 and _is_distinct(codes, groups)
    if formats or (is_unique and (has_pattern or is_named) and len(_shapes(first)) <= 3):
        which = formats[:2] or ["%d.%m.%Y"]
        settings = " or ".join(f"'dataset.time_format={f}'" if " " in f else
                               f"dataset.time_format={f}" for f in which)  # fmt: skip
        example = "" if formats else ", for example"
        cure = f"set it ({settings}{example}), write the times as 2024-01-31 13:00"
        if not formats and all(map(_ZONE_NAME.search, first)):
            cure = "names of time zones are not read; write the times in UTC or with offsets"
        raise DataError(
            f"{table.path}: column {name!r} looks like dates ({short_repr(values[0])}) of an "
            f"unknown format; {cure}, or {_IN_ORDER}"
        )


def _refuse_parts(table: Table, names: Sequence[str]) -> None:
    """Raise DataError if the parts of a time are in several columns."""
    parts = [name for name in names if name.casefold() in PART_NAMES]
    if len(parts) > 1:
        raise DataError(
            f"{table.path}: parts of times are in several columns ({', '.join(map(repr, parts))}); "
            f"join them into one, such as 2024-01, or {_IN_ORDER}"
        )


def _refuse_several_series(
    table: Table, names: Sequence[str], numbers: Mapping[str, Numbers]
) -> None:
    """Raise DataError if the rows, which have no times, seem to be several series end to end."""
    codes_of = {name: np.unique(read_labels(table, name), return_inverse=True)[1] for name in names}
    for name, codes in sorted(codes_of.items(), key=lambda item: int(item[1].max())):
        count = int(codes.max()) + 1
        if not 1 < count <= len(codes) // 3:
            continue
        restarting = [
            other for other in numbers if other != name and is_counter(numbers[other], codes)
        ]
        if restarting:
            raise DataError(
                f"{table.path}: column {restarting[0]!r} starts again where column {name!r} "
                f"changes; if {name!r} tells several series apart, set dataset.group={name} "
                f"dataset.time={restarting[0]}; if all rows are one series, {_IN_ORDER}"
            )
        is_id = name not in numbers or name.casefold() in ID_NAMES
        if is_id and int((codes[1:] != codes[:-1]).sum()) == count - 1:
            raise DataError(
                f"{table.path}: column {name!r} has {count} values in {count} blocks of rows; if "
                f"it tells several series apart, set dataset.group={name}; if all rows are one "
                f"series, {_IN_ORDER}"
            )


def _shapes(texts: Iterable[str]) -> set[str]:
    return {re.sub(r"\d+", "9", _SHAPE.sub("a", text)) for text in texts}


def _is_distinct(numbers: Numbers | Int64, groups: Int64 | None) -> bool:
    if groups is None:
        return len(np.unique(numbers)) == len(numbers)
    codes = np.unique(numbers, return_inverse=True)[1]
    return _is_unique(np.stack([groups, codes], 1))


def _is_unique(rows: Int64) -> bool:
    return len(np.unique(rows, axis=0)) == len(rows)


def _has_equal_steps(ordered: Numbers) -> bool:
    return _are_mostly_equal(np.diff(ordered))


def _are_mostly_equal(differences: Numbers) -> bool:
    step = float(np.median(differences))
    if step <= 0 or (differences <= 0).any():
        return False
    return bool(np.mean(np.abs(differences - step) < 1e-3 * step) >= _SHARE_OF_STEPS)
