"""Tables of a user's own: formats, columns, times, and sentences that name the place."""

from __future__ import annotations

import gzip
import json
import subprocess
import sys
from datetime import datetime
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from words import write

from quintain.kit.files.download import DataError
from quintain.kit.files.problems import Problems, some
from quintain.kit.own.splits import SPLITS, borders_in_time, leaks, split_by_key
from quintain.kit.tables.columns import class_names, labels, number_columns, numbers
from quintain.kit.tables.gaps import fill, spread
from quintain.kit.tables.table import Table, read_lines, read_table
from quintain.kit.tables.times import Times, find_time, lay_on_grid, read_times

RECORDS = [
    {"name": "Zoë, the first", "size": 1.5, "when": "2024-01-31"},
    {"name": 'a "quoted" word', "size": 2.0, "when": "2024-02-29"},
    {"name": "two\nlines", "size": None, "when": "2024-03-31"},
]


def told(path: Path, **how: object) -> str:
    with pytest.raises(DataError) as error:
        read_table(path, **how)  # type: ignore[arg-type]
    return str(error.value)


@pytest.fixture
def frame() -> pd.DataFrame:
    return pd.DataFrame(RECORDS)


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_what_pandas_writes_is_read_with_its_delimiter(
    frame: pd.DataFrame, tmp_path: Path, delimiter: str
) -> None:
    frame.to_csv(tmp_path / "t.csv", sep=delimiter, index=False)
    table = read_table(tmp_path / "t.csv")
    assert list(table.column("name")) == [row["name"] for row in RECORDS]
    assert np.array_equal(numbers(table, "size"), [1.5, 2.0, np.nan], equal_nan=True)
    assert list(table.places) == [2, 3, 4]


def test_all_formats_say_the_same(frame: pd.DataFrame, tmp_path: Path) -> None:
    frame.to_csv(tmp_path / "t.tsv", sep="\t", index=False, encoding="utf-8-sig")
    frame.to_csv(tmp_path / "t.csv.gz", index=False)
    frame.to_parquet(tmp_path / "t.parquet")
    frame.to_json(tmp_path / "t.jsonl", orient="records", lines=True)
    for name in ("t.tsv", "t.csv.gz", "t.parquet", "t.jsonl"):
        table = read_table(tmp_path / name)
        assert labels(table, "name") == [str(row["name"]) for row in RECORDS], name
        assert np.array_equal(numbers(table, "size"), [1.5, 2.0, np.nan], equal_nan=True), name
        assert lay_on_grid(read_times(table, "when"))[0].words == "1 month", name
        assert number_columns(table, ()) == ["size"], name


def test_lines_are_counted_through_fields_of_several_lines(tmp_path: Path) -> None:
    path = write(tmp_path / "t.csv", 'a,b\n"1\n2",x\n\n3,y\n')
    assert list(read_table(path).places) == [2, 5]


def test_quotes_in_a_tsv_without_quoting_swallow_nothing(tmp_path: Path) -> None:
    path = write(tmp_path / "t.tsv", 'text\tlabel\n"so" he said\ta\n"open\tb\nshut"\tc\n')
    table = read_table(path)
    assert list(table.column("text")) == ['"so" he said', '"open', 'shut"']
    assert "ordinary characters" in table.notes[0]


def test_a_quote_that_spans_two_lines_of_even_rows_is_no_quote(tmp_path: Path) -> None:
    path = write(tmp_path / "t.csv", 'id|text\n1|"open\n2|shut"\n')
    assert list(read_table(path).column("text")) == ['"open', 'shut"']


def test_a_table_without_header(tmp_path: Path) -> None:
    path = write(tmp_path / "t.tsv", "good\t1\nbad\t0\n")
    table = read_table(path, header=False)
    assert {name: list(values) for name, values in table.columns.items()} == {
        "1": ["good", "bad"],
        "2": ["1", "0"],
    }
    assert list(table.places) == [1, 2]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "is empty"),
        ("\n \n", "is empty"),
        ("\ufeff", "is empty"),
        ("a,b\n", "has columns (a, b), but no rows"),
        ("a,b,a\n1,2,3\n", "twice there: 'a'"),
        ("a,b\n1,2\n3\n4,5,6\n", "expected 2 fields in each row; line 3 has 1, line 4 has 3"),
        ("1,2\n3,4\n", "the first line has numbers"),
        ('a,b\n1,2\n"3"4,5\n', "line 3: "),
        ('a,b\n1,2\n"3,5\n', "line 3: "),
    ],
)
def test_a_csv_that_is_none(text: str, says: str, tmp_path: Path) -> None:
    assert says in told(write(tmp_path / "t.csv", text))


def test_a_byte_that_is_not_utf8_is_named_by_its_line(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_bytes("a,b\n1,ü\n2,é\n".encode() + "3,ö\n".encode("latin-1"))
    assert "line 4: byte 0xf6 is not UTF-8" in told(tmp_path / "t.csv")
    (tmp_path / "u.csv").write_bytes("a,b\n1,2\n".encode("utf-16"))
    assert "UTF-16" in told(tmp_path / "u.csv")


def test_files_that_are_not_there_or_broken(tmp_path: Path) -> None:
    write(tmp_path / "sales.csv", "a\nx\n")
    assert "did you mean" in told(tmp_path / "sale.csv")
    assert "is a folder" in told(tmp_path)
    assert "there is no folder" in told(tmp_path / "no" / "t.csv")
    assert "save it as CSV" in told(write(tmp_path / "t.xlsx", "PK"))
    assert "no complete Parquet file" in told(write(tmp_path / "t.parquet", "PAR1"))
    (tmp_path / "t.csv.gz").write_bytes(gzip.compress(b"a,b\n1,2\n" * 99)[:-9])
    assert "cannot be read" in told(tmp_path / "t.csv.gz")


def test_json_lines_that_are_none_are_named_at_once(tmp_path: Path) -> None:
    path = write(tmp_path / "t.jsonl", '{"a": 1}\n{"a": \n[1]\n{"b": 2}\n')
    message = told(path)
    assert "line 2: no JSON" in message and "line 3: expected an object" in message
    good = read_table(write(tmp_path / "u.jsonl", '{"a": 1}\n\n{"b": "x"}\n'))
    assert good.columns == {"a": [1, None], "b": [None, "x"]} and list(good.places) == [1, 3]


def test_an_index_of_pandas_is_left_out_and_said(frame: pd.DataFrame, tmp_path: Path) -> None:
    frame.to_csv(tmp_path / "t.csv")
    odd = frame.set_index(pd.Index([3, 1, 2]))
    odd.to_parquet(tmp_path / "t.parquet")
    for name in ("t.csv", "t.parquet"):
        table = read_table(tmp_path / name)
        assert list(table.columns) == ["name", "size", "when"]
        assert any("left out" in note for note in table.notes)


def test_text_in_a_number_column_is_named_by_line_and_column(tmp_path: Path) -> None:
    path = write(tmp_path / "t.csv", "n,m\n1,1\nx,2\nn/a,1_000\ninf,1e3\n")
    table = read_table(path)
    for name, places in {
        "n": "line 3 has 'x', line 5 has 'inf'",
        "m": "line 4 has '1_000'",
    }.items():
        with pytest.raises(DataError, match=f"column '{name}': expected numbers; {places}"):
            numbers(table, name)
    comma = read_table(write(tmp_path / "u.csv", "a;b\n1,5;2\n2,5;3\n"))
    with pytest.raises(DataError, match="write decimals with a point"):
        numbers(comma, "a")
    with pytest.raises(DataError, match=r"no column 'nn'; did you mean 'n'\? There is: 'n', 'm'"):
        numbers(table, "nn")


def test_labels_and_the_order_of_classes() -> None:
    table = Table(Path("t"), {"a": [1.0, 2, True, "x ", None]}, range(1, 6), "row")
    assert labels(table, "a") == ["1", "2", "True", "x", ""]
    assert class_names(["10", "9", "-1"]) == ("-1", "9", "10")
    assert class_names(["b", "10", "9"]) == ("10", "9", "b")
    odd = Table(Path("t"), {"a": ["x", [1]]}, range(1, 3), "row")
    with pytest.raises(DataError, match=r"row 2 has \[1\]"):
        labels(odd, "a")


def test_problems_come_together_and_long_lists_are_cut() -> None:
    problems = Problems()
    assert problems.ask(int.__add__, 1, 2) == 3
    for k in range(47):
        problems.add(f"problem {k}", f"problem {k}")
    with pytest.raises(DataError) as error:
        problems.check()
    lines = str(error.value).splitlines()
    assert lines[9:] == ["problem 9", "… and 37 more"]
    assert some(range(3), shown=2) == ["0", "1", "2"]  # "1 more" would be no shorter


def test_times_in_all_their_forms(tmp_path: Path) -> None:
    text = "iso,zone,own,year\n2024-01-31T13:00,2024-01-31T14:00+01:00,31.01.2024 13,1999\n"
    table = read_table(write(tmp_path / "t.csv", text))
    noon = np.datetime64(datetime(2024, 1, 31, 13), "us").astype(np.int64)
    assert read_times(table, "iso").values[0] == noon
    assert read_times(table, "zone").values[0] == noon
    assert read_times(table, "own", "%d.%m.%Y %H").values[0] == noon
    assert not read_times(table, "year").dated
    assert read_times(table, "year").show(0) == "1999"
    with pytest.raises(DataError, match="several columns hold times"):
        find_time(table, ())
    assert find_time(table, ("iso",)) == "zone"
    assert find_time(table, ("iso", "zone")) == "year"
    with pytest.raises(DataError, match=r"line 2 has '31\.01\.2024 13'"):
        read_times(table, "own")
    mixed = read_table(write(tmp_path / "u.csv", "t,x\n2024-01-31,1\n2024-02-01T00:00Z,2\n"))
    with pytest.raises(DataError, match="1 of 2 times have an offset"):
        read_times(mixed, "t")


@pytest.mark.parametrize(
    ("code", "words", "season"),
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
def test_frequencies_as_pandas_makes_them(code: str, words: str, season: int) -> None:
    made = pd.date_range("2020-02-29", periods=30, freq=code)
    values = made.to_numpy("datetime64[us]").astype(np.int64)
    values = np.delete(values, [7, 8])
    frequency, places = lay_on_grid(Times(values, dated=True))
    assert (frequency.words, frequency.season) == (words, season)
    assert places is not None and list(np.delete(np.arange(30), [7, 8])) == list(places)
    values[5] += 1
    assert lay_on_grid(Times(values, dated=True))[1] is None


def test_times_of_another_form_are_found_by_it_and_never_passed_over(tmp_path: Path) -> None:
    rows = "\n".join(f"0{d}.05.2022,{d},1.2.{d}a" for d in range(1, 6))
    (tmp_path / "t.csv").write_text(f"Datum,sold,code\n{rows}\n")
    table = read_table(str(tmp_path / "t.csv"))
    assert find_time(table, (), "%d.%m.%Y") == "Datum"
    with pytest.raises(DataError, match=r"column 'Datum' looks like dates \('01.05.2022'\)"):
        find_time(table, ())
    assert find_time(table, (), whole=False) is None  # channels were named
    assert find_time(table, ("Datum",)) is None  # 1.2.1a is no date
    addresses = "ip,part\n" + "\n".join(f"10.0.0.{n},12-34-50{n}" for n in range(10, 20)) + "\n"
    assert find_time(read_table(write(tmp_path / "ip.csv", addresses)), ()) is None
    years = "year,price\n" + "\n".join(f"{1990 + n},{1001 + n}" for n in range(10)) + "\n"
    assert find_time(read_table(write(tmp_path / "y.csv", years)), (), "%Y") == "year"
    with pytest.raises(DataError, match="no column holds times of the form %Y; the first row has"):
        find_time(table, (), "%Y")


def test_filling_as_pandas_does() -> None:
    column = [np.nan, 1.0, np.nan, np.nan, 4.0, np.nan]
    values, frame = np.array(column)[:, None], pd.Series(column)
    assert fill(values, "previous")[:, 0].tolist() == frame.ffill().bfill().tolist()
    assert fill(values, "interpolate")[:, 0].tolist() == frame.interpolate().bfill().tolist()
    assert fill(values, "zero")[:, 0].tolist() == frame.fillna(0).tolist()
    assert fill(values, "drop")[:, 0].tolist() == frame.dropna().tolist()
    grid = spread(np.array([[1.0], [2.0]]), np.array([0, 3]))
    assert np.array_equal(grid[:, 0], [1, np.nan, np.nan, 2], equal_nan=True)


def test_a_channel_without_a_value_is_named() -> None:
    values = np.array([[1.0, np.nan], [2.0, np.nan]])
    for policy in ("previous", "interpolate"):
        with pytest.raises(DataError, match="column 'b' of group 'x' has no value"):
            fill(values, policy, ("a", "b"), "group 'x'")
    assert fill(values, "zero").tolist() == [[1, 0], [2, 0]]


def test_splits_follow_content_and_not_the_order() -> None:
    keys = [f"text {k % 180}" for k in range(200)]  # twenty are there twice
    names = ["ab"[k % 180 % 2] for k in range(200)]
    first = split_by_key(keys, names)
    turned = split_by_key(keys[::-1], names[::-1])
    sides = []
    for split in SPLITS:
        assert {keys[k] for k in first[split]} == {keys[::-1][k] for k in turned[split]}
        sides.append({keys[k] for k in first[split]})
        assert sum(names[k] == "a" for k in first[split]) >= 8
    assert [len(side) for side in sides] == [126, 18, 36]
    assert sum(len(first[split]) for split in SPLITS) == 200
    # One more text moves few of the others.
    more = split_by_key([*keys, "new"], [*names, "a"])
    assert len({keys[k] for k in more["test"] if k < 200} ^ sides[2]) <= 2


def test_classes_too_small_to_split_are_named() -> None:
    with pytest.raises(DataError, match=r"one sample .*: 'b', 'c'; add samples"):
        split_by_key(["1", "2", "3", "4", "4", "5"], ["a", "a", "a", "b", "b", "c"])
    tiny = split_by_key(["1", "2", "3", "4", "5"], ["a", "a", "a", "b", "b"])
    assert [len(tiny[split]) for split in SPLITS] == [2, 1, 2]
    with pytest.raises(DataError, match="2 different samples are too few for 3 splits"):
        split_by_key(["1", "2", "2"])
    with pytest.raises(ValueError, match="sum to 1"):
        split_by_key(["1", "2", "3"], shares=(0.5, 0.1, 0.1))


def test_borders_in_time() -> None:
    assert borders_in_time(100) == (70, 80, 100)
    assert borders_in_time(17420, [8640, 11520, 14400]) == (8640, 11520, 14400)
    assert borders_in_time(10, [3, 8], np.arange(0, 20, 2)) == (2, 4, 10)
    for wrong in ([0.7], [0.8, 0.7], [0.5, 9], [5, 20], [5, 5]):
        with pytest.raises(ValueError, match="borders"):
            borders_in_time(10, wrong)


def test_leaks_between_given_splits_are_told() -> None:
    assert leaks({"train": ["a", "b"], "val": ["c"], "test": ["b", "c", "d"]}) == [
        "2 of 3 samples of test stand in an earlier split too: their score tells what was learnt "
        "by heart"
    ]


def test_lines_end_where_lines_end(tmp_path: Path) -> None:
    path = tmp_path / "t.txt"
    path.write_bytes("a\u2028b\r\n\r\nc\x0cd\n".encode())
    assert read_lines(path) == ["a\u2028b", "", "c\x0cd"]


def test_a_hundred_thousand_rows_take_no_quadratic_time(tmp_path: Path) -> None:
    import time

    def seconds(rows: int) -> float:
        path = tmp_path / f"{rows}.jsonl"
        path.write_text("".join(json.dumps({"a": k, "b": "x"}) + "\n" for k in range(rows)))
        began = time.process_time()
        split_by_key(labels(read_table(path), "a"), labels(read_table(path), "b"))
        return time.process_time() - began

    assert seconds(40_000) < 12 * max(seconds(10_000), 0.01)  # 4 where linear, 16 where quadratic


def test_a_long_field_is_read_and_leading_empty_lines_are_skipped(tmp_path: Path) -> None:
    code = (
        "import sys; from quintain.kit.tables.table import read_table; "
        "print(len(read_table(sys.argv[1]).column('b')[0]))"
    )  # in a process of its own, for Python's limit is one for all readers
    path = write(tmp_path / "t.csv", "\n" * 150 + "a;b\n1;" + "x" * 200_000 + "\n")
    done = subprocess.run(
        [sys.executable, "-c", code, path], capture_output=True, text=True, check=False
    )
    assert done.stdout == "200000\n", done.stderr
