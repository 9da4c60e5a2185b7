"""Tables of several series, given splits, and series to classify."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from helpers.commands import usage_problems
from sklearn.linear_model import Ridge

from quintain.baselines.forecast import linear_forecast
from quintain.data.user_files.splits import SPLITS
from quintain.errors import DataError
from quintain.plugins.dataset.csv_series import CsvSeries
from quintain.plugins.stem.series import Series
from quintain.testing.dataset_checks import DATASET_CHECKS, Case

DAYS = 60


def stores(days: int = DAYS) -> pd.DataFrame:
    """Return daily sales of three stores with promotions; the first opens ten days later."""
    random = np.random.default_rng(0)
    rows = [
        {
            "date": str(date.date()),
            "store": store,
            "region": "north" if store == "Rome" else "south",
            "promo": int(random.random() < 0.2),
            "sold": 0.0,
        }
        for store in ("Berlin", "Paris", "Rome")
        for date in pd.date_range("2024-01-01", periods=days)[10 if store == "Berlin" else 0 :]
    ]
    frame = pd.DataFrame(rows)
    frame["sold"] = (
        50 + 30 * frame["promo"] + 9 * (frame.index % 7) + random.normal(size=len(frame))
    )
    return frame


def gestures(groups: int = 60) -> pd.DataFrame:
    """Return series that rise or fall, of 20 subjects, their rows shuffled."""
    random = np.random.default_rng(0)
    rows = [
        {
            "id": f"g{g}",
            "t": k,
            "x": (g % 2 * 2 - 1) * k + random.normal(),
            "y": random.normal(),
            "kind": ["fall", "rise"][g % 2],
            "who": f"s{g % 20}",
            "split": ["train", "train", "test"][g // 20],
        }
        for g in range(groups)
        for k in range(5 + g % 5)
    ]
    return pd.DataFrame(rows).sample(frac=1, random_state=0)


def load(frame: pd.DataFrame, folder: Path, **settings: object) -> CsvSeries:
    frame.to_csv(folder / "t.csv", index=False)
    data = CsvSeries(str(folder / "t.csv"), **settings)  # type: ignore[arg-type]
    data.setup()
    return data


def classify(frame: pd.DataFrame, folder: Path, **settings: object) -> CsvSeries:
    return load(frame, folder, label="kind", group="id", **settings)


def sizes(data: CsvSeries) -> list[int]:
    return [data.size(split) for split in SPLITS]


def test_every_store_is_forecast_from_its_own_past(tmp_path: Path) -> None:
    frame = stores()
    data = load(frame, tmp_path, target="sold", group="store", horizon=3, look_back=5)
    assert data.spec.shape == (5, 2) and data.spec.targets == ("sold",)
    # Val begins on day 42 and test on day 48 in all stores; Berlin has ten days less of train.
    assert sizes(data) == [3 * (42 - 7) - 10, 3 * (6 - 2), 3 * (12 - 2)]
    for split, first, last in (("train", 0, 42), ("val", 42, 48), ("test", 48, 60)):
        batch = data.batch(split, torch.arange(data.size(split)))  # type: ignore[arg-type]
        x = data.inverse_transform(batch.x).numpy()[..., 0]
        y = data.inverse_transform(batch.y).numpy()[..., 0]
        expected = []
        for _, store in frame.groupby("store"):
            sold = store["sold"].to_numpy()
            offset = DAYS - len(sold)
            start = max(first - offset, 5)
            for k in range(start, last - offset - 2):
                expected.append(np.concatenate([sold[k - 5 : k], sold[k : k + 3]]))
        assert np.allclose(np.concatenate([x, y], 1), expected, atol=1e-4)
    assert any("3 series, 170 steps from 2024-01-01" in note for note in data.notes)
    assert "one model forecasts all series; they are standardised together" in data.notes
    assert any("left out: 'region' (line 2 has 'south')" in note for note in data.notes)


def test_known_covariates_are_seen_ahead_and_texts_become_indicators(tmp_path: Path) -> None:
    frame = stores()
    settings = {"known": "promo", "covariates": ["region"], "horizon": 3, "look_back": 5}
    data = load(frame, tmp_path, target="sold", group="store", **settings)
    assert data.spec.shape == (5, 5)  # sold, region=north, region=south, promo, promo in 3 steps
    x = data._data.scaler.inverse_transform(data.batch("test", torch.arange(30)).x[..., :4])
    ahead = data.batch("test", torch.arange(30)).x[..., 4]
    promo = frame.loc[frame["store"] == "Berlin", "promo"].to_numpy()
    assert np.allclose(x[0, :, 3], promo[33:38], atol=1e-5)
    scaled = (promo - data._data.scaler.mean[3].item()) / data._data.scaler.deviation[3].item()
    assert np.allclose(ahead[0, -3:], scaled[38:41], atol=1e-5)  # the steps to predict
    assert x[..., 2].round().unique().tolist() == [0, 1]
    with pytest.raises(ValueError, match="known needs a look_back of the horizon, 3, or more"):
        load(frame, tmp_path, target="sold", group="store", **settings | {"look_back": 2})


def test_the_linear_baseline_uses_covariates_where_validation_says_so(tmp_path: Path) -> None:
    settings = {"known": "promo", "covariates": [], "horizon": 2, "look_back": 8}
    data = load(stores(200), tmp_path, target="sold", group="store", **settings)
    stem = Series(data.spec, input_layout="sequence")
    predict = linear_forecast(data, stem)
    train, test = (data.batch(s, torch.arange(data.size(s))) for s in ("train", "test"))

    def features(batch: object) -> np.ndarray:
        own = (batch.x[..., :1] - batch.x[:, -1:, :1]).flatten(1)  # type: ignore[attr-defined]
        return torch.cat([own, batch.x[..., 1:].flatten(1)], 1).numpy()  # type: ignore[attr-defined]

    ridge = Ridge(1.0).fit(features(train), train.y[..., 0] - train.x[:, -1, :1])
    expected = ridge.predict(features(test)) + test.x[:, -1, :1].numpy()
    assert np.allclose(predict(test)[..., 0], expected, atol=1e-4)
    error = (predict(test) - test.y).square().mean().sqrt() * data._data.scaler.deviation[0]
    assert error < 6  # one promotion is 30


def test_series_of_different_frequency_are_refused(tmp_path: Path) -> None:
    frame = stores()
    weekly = frame[(frame["store"] != "Rome") | (frame.index % 7 == 0)]
    with pytest.raises(DataError, match=r"steps of different length: 1 day \('Paris'\), 1 week"):
        load(weekly, tmp_path, target="sold", group="store")


def test_repeated_times_name_the_column_of_the_series(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="if column 'store' tells several series apart, set data"):
        load(stores(), tmp_path, target="sold")
    frame = stores().assign(item=lambda f: f["store"].str[0])
    doubled = pd.concat([frame.assign(shop="a"), frame.assign(shop="b")])
    with pytest.raises(DataError, match=r"set dataset.group=\[\w+,shop\]"):
        load(doubled, tmp_path, target="sold")
    assert sizes(load(doubled, tmp_path, target="sold", group=["store", "shop"], horizon=3))


def test_a_column_of_splits_sets_the_borders(tmp_path: Path) -> None:
    frame = stores().query("store == 'Rome'").drop(columns="store")
    split = ["train"] * 30 + ["validation"] * 10 + ["test"] * 20
    data = load(frame.assign(split=split), tmp_path, target="sold", horizon=3, look_back=5)
    assert sizes(data) == [30 - 7, 10 - 2, 20 - 2]
    data = load(
        frame.assign(split=[*split[:30], *["train"] * 10, *split[40:]]),
        tmp_path, target="sold", horizon=3, look_back=5,
    )  # fmt: skip
    assert any("split as given, val from the end of train: 35 for" in note for note in data.notes)
    with pytest.raises(DataError, match="splits of the rows are not in order of time"):
        load(frame.assign(split=split[::-1]), tmp_path, target="sold", horizon=3, look_back=5)


def test_the_test_series_do_not_depend_on_channels_and_look_back(tmp_path: Path) -> None:
    frame = gestures().drop(columns=["split", "who"])
    frame["number"] = frame["id"].str[1:].astype(float)
    expected = None
    for settings in (
        {},
        {"look_back": 3},
        {"covariates": ["x", "number"]},
        {"covariates": ["number"]},
    ):
        data = classify(frame, tmp_path, **settings)
        names = data._data.spec.shape[1]
        channel = {3: 2, 2: 1, 1: 0}[names]  # the last channel is the number of the series
        scaler = data._data.scaler
        x = data.batch("test", torch.arange(data.size("test"))).x[:, 0, channel]
        found = (x * scaler.deviation[channel] + scaler.mean[channel]).round().int().tolist()
        expected = expected or found
        assert found == expected and len(found) == 12


def test_shuffled_rows_keep_the_order_of_their_series(tmp_path: Path) -> None:
    data = classify(gestures().drop(columns="split"), tmp_path, covariates=["x"], time="t")
    inferred = classify(gestures().drop(columns="split"), tmp_path)
    assert inferred.spec.shape == (9, 2)  # t is the time, and no channel
    assert "times: column 't' (inferred)" in inferred.notes
    everything = torch.arange(12)
    assert torch.equal(
        inferred.batch("test", everything).x[..., :1], data.batch("test", everything).x
    )


def test_given_splits_of_series_are_kept_by_column_and_by_files(tmp_path: Path) -> None:
    frame = gestures()
    by_column = classify(frame, tmp_path)
    assert by_column.size("test") == 20 and by_column.size("val") == 4
    for split in ("train", "test"):
        frame[frame["split"] == split].drop(columns="split").to_csv(
            tmp_path / f"{split}.csv", index=False
        )
    by_files = CsvSeries(
        str(tmp_path / "train.csv"), test_path=str(tmp_path / "test.csv"), label="kind", group="id"
    )
    by_files.setup()
    assert by_files.size("test") == 20 and by_files.size("val") == 4
    ignored = classify(frame, tmp_path, split=False)
    assert ignored.size("test") == 12
    with pytest.raises(DataError, match="expected train, val or test"):
        classify(frame.assign(part="x"), tmp_path, split="part")


def test_no_subject_is_on_both_sides(tmp_path: Path) -> None:
    frame = gestures()
    data = classify(frame, tmp_path, subject="who", split=False)
    assert sum(sizes(data)) == 60 and all(size % 3 == 0 for size in sizes(data))
    with pytest.raises(
        DataError, match=r"predefined splits divide subjects: 's0' \(test and train"
    ):
        classify(frame, tmp_path, subject="who")


def test_equal_series_of_other_names_share_a_split_and_are_counted(tmp_path: Path) -> None:
    frame = gestures().drop(columns=["split", "who"])
    twins = pd.concat([frame, frame.assign(id="twin of " + frame["id"])])
    data = classify(twins, tmp_path)
    assert sizes(data) == [84, 12, 24]
    assert "60 duplicate series; equal series are in the same split" in data.notes


def test_settings_without_a_meaning_are_refused_together(tmp_path: Path) -> None:
    stores().to_csv(tmp_path / "t.csv", index=False)
    path = f"dataset.path={tmp_path / 't.csv'}"
    (problem,) = usage_problems(
        "dataset=csv_series", "head=classify", path, "dataset.label=region", "dataset.group=store",
        "dataset.horizon=3", "dataset.borders=[0.5,0.6]", "model=lstm", "hardware=cpu",
    )  # fmt: skip
    assert "horizon has no meaning to classify whole series" in problem
    assert "borders has no meaning to classify whole series" in problem
    with pytest.raises(ValueError, match="subject has no meaning to forecast: leave it out"):
        CsvSeries(str(tmp_path / "t.csv"), "sold", subject="store")
    with pytest.raises(ValueError, match="label needs group"):
        CsvSeries(str(tmp_path / "t.csv"), label="store")


def test_a_counter_is_no_channel_beside_dates(tmp_path: Path) -> None:
    frame = stores().query("store == 'Rome'").reset_index(drop=True)
    frame = frame.drop(columns=["store", "region"])
    data = load(frame.assign(row=frame.index), tmp_path, target="sold", horizon=3)
    assert data.spec.shape[1] == 2
    assert "columns left out: 'row' (it counts the rows)" in data.notes
    data = load(
        frame.assign(row=frame.index), tmp_path, target="sold", covariates=["row"], horizon=3
    )
    assert data.spec.shape[1] == 2


def test_the_order_of_the_file_is_a_setting(tmp_path: Path) -> None:
    frame = stores().query("store == 'Rome'")[["date", "sold"]].iloc[::-1]
    data = load(frame, tmp_path, target="sold", time=False, horizon=1, look_back=1)
    first = data.inverse_transform(data.batch("train", torch.tensor([0])).y).item()
    assert first == pytest.approx(frame["sold"].iloc[1], rel=1e-5)
    assert any("in the order of the file (time=false)" in note for note in data.notes)
    american = frame.assign(date=pd.to_datetime(frame["date"]).dt.strftime("%m/%d/%Y"))
    with pytest.raises(DataError, match=r"set it \(dataset.time_format=%m/%d/%Y\), .*time=false"):
        load(american, tmp_path, target="sold", covariates=[])
    by_word = load(frame, tmp_path, target="sold", time="false", horizon=1, look_back=1)
    assert by_word.notes == data.notes


@pytest.mark.parametrize("factor", [1e-9, 1e9])
def test_the_unit_of_a_series_does_not_change_its_windows(factor: float, tmp_path: Path) -> None:
    frame = stores().query("store == 'Rome'")[["date", "sold"]]
    batches = []
    for scale in (1, factor):
        data = load(frame.assign(sold=frame["sold"] * scale), tmp_path, target="sold", horizon=3)
        batches.append(data.batch("test", torch.arange(3)))
    assert torch.allclose(batches[0].x, batches[1].x, atol=1e-5)
    assert torch.allclose(batches[0].y, batches[1].y, atol=1e-5)


def test_tables_of_several_series_fulfil_the_contract(tmp_path: Path) -> None:
    stores().to_csv(tmp_path / "s.csv", index=False)
    gestures().to_csv(tmp_path / "g.csv", index=False)
    card = {"about": "a", "source": "b", "licence": "c", "citation": "d"}
    makers = (
        lambda: CsvSeries(
            str(tmp_path / "s.csv"), "sold", group="store", known="promo", horizon=3, look_back=6
        ),
        lambda: CsvSeries(str(tmp_path / "g.csv"), label="kind", group="id"),
    )
    for make in makers:
        case = Case.load(make, card)
        for _, check in DATASET_CHECKS:
            check(case)
