"""Columns of times in all formats, counters, and tables of several series."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from helpers.commands import write_file

from quintain.data.tables.frequency import infer_frequency
from quintain.data.tables.table import Table, read_table
from quintain.data.tables.time_columns import find_time_column, suggest_groups
from quintain.data.tables.timestamps import read_times
from quintain.errors import DataError

STEPS = 48
START = datetime(2023, 11, 1)
HOURS = [START + timedelta(hours=k) for k in range(STEPS)]
DAYS = [START + timedelta(days=k) for k in range(STEPS)]
SECONDS = [1_698_796_800 + 3600 * k for k in range(STEPS)]  # of HOURS since 1970


def make_table(folder: Path, name: str, texts: list[str]) -> Table:
    """Read a table with a column of times and an irregular number, newest row first."""
    rows = [f'"{text}",{k * k % 7}' for k, text in enumerate(texts)][::-1]
    return read_table(write_file(folder / "t.csv", f"{name},value\n" + "\n".join(rows) + "\n"))


@pytest.mark.parametrize(
    ("name", "texts", "frequency", "kind"),
    [
        ("day", [f"{t:%d %b %Y}" for t in DAYS], "1 day", "%d %b %Y"),
        ("on", [f"{t:%B %d, %Y}" for t in DAYS], "1 day", "%B %d, %Y"),
        ("on", [f"{t:%d-%b-%Y %H:%M}" for t in HOURS], "1 hour", "%d-%b-%Y %H:%M"),
        ("on", [f"{t:%b %d, %Y, %I:%M %p}" for t in HOURS], "1 hour", "%b %d, %Y, %I:%M %p"),
        ("on", [f"{t:%Y/%m/%d %H:%M:%S}" for t in HOURS], "1 hour", "%Y/%m/%d %H:%M:%S"),
        ("on", [f"{t:%Y-%m-%d %H:%M:%S} UTC" for t in HOURS], "1 hour", "%Y-%m-%d %H:%M:%S UTC"),
        ("on", [f"{t:%Y-%m-%dT%H:%M:%S}.000000000Z" for t in HOURS], "1 hour", ""),
        ("on", [f"{1990 + k // 4}Q{k % 4 + 1}" for k in range(STEPS)], "3 months", "quarters"),
        ("on", [f"Q{k % 4 + 1} {1990 + k // 4}" for k in range(STEPS)], "3 months", "quarters"),
        ("on", [f"{2020 + k // 12}-{k % 12 + 1:02}" for k in range(STEPS)], "1 month", ""),
        ("on", [f"{datetime(2020, k % 12 + 1, 1):%b} {2020 + k // 12}" for k in range(STEPS)],
         "1 month", "%b %Y"),
        ("on", [f"{2020 + k // 40}-W{k % 40 + 1:02}" for k in range(40)], "1 week", ""),
        ("on", [f"{t:%Y%m%d}" for t in DAYS], "1 day", "%Y%m%d"),
        ("on", [f"{t:%Y%m%d%H}" for t in HOURS], "1 hour", "%Y%m%d%H"),
        ("month", [f"{2020 + k // 12}{k % 12 + 1:02}" for k in range(STEPS)], "1 month", "%Y%m"),
        ("timestamp", [f"{s}" for s in SECONDS], "1 hour", "Unix seconds"),
        ("ts", [f"{s * 1000}" for s in SECONDS], "1 hour", "Unix milliseconds"),
        ("clock", [f"{s * 10**6}" for s in SECONDS], "1 hour", "Unix microseconds"),
        ("unix", [f"{s * 10**9}" for s in SECONDS], "1 hour", "Unix nanoseconds"),
        ("date", [f"{45231 + k / 24:.10f}" for k in range(STEPS)], "1 hour", "days of Excel"),
        ("t", [f"{k / 60:.6f}" for k in range(STEPS)], "0.016667", ""),
        ("n", [f"{k}" for k in range(STEPS)], "1", ""),
    ],
)  # fmt: skip
def test_times_of_one_reading_are_found_and_put_in_order(
    name: str, texts: list[str], frequency: str, kind: str, tmp_path: Path
) -> None:
    table = make_table(tmp_path, name, texts)
    assert find_time_column(table, ("value",)) == name
    times = read_times(table, name)
    assert times.kind == kind and (np.diff(times.values) < 0).all()
    ordered = read_times(make_table(tmp_path, name, texts[::-1]), name)
    found, steps = infer_frequency(ordered)
    assert found.text == frequency
    assert steps is not None and steps.tolist() == list(range(len(texts)))


def test_unix_times_and_days_of_excel_are_the_dates_of_python(tmp_path: Path) -> None:
    expected = np.array(HOURS, "datetime64[us]").astype(np.int64)[::-1]
    for factor in (1, 10**3, 10**6, 10**9):
        table = make_table(tmp_path, "ts", [f"{s * factor}" for s in SECONDS])
        assert np.array_equal(read_times(table, "ts").values, expected)
    excel = make_table(tmp_path, "date", [f"{45231 + k / 24:.10f}" for k in range(STEPS)])
    assert np.array_equal(read_times(excel, "date").values, expected)


def test_jitter_of_millionths_is_measured_and_larger_jitter_refused(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).normal(0, 1e-6, STEPS)
    table = make_table(tmp_path, "t", [f"{k / 100 + e:.9f}" for k, e in enumerate(noise)][::-1])
    frequency, steps = infer_frequency(read_times(table, "t"))
    assert steps is not None and frequency.text == "0.01" and 0 < frequency.jitter < 1e-3
    table = make_table(tmp_path, "t", [f"{k + k % 3 / 20}" for k in range(STEPS)][::-1])
    assert infer_frequency(read_times(table, "t"))[1] is None


@pytest.mark.parametrize(
    ("name", "texts", "message"),
    [
        ("on", [f"{t:%m/%d/%Y}" for t in DAYS], "dataset.time_format=%m/%d/%Y"),
        ("on", [f"{t:%d.%m.%y}" for t in DAYS], "dataset.time_format=%d.%m.%y"),
        ("on", [f"{t:%m/%d/%Y %I:%M %p}" for t in HOURS],
         "'dataset.time_format=%m/%d/%Y %I:%M %p'"),
        ("on", [f"{t:%Y-%m-%d %H:%M:%S} CET" for t in HOURS], "names of time zones are not read"),
        ("on", [f"{t.day}. März {t.year + k}" for k, t in enumerate(DAYS)], "of an unknown format"),
        ("week", [f"{2020 + k // 52}w{k % 52}" for k in range(STEPS)], "of an unknown format"),
        ("at", [f"{k // 6:02}:{k % 6}0" for k in range(STEPS)], "dataset.time_format=%H:%M"),
    ],
)  # fmt: skip
def test_times_of_several_readings_are_refused_with_the_setting(
    name: str, texts: list[str], message: str, tmp_path: Path
) -> None:
    with pytest.raises(DataError) as error:
        find_time_column(make_table(tmp_path, name, texts), ("value",))
    assert message in str(error.value) and "dataset.time=false" in str(error.value)


def test_a_zone_name_in_the_format_is_refused(tmp_path: Path) -> None:
    table = make_table(tmp_path, "t", [f"{t:%Y-%m-%d %H:%M} UTC" for t in HOURS])
    with pytest.raises(DataError, match=r"\(%Z\) mean other times on other machines"):
        read_times(table, "t", "%Y-%m-%d %H:%M %Z")


def test_texts_and_numbers_that_are_no_times_are_left_alone(tmp_path: Path) -> None:
    texts = "name,model,code,temp,flag\n" + "".join(
        f"Film {k} of {1990 + k % 3},{2000 + k % 5},A{k * 37 % 100},{k * 7 % 11 / 10},{k // 30}\n"
        for k in range(60)
    )
    table = read_table(write_file(tmp_path / "t.csv", texts))
    assert find_time_column(table, ("name",)) is None


def rows_of_stores(row: Callable[[str, int], str], *, by_day: bool) -> str:
    pairs = [(store, k) for store in "ABC" for k in range(30)]
    pairs = sorted(pairs, key=lambda pair: pair[1]) if by_day else pairs
    return "".join(row(store, k) + f",{(k * 7 + ord(store)) % 11}\n" for store, k in pairs)


@pytest.mark.parametrize("by_day", [False, True])
@pytest.mark.parametrize("column", ["day", "step"])
def test_series_end_to_end_name_their_columns(column: str, by_day: bool, tmp_path: Path) -> None:
    text = f"{column},store,sold\n" + rows_of_stores(lambda s, k: f"{k},{s}", by_day=by_day)
    with pytest.raises(DataError, match=f"set dataset.group=store dataset.time={column}; if all"):
        find_time_column(read_table(write_file(tmp_path / "t.csv", text)), ("sold",))


@pytest.mark.parametrize("store", ["{}", "{0}1"])
def test_blocks_of_rows_without_any_time_are_refused(store: str, tmp_path: Path) -> None:
    text = "store,sold\n" + rows_of_stores(lambda s, k: store.format(s), by_day=False)
    with pytest.raises(DataError, match="'store' has 3 values in 3 blocks of rows"):
        find_time_column(read_table(write_file(tmp_path / "t.csv", text)), ("sold",))


def test_parts_of_times_in_several_columns_are_refused(tmp_path: Path) -> None:
    rows = "".join(f"{2000 + k // 12},{k % 12 + 1},{k * k % 7}\n" for k in range(48))
    table = read_table(write_file(tmp_path / "t.csv", f"year,month,sold\n{rows}"))
    with pytest.raises(DataError, match=r"parts of times are in several columns \('year', 'month'"):
        find_time_column(table, ("sold",))


def test_a_counter_within_each_group_is_the_time_of_its_rows(tmp_path: Path) -> None:
    rows = [f"{k},{g},{(k * 7 + g) % 11}" for g in range(20) for k in range(5 + g % 4)]
    shuffled = np.random.default_rng(0).permutation(rows).tolist()
    path = write_file(tmp_path / "t.csv", "nr,id,x\n" + "\n".join(shuffled) + "\n")
    table = read_table(path)
    groups = np.array([int(name) for name in table.column("id")])
    assert find_time_column(table, ("id",), groups=groups, needs_channel=True) == "nr"


def test_a_clock_beside_a_date_is_a_part_of_the_time(tmp_path: Path) -> None:
    rows = "".join(f"{DAYS[k // 24]:%Y-%m-%d},{k % 24:02}:00,{k * k % 7}\n" for k in range(72))
    table = read_table(write_file(tmp_path / "t.csv", f"date,time,value\n{rows}"))
    times = read_times(table, "date")
    hint = suggest_groups(table, times.values)
    assert hint == "; if column 'time' is a part of the time, join both into 2024-01-31 13:00"


def test_days_of_the_week_without_weekends_are_business_days(tmp_path: Path) -> None:
    days = [t for t in (START + timedelta(days=k) for k in range(60)) if t.weekday() < 5]
    texts = [f"{t:%Y-%m-%d}" for t in days]
    table = make_table(tmp_path, "date", texts[::-1])
    frequency, steps = infer_frequency(read_times(table, "date"))
    assert (frequency.text, frequency.season) == ("1 business day", 5)
    assert steps is not None and steps.tolist() == list(range(len(days)))
    without_holiday = make_table(tmp_path, "date", (texts[:7] + texts[8:])[::-1])
    _, steps = infer_frequency(read_times(without_holiday, "date"))
    assert steps is not None and steps[6:9].tolist() == [6, 8, 9]


def test_midnight_as_24_is_explained(tmp_path: Path) -> None:
    table = make_table(tmp_path, "t", ["2024-01-01 23:00", "2024-01-01 24:00", "2024-01-02 01:00"])
    with pytest.raises(DataError, match=r"line 3 has '2024-01-01 24:00'; write 24:00 as 00:00"):
        read_times(table, "t")
