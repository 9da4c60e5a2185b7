"""A user's own series and texts, from the command line; and what a user is told of bad files."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.preprocessing import StandardScaler
from words import cell, quintain, told, write

from quintain.kit.files.download import DataError
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


def series(steps: int = 300) -> pd.DataFrame:
    """Hourly sales with a daily cycle, and the weather."""
    draw = np.random.default_rng(0)
    hours = np.arange(steps)
    return pd.DataFrame(
        {
            "warm": draw.normal(20, 5, steps),
            "when": pd.date_range("2024-01-01", periods=steps, freq="h").astype(str),
            "sold": 100 + 9 * np.sin(hours / 24 * 2 * np.pi) + draw.normal(0, 1, steps),
        }
    )


def gestures(groups: int = 40) -> pd.DataFrame:
    """Series of 5 to 9 steps that rise or fall, their rows shuffled."""
    rows = [
        {"id": f"g{g}", "step": k, "kind": ["fall", "rise"][g % 2], "x": (g % 2 * 2 - 1) * k + g}
        for g in range(groups)
        for k in range(5 + g % 5)
    ]
    return pd.DataFrame(rows).sample(frac=1, random_state=0)


def reviews(count: int = 120) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "review": [f"a {['good', 'bad'][k % 2]} film, number {k}!" for k in range(count)],
            "verdict": [["yes", "no"][k % 2] for k in range(count)],
            "stars": [4.5 - 3 * (k % 2) + k % 3 / 2 for k in range(count)],
        }
    )


def check(make: object) -> None:
    """All contract checks of datasets."""
    case = Case.load(make, CARD)  # type: ignore[arg-type]
    for _, function in DATASET_CHECKS:
        function(case)


# From the command line ----------------------------------------------------------------------------

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


def make_files(folder: Path) -> None:
    """One file of each format."""
    series().to_csv(folder / "t.tsv", sep="\t", index=False)
    gestures().to_parquet(folder / "t.parquet")
    reviews().to_json(folder / "t.jsonl", orient="records", lines=True)
    reviews().to_csv(folder / "t.csv", sep=";", index=False)
    words = [f"{one} {two}" for one in ["eins", "zwei", "drei"] for two in "abcdefghij"]
    write(folder / "t.de", "\n".join(words) + "\n")
    write(folder / "t.en", "\n".join(w.upper() for w in words) + "\n")


SIZES = {
    "forecast": [210 - 48 - 12 + 1, 30 - 12 + 1, 60 - 12 + 1],
    "series": [28, 4, 8],
    "classify": [84, 12, 24],
    "regress": [84, 12, 24],
    "generate": [21, 3, 6],
}
OTHERS = ("series", "regress")  # like the others but for their files, which are tested below


@pytest.mark.parametrize(
    "task", [pytest.param(n, marks=pytest.mark.slow if n in OTHERS else ()) for n in RUNS]
)
def test_a_users_file_runs_from_the_command_line(task: str, tmp_path: Path) -> None:
    make_files(tmp_path)
    code, out, err = quintain("run", *RUN, *RUNS[task], cwd=tmp_path)
    assert code == 0, out + err
    (file,) = (tmp_path / "results" / "records").rglob("*.json")
    record = json.loads(file.read_text())
    assert record["status"] == "ok"
    assert list(record["data"]["sizes"].values()) == SIZES[task]
    shown = " ".join((out + err).split())
    assert len(record["data"]["notes"]) >= 3
    assert all(note in shown for note in record["data"]["notes"])


def test_all_that_is_wrong_is_told_at_once_with_exit_code_2(tmp_path: Path) -> None:
    text = "time,v,w\n2020-01-01,1,2\n2020-01-02,x,3\n2020-01-02,4,\nfoo,5,6\n"
    write(tmp_path / "t.csv", text)
    words = ("dataset.path=t.csv", "dataset.target=v", "dataset.covariates=[w,u]")
    code, _, err = quintain(
        "run", *RUN, "dataset=csv_series", *words, "dataset.time=time", cwd=tmp_path
    )
    assert code == 2
    assert "DataError" not in err  # a word for programmers
    for says in (
        "column 'time': expected ISO 8601 times (2024-01-31 13:00:00); line 5 has 'foo'",
        "column 'v': expected numbers; line 3 has 'x'",
        "has no column 'u'",
        "column 'w': no value in line 4; missing=drop|previous|interpolate|zero",
    ):
        assert says in err


# In this process ----------------------------------------------------------------------------------


def test_an_edited_file_makes_another_key(tmp_path: Path) -> None:
    series().to_csv(tmp_path / "t.csv", index=False)
    words = ("dataset=csv_series", f"dataset.path={tmp_path / 't.csv'}", "dataset.target=sold")
    before = cell(*words).key
    series().to_csv(tmp_path / "moved.csv", index=False)
    assert cell(words[0], f"dataset.path={tmp_path / 'moved.csv'}", words[2]).key == before
    series(301).to_csv(tmp_path / "t.csv", index=False)
    assert cell(*words).key != before


def test_the_other_head_is_named(tmp_path: Path) -> None:
    gestures().to_csv(tmp_path / "t.csv", index=False)
    words = (f"dataset.path={tmp_path / 't.csv'}", "dataset.label=kind", "dataset.group=id")
    (problem,) = told("dataset=csv_series", *words, "model=lstm", "hardware=cpu")
    assert "try head=classify" in problem


def test_the_contract_of_datasets_holds(tmp_path: Path) -> None:
    make_files(tmp_path)
    t = str(tmp_path / "t")
    check(lambda: CsvSeries(f"{t}.tsv", "sold"))
    check(lambda: CsvSeries(f"{t}.parquet", label="kind", group="id", time="step"))
    check(lambda: TextCsv(f"{t}.jsonl", "review", "verdict", tokens="characters"))
    check(lambda: TextCsv(f"{t}.csv", "review", target=["stars"], tokens="characters"))
    check(lambda: ParallelText(f"{t}.de", f"{t}.en", tokens="characters"))


def test_a_forecast_is_standardised_by_train_and_restored(tmp_path: Path) -> None:
    frame = series()
    frame.sample(frac=1, random_state=0).to_csv(tmp_path / "t.csv", index=False)
    data = CsvSeries(str(tmp_path / "t.csv"), "sold", horizon=6, look_back=24)
    data.setup()
    assert data.spec.targets == ("sold",) and data.spec.shape == (24, 2) and data.spec.season == 24
    columns = frame[["sold", "warm"]].to_numpy()
    scaled = StandardScaler().fit(columns[:210]).transform(columns)
    batch = data.take("test", torch.tensor([0, 54]))
    for k, first in enumerate((240, 294)):
        assert np.allclose(batch.x[k], scaled[first - 24 : first], atol=1e-5)
        assert np.allclose(data.restore(batch.y)[k, :, 0], columns[first : first + 6, 0], atol=1e-4)
    assert [data.size(split) for split in ("train", "val", "test")] == [181, 25, 55]
    assert "rows were not in order of time; sorted" in data.notes
    assert "frequency: 1 hour (inferred)" in data.notes


def test_borders_may_be_times(tmp_path: Path) -> None:
    series().to_csv(tmp_path / "t.csv", index=False)
    borders = ["2024-01-08", "2024-01-10", "2024-01-12T12:00"]
    data = CsvSeries(str(tmp_path / "t.csv"), "sold", horizon=1, look_back=1, borders=borders)
    data.setup()
    assert [data.size(split) for split in ("train", "val", "test")] == [167, 48, 60]
    with pytest.raises(ValueError, match="expected a time such as 2024-01-31, came 'soon'"):
        CsvSeries(str(tmp_path / "t.csv"), "sold", borders=["2024-01-08", "soon"])


def test_gaps_and_absent_values_follow_the_policy(tmp_path: Path) -> None:
    frame = series(100)
    frame.loc[[5, 50], "sold"] = np.nan
    frame = frame.drop(index=[20, 21, 70])
    frame.to_csv(tmp_path / "t.csv", index=False)

    def made(missing: str) -> CsvSeries:
        some = {"horizon": 2, "look_back": 4, "missing": missing}
        data = CsvSeries(str(tmp_path / "t.csv"), "sold", **some)  # type: ignore[arg-type]
        data.setup()
        return data

    with pytest.raises(DataError) as error:
        made("error")
    assert "steps of 1 hour, of which 3 are absent, the first after line 21" in str(error.value)
    assert "column 'sold': no value in line 7, line 50" in str(error.value)
    whole = frame.set_index("when").reindex(series(100)["when"])["sold"]
    filled = {
        "previous": whole.ffill(),
        "interpolate": whole.interpolate(),
        "zero": whole.fillna(0),
    }
    for missing, expected in filled.items():
        data = made(missing)
        values = data.restore(data.take("train", torch.arange(data.size("train"))).y)[:, 0, 0]
        assert np.allclose(values, expected.to_numpy()[4:69], atol=1e-4)
        assert f"absent steps: 3, filled (missing={missing})" in data.notes
        assert f"absent values (2 of 'sold'): filled (missing={missing})" in data.notes
    data = made("drop")
    assert sum(data.size(split) for split in ("train", "val", "test")) == 95 - 4 - 3 * 1
    assert "absent values (2 of 'sold'): rows left out: 2 (missing=drop)" in data.notes


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("when,v\n2024-01-01,1\n2024-01-02,2\n2024-01-02,3\n", "twice: 1, the first 2024-01-02"),
        ("when,v\n1,1\n2,2\n3,3\n3.5,3\n", "some lie between such steps"),
        (
            "when,v\n" + "".join(f"{k},{k}\n" for k in range(40)),
            "use shorter ones, or other borders",
        ),
        ("when,w\n2024-01-01,1\n", "has no column 'v'"),
    ],
)
def test_a_series_that_is_none(text: str, says: str, tmp_path: Path) -> None:
    write(tmp_path / "t.csv", text)
    words = (f"dataset.path={tmp_path / 't.csv'}", "dataset.target=v", "dataset.time=when")
    (problem,) = told("dataset=csv_series", *words, "model=lstm", "hardware=cpu")
    assert says in problem


def test_groups_become_series_in_order_of_time(tmp_path: Path) -> None:
    gestures().to_csv(tmp_path / "t.csv", index=False)
    data = CsvSeries(str(tmp_path / "t.csv"), label="kind", group="id", time="step")
    data.setup()
    assert data.spec.classes == ("fall", "rise") and data.spec.shape == (9, 1)
    for split in ("train", "val", "test"):
        x, y, lengths, _ = data.take(split, torch.arange(data.size(split)))
        assert torch.bincount(y).tolist() == [data.size(split) // 2] * 2
        for row, label, length in zip(x[..., 0], y, lengths, strict=True):
            assert ((row[:length].diff() > 0) == bool(label)).all()


def test_labels_of_groups_that_cannot_be_are_named_together(tmp_path: Path) -> None:
    text = "id,kind,x\na,up,1\na,down,2\nb,,3\nc,up,\n,up,5\n"
    write(tmp_path / "t.csv", text)
    with pytest.raises(DataError) as error:
        CsvSeries(str(tmp_path / "t.csv"), label="kind", group="id")
    for says in (
        "no group in line 6",
        "several have 'a'",
        "no label for 'b'",
        "no value in line 5",
    ):
        assert says in str(error.value)
    write(tmp_path / "u.csv", "id,kind,x\na,up,1\nb,up,2\nc,up,3\nd,down,4\n")
    with pytest.raises(DataError, match=r"classes with one sample .*: 'down'"):
        CsvSeries(str(tmp_path / "u.csv"), label="kind", group="id")


def test_texts_become_tokens_of_the_train_split(tmp_path: Path) -> None:
    frame = reviews()
    frame.loc[3, "review"] = " "
    frame.loc[4, "verdict"] = None
    frame = pd.concat([frame, frame.iloc[[7, 8]]])
    frame.to_csv(tmp_path / "t.csv", index=False)
    data = TextCsv(str(tmp_path / "t.csv"), "review", "verdict", max_length=6)
    data.setup()
    assert data.spec.classes == ("no", "yes")
    notes = "\n".join(data.notes)
    assert "rows without a text, left out: 1 (line 5)" in notes
    assert "rows without a label, left out: 1 (line 6)" in notes
    assert "texts that equal an earlier one: 2" in notes
    assert "texts cut to 6 tokens: 120" in notes
    x, y, lengths, _ = data.take("test", torch.tensor([0]))
    # Numbers stand once each, and so are unknown.
    said = f"a {['bad', 'good'][int(y[0])]} film , number <unk>"
    assert data.text(x[0, : lengths[0]].tolist(), "x") == said


def test_given_splits_and_their_leaks(tmp_path: Path) -> None:
    frame = reviews()
    frame[:100].to_csv(tmp_path / "t.csv", index=False)
    frame[95:].to_csv(tmp_path / "u.csv", index=False)
    t, u = str(tmp_path / "t.csv"), str(tmp_path / "u.csv")
    data = TextCsv(t, "review", "verdict", test_path=u)
    data.setup()
    assert data.size("test") == 25 and data.size("train") + data.size("val") == 100
    assert any("5 of 25 samples of test stand in an earlier split" in note for note in data.notes)
    frame.replace({"verdict": {"no": "maybe"}}).to_csv(tmp_path / "u.csv", index=False)
    with pytest.raises(DataError, match="labels of test that train does not have: 'maybe'"):
        TextCsv(t, "review", "verdict", test_path=u)


def test_a_group_of_texts_stays_in_one_split(tmp_path: Path) -> None:
    frame = reviews().assign(author=[f"author {k % 12}" for k in range(120)])
    frame.to_csv(tmp_path / "t.csv", index=False)
    data = TextCsv(str(tmp_path / "t.csv"), "review", "verdict", group="author")
    data.setup()
    assert all(data.size(split) % 10 == 0 for split in ("train", "val", "test"))


def test_problems_of_several_texts_come_together(tmp_path: Path) -> None:
    reviews().drop(columns="verdict").to_csv(tmp_path / "t.csv", index=False)
    write(tmp_path / "u.csv", "review,verdict\n")
    with pytest.raises(DataError) as error:
        TextCsv(str(tmp_path / "t.csv"), "reviews", "verdict", test_path=str(tmp_path / "u.csv"))
    for says in ("did you mean 'review'?", "no column 'verdict'", "no rows"):
        assert says in str(error.value)
    with pytest.raises(ValueError, match="give label=COLUMN to classify, or target=COLUMN"):
        TextCsv(str(tmp_path / "t.csv"), "review")


def test_numbers_of_texts_come_back(tmp_path: Path) -> None:
    reviews().to_parquet(tmp_path / "t.parquet")
    data = TextCsv(str(tmp_path / "t.parquet"), "review", target="stars")
    data.setup()
    y = data.take("train", torch.arange(data.size("train"))).y
    assert abs(float(y.mean())) < 1e-5 and abs(float(y.std(correction=0)) - 1) < 1e-5
    assert set(data.restore(y)[:, 0].mul(2).round().tolist()) <= {3, 4, 5, 9, 10, 11}


def test_pairs_need_equally_many_lines(tmp_path: Path) -> None:
    write(tmp_path / "t.de", "eins\nzwei\ndrei\n")
    write(tmp_path / "t.en", "one\ntwo\n")
    path, other = str(tmp_path / "t.de"), str(tmp_path / "t.en")
    with pytest.raises(DataError, match=r"t\.de has 3 lines and .*t\.en 2; expected line by line"):
        ParallelText(path, other)
    with pytest.raises(ValueError, match="give target_path=FILE"):
        ParallelText(path)
    with pytest.raises(ValueError, match="val_path and val_target_path go together"):
        ParallelText(path, other, val_path=path)


def test_pairs_from_a_table_and_from_lines_are_the_same(tmp_path: Path) -> None:
    make_files(tmp_path)
    sources, targets = ((tmp_path / f"t.{s}").read_text().splitlines() for s in ("de", "en"))
    pd.DataFrame({"de": sources, "en": targets}).to_parquet(tmp_path / "p.parquet")
    lines = ParallelText(str(tmp_path / "t.de"), str(tmp_path / "t.en"), min_count=1)
    table = ParallelText(str(tmp_path / "p.parquet"), source="de", target="en", min_count=1)
    lines.setup()
    table.setup()
    assert lines.fingerprint() == table.fingerprint()
    x, y, lengths, y_lengths = lines.take("train", torch.arange(lines.size("train")))
    for k in range(len(x)):
        source = lines.text(x[k, : lengths[k]].tolist(), "x")
        assert lines.text(y[k, : y_lengths[k]].tolist(), "y") == source.upper()


def test_long_and_empty_pairs_are_left_out_and_counted(tmp_path: Path) -> None:
    write(tmp_path / "t.tsv", "a\tb\n" + "".join(f"x {k}\ty {k}\n" for k in range(30)) + "z\t\n"
          + "\n".join(f"{'long ' * 9}{k}\ty" for k in range(10)))  # fmt: skip
    data = ParallelText(str(tmp_path / "t.tsv"), source="a", target="b", max_length=5)
    data.setup()
    assert sum(data.size(split) for split in ("train", "val", "test")) == 30
    assert "pairs with an empty side, left out: 1" in data.notes
    assert any(note.startswith("pairs with more than 5 tokens, left out") for note in data.notes)


def test_real_files_as_they_lie() -> None:
    """ETTh1 by the literature's borders; SST-2, of which two test sentences stand in train."""
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


def test_every_setting_that_has_to_be_given_is_named() -> None:
    assert told("dataset=text_csv") == [
        "dataset.path has to be given: dataset.path=…",
        "dataset.text has to be given: dataset.text=…",
    ]


def test_texts_that_differ_by_case_or_blanks_share_a_split(tmp_path: Path) -> None:
    ways = (str, str.upper, lambda text: text.replace(" ", "  "))
    texts = [way(f"this is text {k}") for k in range(60) for way in ways]
    frame = pd.DataFrame({"a": texts, "b": [f"y {k // 3}" for k in range(180)]})
    frame["c"] = ["yes" if k % 6 < 3 else "no" for k in range(180)]
    path = str(tmp_path / "t.csv")
    frame.to_csv(path, index=False)
    pairs = ParallelText(path, source="a", target="b", lower=True, min_count=1)
    for data in (pairs, TextCsv(path, "a", "c", lower=True)):
        data.setup()
        assert all(data.size(split) % 3 == 0 for split in ("train", "val", "test"))
        assert any("that equal an earlier one: 120" in note for note in data.notes)
    frame[-3:-2].to_csv(tmp_path / "u.csv", index=False)
    frame[-2:-1].to_csv(tmp_path / "v.csv", index=False)
    u, v = str(tmp_path / "u.csv"), str(tmp_path / "v.csv")
    small = pd.concat([frame[:6], frame[-1:]])
    small.to_csv(path, index=False)
    given = ParallelText(
        path, source="a", target="b", val_path=u, test_path=v, lower=True, min_count=1
    )
    assert sum("1 of 1 samples of" in note for note in given.notes) == 2
