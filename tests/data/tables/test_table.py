"""Reading a user's table: formats, delimiters, quotes, and errors that name file and line."""

from __future__ import annotations

import gzip
import json
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from helpers.commands import write_file

from quintain.data.files.problems import Problems
from quintain.data.tables.columns import find_number_columns, read_labels, read_numbers
from quintain.data.tables.frequency import infer_frequency
from quintain.data.tables.table import read_table
from quintain.data.tables.text_files import read_lines
from quintain.data.tables.timestamps import read_times
from quintain.data.user_files.splits import split_by_key
from quintain.errors import DataError

RECORDS = [
    {"name": "Zoë, the first", "size": 1.5, "when": "2024-01-31"},
    {"name": 'a "quoted" word', "size": 2.0, "when": "2024-02-29"},
    {"name": "two\nlines", "size": None, "when": "2024-03-31"},
]


def read_error(path: Path) -> str:
    with pytest.raises(DataError) as error:
        read_table(path)
    return str(error.value)


@pytest.fixture
def frame() -> pd.DataFrame:
    return pd.DataFrame(RECORDS)


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_csv_written_by_pandas_is_read_with_its_delimiter(
    frame: pd.DataFrame, tmp_path: Path, delimiter: str
) -> None:
    frame.to_csv(tmp_path / "t.csv", sep=delimiter, index=False)
    table = read_table(tmp_path / "t.csv")
    assert list(table.column("name")) == [row["name"] for row in RECORDS]
    assert np.array_equal(read_numbers(table, "size"), [1.5, 2.0, np.nan], equal_nan=True)
    assert list(table.row_numbers) == [2, 3, 4]


def test_all_formats_give_the_same_table(frame: pd.DataFrame, tmp_path: Path) -> None:
    frame.to_csv(tmp_path / "t.tsv", sep="\t", index=False, encoding="utf-8-sig")
    frame.to_csv(tmp_path / "t.csv.gz", index=False)
    frame.to_parquet(tmp_path / "t.parquet")
    frame.to_json(tmp_path / "t.jsonl", orient="records", lines=True)
    for name in ("t.tsv", "t.csv.gz", "t.parquet", "t.jsonl"):
        table = read_table(tmp_path / name)
        assert read_labels(table, "name") == [str(row["name"]) for row in RECORDS], name
        numbers = read_numbers(table, "size")
        assert np.array_equal(numbers, [1.5, 2.0, np.nan], equal_nan=True), name
        assert infer_frequency(read_times(table, "when"))[0].text == "1 month", name
        assert list(find_number_columns(table, (), Problems())[0]) == ["size"], name


def test_lines_are_counted_through_fields_with_line_breaks(tmp_path: Path) -> None:
    path = write_file(tmp_path / "t.csv", 'a,b\n"1\n2",x\n\n3,y\n')
    assert list(read_table(path).row_numbers) == [2, 5]


def test_unmatched_quotes_in_a_tsv_are_ordinary_text(tmp_path: Path) -> None:
    path = write_file(tmp_path / "t.tsv", 'text\tlabel\n"so" he said\ta\n"open\tb\nshut"\tc\n')
    table = read_table(path)
    assert list(table.column("text")) == ['"so" he said', '"open', 'shut"']
    assert "ordinary characters" in table.notes[0]


def test_a_quote_that_spans_two_complete_rows_is_ordinary_text(tmp_path: Path) -> None:
    path = write_file(tmp_path / "t.csv", 'id|text\n1|"open\n2|shut"\n')
    assert list(read_table(path).column("text")) == ['"open', 'shut"']


def test_a_table_without_header_has_numbered_columns(tmp_path: Path) -> None:
    path = write_file(tmp_path / "t.tsv", "good\t1\nbad\t0\n")
    table = read_table(path, header=False)
    assert {name: list(values) for name, values in table.columns.items()} == {
        "1": ["good", "bad"],
        "2": ["1", "0"],
    }
    assert list(table.row_numbers) == [1, 2]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "is empty"),
        ("\n \n", "is empty"),
        ("\ufeff", "is empty"),
        ("a,b\n", "has columns (a, b), but no rows"),
        ("a,b,a\n1,2,3\n", "unique column names; duplicates: 'a'"),
        ("a,b\n1,2\n3\n4,5,6\n", "expected 2 fields in each row; line 3 has 1, line 4 has 3"),
        ("1,2\n3,4\n", "the first line has numbers"),
        ('a,b\n1,2\n"3"4,5\n', "line 3: "),
        ('a,b\n1,2\n"3,5\n', "line 3: "),
    ],
)
def test_a_malformed_csv_is_refused(text: str, message: str, tmp_path: Path) -> None:
    assert message in read_error(write_file(tmp_path / "t.csv", text))


def test_a_byte_that_is_not_utf8_is_named_by_its_line(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_bytes("a,b\n1,ü\n2,é\n".encode() + "3,ö\n".encode("latin-1"))
    assert "line 4: byte 0xf6 is not UTF-8" in read_error(tmp_path / "t.csv")
    (tmp_path / "u.csv").write_bytes("a,b\n1,2\n".encode("utf-16-le"))
    assert "line 1: a NUL character" in read_error(tmp_path / "u.csv")


def test_missing_and_broken_files_are_named(tmp_path: Path) -> None:
    write_file(tmp_path / "sales.csv", "a\nx\n")
    assert "did you mean" in read_error(tmp_path / "sale.csv")
    assert "is a folder" in read_error(tmp_path)
    assert "there is no folder" in read_error(tmp_path / "no" / "t.csv")
    assert "save it as CSV" in read_error(write_file(tmp_path / "t.xlsx", "PK"))
    assert "not a complete Parquet file" in read_error(write_file(tmp_path / "t.parquet", "PAR1"))
    (tmp_path / "t.csv.gz").write_bytes(gzip.compress(b"a,b\n1,2\n" * 99)[:-9])
    assert "cannot be read" in read_error(tmp_path / "t.csv.gz")


def test_parquet_without_pyarrow_names_the_extra(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    assert "pip install 'quintain[parquet]'" in read_error(write_file(tmp_path / "t.pq", "PAR1"))


def test_malformed_json_lines_are_named_together(tmp_path: Path) -> None:
    path = write_file(tmp_path / "t.jsonl", '{"a": 1}\n{"a": \n[1]\n{"b": 2}\n')
    message = read_error(path)
    assert "line 2: this is not JSON" in message and "line 3: expected an object" in message
    table = read_table(write_file(tmp_path / "u.jsonl", '{"a": 1}\n\n{"b": "x"}\n'))
    assert table.columns == {"a": [1, None], "b": [None, "x"]}
    assert list(table.row_numbers) == [1, 3]


def test_an_index_of_pandas_is_left_out_and_noted(frame: pd.DataFrame, tmp_path: Path) -> None:
    frame.to_csv(tmp_path / "t.csv")
    frame.set_index(pd.Index([3, 1, 2])).to_parquet(tmp_path / "t.parquet")
    for name in ("t.csv", "t.parquet"):
        table = read_table(tmp_path / name)
        assert list(table.columns) == ["name", "size", "when"]
        assert any("left out" in note for note in table.notes)


def test_only_line_feeds_end_lines(tmp_path: Path) -> None:
    path = tmp_path / "t.txt"
    path.write_bytes("a\u2028b\r\n\r\nc\x0cd\n".encode())
    assert read_lines(path) == ["a\u2028b", "", "c\x0cd"]


def test_reading_and_splitting_take_linear_time(tmp_path: Path) -> None:
    def seconds(rows: int) -> float:
        path = tmp_path / f"{rows}.jsonl"
        path.write_text("".join(json.dumps({"a": k, "b": "x"}) + "\n" for k in range(rows)))
        start = time.process_time()
        split_by_key(read_labels(read_table(path), "a"), read_labels(read_table(path), "b"))
        return time.process_time() - start

    assert seconds(40_000) < 12 * max(seconds(10_000), 0.01)  # 4 where linear, 16 where quadratic


def test_a_long_field_is_read_and_leading_empty_lines_are_skipped(tmp_path: Path) -> None:
    code = (
        "import sys; from quintain.data.tables.table import read_table; "
        "print(len(read_table(sys.argv[1]).column('b')[0]))"
    )  # in another process, since Python's limit of a field is global
    path = write_file(tmp_path / "t.csv", "\n" * 150 + "a;b\n1;" + "x" * 200_000 + "\n")
    done = subprocess.run(
        [sys.executable, "-c", code, path], capture_output=True, text=True, check=False
    )
    assert done.stdout == "200000\n", done.stderr
