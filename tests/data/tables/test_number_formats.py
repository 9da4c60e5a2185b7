"""Numbers as people write them: thousands, decimal commas, units; what is ambiguous is refused."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from quintain.data.files.problems import Problems
from quintain.data.tables.columns import find_number_columns, read_number_column, read_numbers
from quintain.data.tables.table import Table, read_table
from quintain.errors import DataError


def make_table(folder: Path, columns: dict[str, list[str]], delimiter: str = ",") -> Table:
    """Write a CSV file with these columns and read it."""
    with (folder / "t.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, delimiter=delimiter)
        writer.writerow(columns)
        writer.writerows(zip(*columns.values(), strict=True))
    return read_table(folder / "t.csv", delimiter=delimiter)


@pytest.mark.parametrize(
    ("texts", "expected"),
    [
        (["5,110.25", "1,234,567.5", "12"], [5110.25, 1234567.5, 12]),
        (["5.110,25", "1.234.567,5", "12"], [5110.25, 1234567.5, 12]),
        (["5\u202f110,25", "12,5", "1 000"], [5110.25, 12.5, 1000]),
        (["5'110.25", "5\u2019110.25"], [5110.25, 5110.25]),
        (["12,34,567", "1,234.5"], [1234567, 1234.5]),
        (["$5,110.25", "-$1.50", "$ 3"], [5110.25, -1.5, 3]),
        (["5,110 €", "-1,5 €"], [5.11, -1.5]),
        (["12.5%", "3 %"], [12.5, 3]),
        (["\u22121.5", "2"], [-1.5, 2]),
        (["1,5", "0,25", "1e3"], [1.5, 0.25, 1000]),
        (["5,110", "0,250"], [5.11, 0.25]),
    ],
)
def test_numbers_are_read_in_the_one_format_that_fits_all(
    texts: list[str], expected: list[float], tmp_path: Path
) -> None:
    column = read_number_column(make_table(tmp_path, {"a": texts}), "a")
    assert column.values.tolist() == expected
    assert column.notes == (f"column 'a': {texts[0]!r} is read as {expected[0]:.12g} (inferred)",)


@pytest.mark.parametrize("texts", [["5,110", "987"], ["5,110", "6,220"], ["5.110", "987"]])
def test_a_number_with_two_readings_is_refused_with_both_settings(
    texts: list[str], tmp_path: Path
) -> None:
    table = make_table(tmp_path, {"a": texts})
    with pytest.raises(DataError, match=r"\(line 2\) may be 5110 or 5\.11; write") as error:
        read_numbers(table, "a")
    assert "dataset.decimal=point" in str(error.value) and "comma" in str(error.value)
    is_comma = "," in texts[0]
    thousands, decimals = ("point", "comma") if is_comma else ("comma", "point")
    assert read_numbers(table, "a", thousands)[0] == 5110  # type: ignore[arg-type]
    assert read_numbers(table, "a", decimals)[0] == 5.11  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("other", "texts", "expected"),
    [
        ("1.5", ["5,110", "987"], 5110),
        ("1,5", ["5,110", "987"], 5.11),
        ("1,5", ["5.110"] * 2, 5110),
    ],
)
def test_another_column_tells_the_decimal_sign(
    other: str, texts: list[str], expected: float, tmp_path: Path
) -> None:
    table = make_table(tmp_path, {"a": texts, "b": [other, other]}, ";")
    assert read_numbers(table, "a")[0] == expected


def test_three_decimals_everywhere_are_decimals_and_said(tmp_path: Path) -> None:
    column = read_number_column(make_table(tmp_path, {"a": ["5.110", "6.220"]}), "a")
    assert column.values.tolist() == [5.11, 6.22]
    assert column.notes == ("column 'a': 5.110 is read as 5.11; dataset.decimal=comma reads 5110",)
    assert read_number_column(make_table(tmp_path, {"a": ["0.110", "6.220"]}), "a").notes == ()


@pytest.mark.parametrize(
    ("texts", "message"),
    [
        (["5 kWh", "6 kWh"], "line 2 has '5 kWh', line 3 has '6 kWh'; remove the units"),
        (["(1.5)", "(2.5)"], "write negative numbers with a minus sign"),
        (["$5.00", "$6.00", "€7.00"], "line 4 has '€7.00'; other values have the unit '$'"),
        (["1_000", "2"], "line 2 has '1_000'"),
        (["1", "inf"], "line 3 has 'inf'"),
        (["1,2,3", "4"], "line 2 has '1,2,3'"),
        (["1,234.5", "1 234.5", "1,234.5"], "line 3 has '1 234.5'"),
    ],
)
def test_what_is_no_number_is_named_by_its_line(
    texts: list[str], message: str, tmp_path: Path
) -> None:
    with pytest.raises(DataError) as error:
        read_numbers(make_table(tmp_path, {"a": texts}), "a")
    assert message in str(error.value)


def test_missing_numbers_may_stand_beside_all_formats(tmp_path: Path) -> None:
    numbers = read_numbers(make_table(tmp_path, {"a": ["1.234,5", "", "n/a", "#N/A"]}), "a")
    assert numbers[0] == 1234.5 and str(numbers[1:].tolist()) == "[nan, nan, nan]"


def test_a_column_that_is_left_out_is_named_with_its_first_bad_line(tmp_path: Path) -> None:
    rows = 150
    wind = [str(k) for k in range(rows - 1)] + ["calm"]
    table = make_table(tmp_path, {"a": ["1"] * rows, "wind": wind, "b": [""] * rows})
    columns, reasons = find_number_columns(table, (), Problems())
    assert list(columns) == ["a"]
    assert reasons == {"wind": "line 151 has 'calm'", "b": "it has no value"}
