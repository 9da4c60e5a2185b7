"""ETT, and the series stem: separate channels, patches, values relative to the last one."""

from __future__ import annotations

import os
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from helpers.paths import ROOT

from quintain.baselines import forecast as baselines
from quintain.baselines.batches import iterate_batches
from quintain.contracts import Batch, DataSpec, Split
from quintain.errors import DataError
from quintain.plugins.dataset.ett import Ett
from quintain.plugins.head.forecast import Forecast
from quintain.plugins.model.cnn import Cnn
from quintain.plugins.model.mlp import Mlp
from quintain.plugins.model.recurrent import Recurrent
from quintain.plugins.model.transformer import Transformer
from quintain.plugins.stem.series import Series
from quintain.testing import EXAMPLE_SPECS, fake_batch
from quintain.testing.model_building import build_from_classes

SPLITS: tuple[Split, ...] = ("train", "val", "test")
HEADER = "date,HUFL,HULL,MUFL,MULL,LUFL,LULL,OT"
DAY, TRAIN, USED = 24, 12 * 30 * 24, 20 * 30 * 24
SPEC = DataSpec(
    name="waves",
    modality="series",
    task="forecast",
    shape=(12, 3),
    targets=("a", "b"),
    horizon=4,
)


def random_values(rows: int = USED + 20) -> np.ndarray:
    """Seven channels of different scale, one of them rising."""
    random = np.random.default_rng(0)
    return random.normal(size=(rows, 7)) * np.arange(1, 8) + np.linspace(0, 5, rows)[:, None]


def write_csv(folder: Path, values: np.ndarray, header: str = HEADER) -> str:
    (folder / "ett").mkdir(exist_ok=True)
    rows = [",".join(["2016-07-01 00:00:00", *map(repr, row)]) for row in values.tolist()]
    (folder / "ett" / "ETTh1.csv").write_text("\n".join([header, *rows]) + "\n")
    return str(folder)


def test_months_are_split_and_standardised_as_published(tmp_path: Path) -> None:
    values = random_values()
    data = Ett(look_back=48, horizon=24, data_dir=write_csv(tmp_path, values))
    data.setup()
    mean, deviation = values[:TRAIN].mean(0), values[:TRAIN].std(0)
    scaled = (values - mean) / deviation
    # 12 / 4 / 4 months of targets; the look-back of val and test reaches back.
    assert [data.size(s) for s in SPLITS] == [TRAIN - 71, 120 * DAY - 23, 2857]
    for split, start in (("train", 48), ("val", TRAIN), ("test", TRAIN + 4 * 30 * DAY)):
        first = data.batch(split, torch.tensor([0]))
        assert first.x[0].numpy() == pytest.approx(scaled[start - 48 : start], abs=1e-5)
        assert first.y[0].numpy() == pytest.approx(scaled[start : start + 24], abs=1e-5)
    last = data.batch("test", torch.tensor([data.size("test") - 1]))
    assert last.y[0].numpy() == pytest.approx(scaled[USED - 24 : USED], abs=1e-5)
    assert data.inverse_transform(last.y)[0].numpy() == pytest.approx(
        values[USED - 24 : USED], abs=1e-4
    )
    stored = data._splits["train"].x
    assert stored.untyped_storage().nbytes() == 7 * 4 * USED  # views of one series


def test_a_day_of_m_has_96_steps_and_settings_are_checked_at_once() -> None:
    assert Ett("m1").spec.season == 96 and Ett("h2").spec.season == 24
    with pytest.raises(ValueError, match=r"name must be one of h1, h2, m1, m2, got 'h3'; look_ba"):
        Ett("h3", look_back=0)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"horizon 3000 is longer than validation, 2880 steps"):
        Ett(horizon=3000)
    with pytest.raises(ValueError, match=r"look_back \+ horizon, 8696, is longer than training"):
        Ett(look_back=8600)


def test_files_that_are_not_ett_are_refused(tmp_path: Path) -> None:
    short = write_csv(tmp_path, random_values(USED - 1))
    with pytest.raises(DataError, match=r"14,399 rows, expected 14,400 or more: it is truncated"):
        Ett(data_dir=short).setup()
    with pytest.raises(DataError, match="expected f18de3ad"):
        Ett(data_dir=short).prepare_data()
    with pytest.raises(DataError, match="starts with 'date,OT', expected date,HUFL"):
        Ett(data_dir=write_csv(tmp_path, random_values(3), "date,OT")).setup()
    with_gap = random_values(9)
    with_gap[4, 2] = np.nan
    with pytest.raises(DataError, match="line 6: a value is not a number"):
        Ett(data_dir=write_csv(tmp_path, with_gap)).setup()
    with pytest.raises(DataError, match="is not a table of 7 numbers in each row"):
        Ett(data_dir=write_csv(tmp_path, random_values(3)[:, :6])).setup()
    with pytest.raises(DataError, match="is missing"):
        Ett(data_dir=str(tmp_path / "nowhere")).setup()


def load_real_data(name: str, horizon: int = 96) -> Ett:
    folder = os.environ.get("QUINTAIN_DATA")
    if not folder or not (Path(folder) / "ett").is_dir():
        pytest.skip("set QUINTAIN_DATA to a folder that has ett")
    data = Ett(name, horizon=horizon, data_dir=folder)  # type: ignore[arg-type]
    data.prepare_data()
    data.setup()
    return data


def mse_and_mae(data: Ett, predict: object) -> tuple[float, float]:
    """MSE and MAE over all values of all test windows."""
    assert callable(predict)
    errors = [predict(batch) - batch.y for batch in iterate_batches(data, "test")]
    values = torch.cat([w.flatten() for w in errors]).double()
    return float(values.square().mean()), float(values.abs().mean())


def test_the_real_ett_gives_the_published_numbers_of_its_baselines() -> None:
    """LTSF-Linear's table: repeating the last value 1.295 / .713, a linear model .375 / .397."""
    data = load_real_data("h1")
    card = yaml.safe_load((ROOT / "conf/dataset/ett.yaml").read_text())["dataset"]["card"]
    assert {s: data.size(s) for s in SPLITS} == card["counts"]
    assert data.fingerprint() == card["fingerprint"]
    stem = Series(data.spec, input_layout="sequence")
    repeat = mse_and_mae(data, baselines.persistence(data, stem))
    assert repeat == (pytest.approx(1.295, abs=0.001), pytest.approx(0.713, abs=0.001))
    mse, mae = mse_and_mae(data, baselines.linear_forecast(data, stem))
    assert mse < 0.385 and abs(mae - 0.397) < 0.005
    assert [load_real_data("h2", 720).size(s) for s in SPLITS] == [7585, 2161, 2161]


# --- the series stem


def batch_of(spec: DataSpec, size: int = 5) -> Batch:
    return fake_batch(spec, size)


def test_with_channels_apart_every_target_is_a_sample_of_its_own() -> None:
    stem = Series(SPEC, input_layout="sequence", channels="apart", patch=4)
    assert (stem.out.dim, stem.out.grid) == (8, (3,))
    x = batch_of(SPEC).x
    out, mask = stem(x, None)
    assert mask is None and out.shape == (10, 3, 8)
    # Sample 1, target b, and the channel that is no target.
    assert torch.equal(out[3], x[1, :, 1:].reshape(3, 8))
    assert stem.layout == "patches of 4 steps, channels apart"


def test_relative_subtracts_the_last_value_and_leaves_padding_zero() -> None:
    spec = next(s for s in EXAMPLE_SPECS if s.name == "example_ragged_series")
    stem = Series(spec, input_layout="sequence", relative=True)
    batch = fake_batch(spec)
    assert batch.lengths is not None
    out, mask = stem(batch.x, batch.lengths)
    shifted, _ = stem(batch.x + 7, batch.lengths)
    assert mask is not None and torch.allclose(out, shifted, atol=1e-5)
    for row, length in enumerate(batch.lengths.tolist()):
        assert not out[row, length - 1 :].any()
        expected = batch.x[row, : length - 1] - batch.x[row, length - 1]
        assert torch.equal(out[row, : length - 1], expected)


@pytest.mark.parametrize(
    ("steps", "patch"), [(336, 16), (192, 8), (104, 4), (48, 2), (50, 2), (24, 1), (97, 1)]
)
def test_automatic_settings_forecast_each_target_from_patches_of_changes(
    steps: int, patch: int
) -> None:
    spec = replace(SPEC, shape=(steps, 3))
    auto = Series(spec, input_layout="sequence", channels="auto", patch="auto", relative="auto")
    same = Series(spec, input_layout="sequence", channels="apart", patch=patch, relative=True)
    x = batch_of(spec).x
    assert torch.equal(auto(x, None)[0], same(x, None)[0]) and auto.layout == same.layout


def test_automatic_settings_leave_series_to_classify_as_they_are() -> None:
    spec = next(s for s in EXAMPLE_SPECS if s.modality == "series" and s.task == "classify")
    auto = Series(spec, input_layout="sequence", channels="auto", patch="auto", relative="auto")
    batch = fake_batch(spec)
    expected, _ = Series(spec, input_layout="sequence")(batch.x, batch.lengths)
    assert torch.equal(auto(batch.x, batch.lengths)[0], expected)


def test_invalid_settings_of_series_are_refused() -> None:
    ragged = next(s for s in EXAMPLE_SPECS if s.name == "example_ragged_series")
    with pytest.raises(ValueError, match=r"patch must divide the 12 steps of waves, got 5; try 1"):
        Series(SPEC, input_layout="grid", patch=5)
    with pytest.raises(
        ValueError, match=r"apart needs task forecast.*; patch=4 needs samples of equ"
    ):
        Series(ragged, input_layout="grid", channels="apart", patch=4)
    with pytest.raises(ValueError, match="channels must be together, apart or auto, got 'both'"):
        Forecast(Series(SPEC, input_layout="grid").out, SPEC, channels="both")  # type: ignore[arg-type]


CORES = {
    "cnn": Cnn,
    "mlp": Mlp,
    "transformer": Transformer,
    **{cell: partial(Recurrent, cell=cell) for cell in ("rnn", "lstm", "gru")},
}


@pytest.mark.parametrize("core", CORES)
def test_a_target_is_forecast_without_the_other_targets_by_shared_weights(core: str) -> None:
    stem = partial(Series, channels="apart", patch=2, relative=True)
    torch.manual_seed(0)
    model = build_from_classes(stem, CORES[core], partial(Forecast, channels="apart"), SPEC).eval()
    batch = batch_of(SPEC)
    predicted = model(batch)
    assert predicted.shape == (5, 4, 2)
    changed = batch.x.clone()
    changed[..., 1:2] += 3
    assert torch.allclose(model(batch._replace(x=changed))[..., 0], predicted[..., 0], atol=1e-5)
    swapped = model(batch._replace(x=batch.x[..., [1, 0, 2]]))
    assert torch.allclose(swapped, predicted[..., [1, 0]], atol=1e-5)
    alone = model(Batch(batch.x[2:3], batch.y[2:3]))
    assert torch.allclose(alone, predicted[2:3], atol=1e-5)
    level = model(batch._replace(x=batch.x + torch.tensor([5.0, 5.0, 0.0])))
    assert torch.allclose(level, predicted + 5, atol=1e-4)


def test_a_head_without_the_stems_channels_setting_is_refused() -> None:
    model = build_from_classes(partial(Series, channels="apart"), Mlp, Forecast, SPEC)
    with pytest.raises(ValueError, match=r"expected 5 rows .*, got 10: give stem.channels and"):
        model(batch_of(SPEC))
