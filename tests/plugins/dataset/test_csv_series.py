"""A user's series, also from the command line, and messages about bad files."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pytest
import torch
from helpers.commands import compose_cell, run_quintain, usage_problems, write_file
from helpers.user_tables import gestures, make_files, series
from sklearn.preprocessing import StandardScaler

from quintain.errors import DataError
from quintain.plugins.dataset.csv_series import CsvSeries
from quintain.plugins.dataset.parallel_text import ParallelText
from quintain.plugins.dataset.text_csv import TextCsv
from quintain.testing.dataset_checks import DATASET_CHECKS, Case

DATA = Path(os.environ.get("QUINTAIN_DATA", ""))


CARD = {"about": "a", "source": "b", "licence": "c", "citation": "d"}


RUN = (
    *("wandb.mode=disabled", "model=lstm", "hardware=cpu", "store=results", "launch.workers=1"),
    *("budget.steps=20", "budget.validations=1", "budget.params=5000"),
)


def check_contract(make: object) -> None:
    """Run all contract checks of datasets."""
    case = Case.load(make, CARD)  # type: ignore[arg-type]
    for _, function in DATASET_CHECKS:
        function(case)


RUNS = {
    "forecast": ("dataset=csv_series", "dataset.path=t.tsv", "dataset.target=sold"),
    "series": (
        *("dataset=csv_series", "head=classify", "dataset.path=t.parquet"),
        *("dataset.label=kind", "dataset.group=id", "dataset.time=step"),
    ),
    "classify": (
        *("dataset=text_csv", "dataset.path=t.jsonl"),
        *("dataset.text=review", "dataset.label=verdict"),
    ),
    "regress": (
        *("dataset=text_csv", "head=regress", "dataset.path=t.csv"),
        *("dataset.text=review", "dataset.target=stars", "dataset.tokens=subwords"),
    ),
    "generate": ("dataset=parallel_text", "dataset.path=t.de", "dataset.target_path=t.en"),
}


SIZES = {
    "forecast": [210 - 48 - 12 + 1, 30 - 12 + 1, 60 - 12 + 1],
    "series": [28, 4, 8],
    "classify": [84, 12, 24],
    "regress": [84, 12, 24],
    "generate": [21, 3, 6],
}


SLOW_TASKS = ("series", "regress")  # other tests cover the files of these tasks


@pytest.mark.parametrize(
    "task", [pytest.param(n, marks=pytest.mark.slow if n in SLOW_TASKS else ()) for n in RUNS]
)
def test_a_users_file_runs_from_the_command_line(task: str, tmp_path: Path) -> None:
    make_files(tmp_path)
    code, out, err = run_quintain("run", *RUN, *RUNS[task], cwd=tmp_path)
    assert code == 0, out + err
    (file,) = (tmp_path / "results" / "records").rglob("*.json")
    record = json.loads(file.read_text())
    assert record["status"] == "ok"
    assert list(record["data"]["sizes"].values()) == SIZES[task]
    output = " ".join((out + err).split())
    assert len(record["data"]["notes"]) >= 3
    assert all(note in output for note in record["data"]["notes"])


def test_all_problems_are_reported_at_once_with_exit_code_2(tmp_path: Path) -> None:
    text = "time,v,w\n2020-01-01,1,2\n2020-01-02,x,3\n2020-01-02,4,\nfoo,5,6\n"
    write_file(tmp_path / "t.csv", text)
    overrides = ("dataset.path=t.csv", "dataset.target=v", "dataset.covariates=[w,u]")
    code, _, err = run_quintain(
        "run", *RUN, "dataset=csv_series", *overrides, "dataset.time=time", cwd=tmp_path
    )
    assert code == 2
    assert "DataError" not in err  # a user does not need the name of a class
    for message in (
        "column 'time': expected ISO 8601 times (2024-01-31 13:00:00); line 5 has 'foo'",
        "column 'v': expected numbers; line 3 has 'x'",
        "has no column 'u'",
        "column 'w': no value in line 4; set dataset.missing=drop|previous|interpolate|zero",
    ):
        assert message in err


def test_an_edited_file_gives_another_key(tmp_path: Path) -> None:
    series().to_csv(tmp_path / "t.csv", index=False)
    overrides = ("dataset=csv_series", f"dataset.path={tmp_path / 't.csv'}", "dataset.target=sold")
    before = compose_cell(*overrides).key
    series().to_csv(tmp_path / "moved.csv", index=False)
    assert (
        compose_cell(overrides[0], f"dataset.path={tmp_path / 'moved.csv'}", overrides[2]).key
        == before
    )
    series(301).to_csv(tmp_path / "t.csv", index=False)
    assert compose_cell(*overrides).key != before


def test_the_matching_head_is_suggested(tmp_path: Path) -> None:
    gestures().to_csv(tmp_path / "t.csv", index=False)
    overrides = (f"dataset.path={tmp_path / 't.csv'}", "dataset.label=kind", "dataset.group=id")
    (problem,) = usage_problems("dataset=csv_series", *overrides, "model=lstm", "hardware=cpu")
    assert "try head=classify" in problem


def test_datasets_of_user_tables_fulfil_the_contract(tmp_path: Path) -> None:
    make_files(tmp_path)
    t = str(tmp_path / "t")
    check_contract(lambda: CsvSeries(f"{t}.tsv", "sold"))
    check_contract(lambda: CsvSeries(f"{t}.parquet", label="kind", group="id", time="step"))
    check_contract(lambda: TextCsv(f"{t}.jsonl", "review", "verdict", tokens="characters"))
    check_contract(lambda: TextCsv(f"{t}.csv", "review", target=["stars"], tokens="characters"))
    check_contract(lambda: ParallelText(f"{t}.de", f"{t}.en", tokens="characters"))


def test_a_forecast_is_standardised_by_train_and_transformed_back(tmp_path: Path) -> None:
    frame = series()
    frame.sample(frac=1, random_state=0).to_csv(tmp_path / "t.csv", index=False)
    data = CsvSeries(str(tmp_path / "t.csv"), "sold", horizon=6, look_back=24)
    data.setup()
    assert data.spec.targets == ("sold",) and data.spec.shape == (24, 2) and data.spec.season == 24
    columns = frame[["sold", "warm"]].to_numpy()
    scaled = StandardScaler().fit(columns[:210]).transform(columns)
    batch = data.batch("test", torch.tensor([0, 54]))
    for k, first in enumerate((240, 294)):
        assert np.allclose(batch.x[k], scaled[first - 24 : first], atol=1e-5)
        assert np.allclose(
            data.inverse_transform(batch.y)[k, :, 0], columns[first : first + 6, 0], atol=1e-4
        )
    assert [data.size(split) for split in ("train", "val", "test")] == [181, 25, 55]
    assert "rows were not in order of time; sorted" in data.notes
    assert "frequency: 1 hour (inferred)" in data.notes


def test_borders_may_be_times(tmp_path: Path) -> None:
    series().to_csv(tmp_path / "t.csv", index=False)
    borders = ["2024-01-08", "2024-01-10", "2024-01-12T12:00"]
    data = CsvSeries(str(tmp_path / "t.csv"), "sold", horizon=1, look_back=1, borders=borders)
    data.setup()
    assert [data.size(split) for split in ("train", "val", "test")] == [167, 48, 60]
    with pytest.raises(ValueError, match="expected a time such as 2024-01-31, got 'soon'"):
        CsvSeries(str(tmp_path / "t.csv"), "sold", borders=["2024-01-08", "soon"])


def test_missing_steps_and_values_are_filled_by_policy(tmp_path: Path) -> None:
    frame = series(100)
    frame.loc[[5, 50], "sold"] = np.nan
    frame = frame.drop(index=[20, 21, 70])
    frame.to_csv(tmp_path / "t.csv", index=False)

    def load(missing: str) -> CsvSeries:
        settings = {"horizon": 2, "look_back": 4, "missing": missing}
        data = CsvSeries(str(tmp_path / "t.csv"), "sold", **settings)  # type: ignore[arg-type]
        data.setup()
        return data

    with pytest.raises(DataError) as error:
        load("error")
    assert "steps of 1 hour, of which 3 are missing, the first after line 21" in str(error.value)
    assert "column 'sold': no value in line 7, line 50" in str(error.value)
    complete = frame.set_index("when").reindex(series(100)["when"])["sold"]
    filled = {
        "previous": complete.ffill(),
        "interpolate": complete.interpolate(),
        "zero": complete.fillna(0),
    }
    for missing, expected in filled.items():
        data = load(missing)
        values = data.inverse_transform(data.batch("train", torch.arange(data.size("train"))).y)[
            :, 0, 0
        ]
        assert np.allclose(values, expected.to_numpy()[4:69], atol=1e-4)
        assert f"missing steps: 3, filled (missing={missing})" in data.notes
        assert f"missing values (2 of 'sold'): filled (missing={missing})" in data.notes
    data = load("drop")
    assert sum(data.size(split) for split in ("train", "val", "test")) == 95 - 4 - 3 * 1
    assert "missing values (2 of 'sold'): rows left out: 2 (missing=drop)" in data.notes


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "when,v\n2024-01-01,1\n2024-01-02,2\n2024-01-02,3\n",
            "occur twice: 1, the first 2024-01-02",
        ),
        ("when,v\n1,1\n2,2\n3,3\n3.5,3\n", "some are between these steps"),
        (
            "when,v\n" + "".join(f"{k},{k}\n" for k in range(40)),
            "use shorter ones, or other borders",
        ),
        ("when,w\n2024-01-01,1\n", "has no column 'v'"),
    ],
)
def test_an_unusable_series_is_refused(text: str, message: str, tmp_path: Path) -> None:
    write_file(tmp_path / "t.csv", text)
    overrides = (f"dataset.path={tmp_path / 't.csv'}", "dataset.target=v", "dataset.time=when")
    (problem,) = usage_problems("dataset=csv_series", *overrides, "model=lstm", "hardware=cpu")
    assert message in problem


def test_groups_become_series_in_order_of_time(tmp_path: Path) -> None:
    gestures().to_csv(tmp_path / "t.csv", index=False)
    data = CsvSeries(str(tmp_path / "t.csv"), label="kind", group="id", time="step")
    data.setup()
    assert data.spec.classes == ("fall", "rise") and data.spec.shape == (9, 1)
    for split in ("train", "val", "test"):
        x, y, lengths, *_ = data.batch(split, torch.arange(data.size(split)))
        assert torch.bincount(y).tolist() == [data.size(split) // 2] * 2
        for row, label, length in zip(x[..., 0], y, lengths, strict=True):
            assert ((row[:length].diff() > 0) == bool(label)).all()


def test_problems_with_groups_and_labels_are_reported_together(tmp_path: Path) -> None:
    text = "id,kind,x\na,up,1\na,down,2\nb,,3\nc,up,\n,up,5\n"
    write_file(tmp_path / "t.csv", text)
    with pytest.raises(DataError) as error:
        CsvSeries(str(tmp_path / "t.csv"), label="kind", group="id")
    for message in (
        "no group in line 6",
        "several have 'a'",
        "no label for 'b'",
        "no value in line 5",
    ):
        assert message in str(error.value)
    write_file(tmp_path / "u.csv", "id,kind,x\na,up,1\na,up,4\nb,up,2\nc,up,3\nd,down,4\n")
    with pytest.raises(DataError, match=r"classes with one sample .*: 'down'"):
        CsvSeries(str(tmp_path / "u.csv"), label="kind", group="id")


def test_published_files_are_read_unchanged() -> None:
    """ETTh1 by the literature's borders; SST-2, of which two test sentences occur in train."""
    if not (DATA / "ett").is_dir() or not (DATA / "sst2").is_dir():
        pytest.skip("needs the files of ett and sst2: set QUINTAIN_DATA to a folder that has them")
    ett = CsvSeries(str(DATA / "ett" / "ETTh1.csv.gz"), "OT", borders=[8640, 11520, 14400])
    ett.setup()
    assert ett.spec.season == 24 and ett.size("test") == 2880 - 12 + 1
    files = {f"{part}_path": str(DATA / "sst2" / f"{name}.tsv") for part, name in
             (("val", "dev"), ("test", "test"))}  # fmt: skip
    sst2 = TextCsv(str(DATA / "sst2" / "train.tsv"), 1, 2, header=False, **files)
    sst2.setup()
    assert [sst2.size(split) for split in ("train", "val", "test")] == [6920, 872, 1821]
    assert any(note.startswith("2 of 1,821 samples of test") for note in sst2.notes)


def test_all_missing_settings_are_named() -> None:
    assert usage_problems("dataset=text_csv")[:2] == [
        "dataset.path has to be given: dataset.path=…",
        "dataset.text has to be given: dataset.text=…",
    ]
