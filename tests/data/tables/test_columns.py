"""Columns as numbers, labels and times, and how missing values are filled."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from helpers.commands import write_file

from quintain.data.tables.columns import read_labels, read_numbers, sort_class_names
from quintain.data.tables.frequency import infer_frequency
from quintain.data.tables.missing_values import fill_missing
from quintain.data.tables.series import place_on_grid
from quintain.data.tables.table import Table, read_table
from quintain.data.tables.time_columns import find_time_column
from quintain.data.tables.timestamps import Times, read_times
from quintain.errors import DataError


def test_text_in_a_number_column_is_named_by_line_and_column(tmp_path: Path) -> None:
    path = write_file(tmp_path / "t.csv", "n,m\n1,1\nx,2\nn/a,1_000\ninf,1e3\n")
    table = read_table(path)
    for name, positions in {
        "n": "line 3 has 'x', line 5 has 'inf'",
        "m": "line 4 has '1_000'",
    }.items():
        with pytest.raises(DataError, match=f"column '{name}': expected numbers; {positions}"):
            read_numbers(table, name)
    with pytest.raises(DataError, match=r"no column 'nn'; did you mean 'n'\? Known: 'm', 'n'"):
        read_numbers(table, "nn")


def test_labels_are_normalised_and_classes_sorted() -> None:
    table = Table(Path("t"), {"a": [1.0, 2, True, "x ", None]}, range(1, 6), "row")
    assert read_labels(table, "a") == ["1", "2", "True", "x", ""]
    assert sort_class_names(["10", "9", "-1"]) == ("-1", "9", "10")
    assert sort_class_names(["b", "10", "9"]) == ("10", "9", "b")
    with_list = Table(Path("t"), {"a": ["x", [1]]}, range(1, 3), "row")
    with pytest.raises(DataError, match=r"row 2 has \[1\]"):
        read_labels(with_list, "a")


def test_times_are_read_in_all_their_formats(tmp_path: Path) -> None:
    text = "iso,zone,own,year\n2024-01-31T13:00,2024-01-31T14:00+01:00,31.01.2024 13,1999\n"
    table = read_table(write_file(tmp_path / "t.csv", text))
    expected = np.datetime64(datetime(2024, 1, 31, 13), "us").astype(np.int64)
    assert read_times(table, "iso").values[0] == expected
    assert read_times(table, "zone").values[0] == expected
    assert read_times(table, "own", "%d.%m.%Y %H").values[0] == expected
    assert not read_times(table, "year").is_dated
    assert read_times(table, "year").format(0) == "1999"
    with pytest.raises(DataError, match=r"line 2 has '31\.01\.2024 13'"):
        read_times(table, "own")
    mixed = read_table(write_file(tmp_path / "u.csv", "t,x\n2024-01-31,1\n2024-02-01T00:00Z,2\n"))
    with pytest.raises(DataError, match="1 of 2 times have an offset"):
        read_times(mixed, "t")


def test_the_time_column_must_be_the_only_one(tmp_path: Path) -> None:
    text = "iso,zone,own,year\n2024-01-31T13:00,2024-01-31T14:00+01:00,31.01.2024 13,1999\n"
    table = read_table(write_file(tmp_path / "t.csv", text))
    with pytest.raises(DataError, match="several columns have times"):
        find_time_column(table, ())
    assert find_time_column(table, ("iso",)) == "zone"
    assert find_time_column(table, ("iso", "zone")) == "year"


def test_a_time_column_in_an_unknown_format_is_refused(tmp_path: Path) -> None:
    rows = "\n".join(f"0{d}.05.2022,{d * d},1.2.{d}a" for d in range(1, 6))
    table = read_table(write_file(tmp_path / "t.csv", f"Datum,sold,code\n{rows}\n"))
    assert find_time_column(table, (), "%d.%m.%Y") == "Datum"
    with pytest.raises(DataError, match=r"column 'Datum' looks like dates \('01.05.2022'\)"):
        find_time_column(table, ())
    assert find_time_column(table, ("Datum",)) is None  # 1.2.1a is not a date
    with pytest.raises(DataError, match="no column has times of the format %Y; the first row has"):
        find_time_column(table, (), "%Y")


def test_addresses_are_not_dates_and_years_are_times(tmp_path: Path) -> None:
    addresses = "ip,part\n" + "\n".join(f"10.0.0.{n},12-34-50{n}" for n in range(10, 20)) + "\n"
    assert find_time_column(read_table(write_file(tmp_path / "ip.csv", addresses)), ()) is None
    years = "year,price\n" + "\n".join(f"{1990 + n},{1001 + n}" for n in range(10)) + "\n"
    assert find_time_column(read_table(write_file(tmp_path / "y.csv", years)), (), "%Y") == "year"


@pytest.mark.parametrize(
    ("code", "text", "season"),
    [
        ("h", "1 hour", 24),
        ("15min", "15 minutes", 96),
        ("D", "1 day", 7),
        ("W", "1 week", 52),
        ("MS", "1 month", 12),
        ("ME", "1 month", 12),
        ("QE", "3 months", 4),
        ("YE", "12 months", 0),
        ("5s", "5 seconds", 0),
    ],
)
def test_frequencies_of_pandas_are_inferred_with_missing_steps(
    code: str, text: str, season: int
) -> None:
    dates = pd.date_range("2020-02-29", periods=30, freq=code)
    values = np.delete(dates.to_numpy("datetime64[us]").astype(np.int64), [7, 8])
    frequency, steps = infer_frequency(Times(values, is_dated=True))
    assert (frequency.text, frequency.season) == (text, season)
    assert steps is not None and list(np.delete(np.arange(30), [7, 8])) == list(steps)
    values[5] += (values[6] - values[5]) // 4
    assert infer_frequency(Times(values, is_dated=True))[1] is None


def test_missing_values_are_filled_by_policy() -> None:
    values = np.array([np.nan, 1.0, np.nan, np.nan, 4.0, np.nan])[:, None]
    for policy, expected in {
        "previous": [1, 1, 1, 1, 4, 4],
        "interpolate": [1, 1, 2, 3, 4, 4],
        "zero": [0, 1, 0, 0, 4, 0],
        "drop": [1, 4],
    }.items():
        filled = fill_missing(values, policy, ("a",))  # type: ignore[arg-type]
        assert filled[:, 0].tolist() == expected
        assert filled.flags.c_contiguous and filled.flags.writeable
    grid = place_on_grid(np.array([[1.0], [2.0]]), np.array([0, 3]))
    assert np.array_equal(grid[:, 0], [1, np.nan, np.nan, 2], equal_nan=True)


def test_interpolation_has_the_bits_of_numpy() -> None:
    random = np.random.default_rng(0)
    values = np.where(random.random(500) < 0.4, np.nan, random.normal(size=500))
    known = np.flatnonzero(~np.isnan(values))
    expected = np.interp(np.arange(500), known, values[known])
    assert np.array_equal(fill_missing(values[:, None], "interpolate", ("a",))[:, 0], expected)


def test_a_channel_without_any_value_is_named() -> None:
    values = np.array([[1.0, np.nan], [2.0, np.nan]])
    for policy in ("previous", "interpolate"):
        with pytest.raises(DataError, match="column 'b' of group 'x' has no value"):
            fill_missing(values, policy, ("a", "b"), "group 'x'")  # type: ignore[arg-type]
    assert fill_missing(values, "zero", ("a", "b")).tolist() == [[1, 0], [2, 0]]
