"""Parts of datasets: the base class in memory, stratified order, forecast windows."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import pytest
import pytorch_lightning as pl
import torch
from torch import Tensor, nn

from quintain.contracts import Batch, DataSpec, Split
from quintain.data.base import InMemory
from quintain.data.stratified import stratified_order
from quintain.data.windows import forecast_windows

SPLITS: tuple[Split, ...] = ("train", "val", "test")


def test_every_prefix_of_a_stratified_order_has_classes_in_proportion() -> None:
    labels = np.array([0] * 60 + [1] * 30 + [2] * 10)
    order = stratified_order(labels, seed=1)
    assert sorted(order) == list(range(100))
    for cut in (10, 50, 73):
        counts = np.bincount(labels[order[:cut]], minlength=3)
        assert np.abs(counts - np.array([0.6, 0.3, 0.1]) * cut).max() <= 1
    assert (order != stratified_order(labels, seed=2)).any()


def test_forecast_windows_of_a_short_series() -> None:
    series = torch.arange(10.0)[:, None]
    x, y, *_ = forecast_windows(series, 0, 6, look_back=3, horizon=2)
    assert x[:, :, 0].tolist() == [[0, 1, 2], [1, 2, 3]]
    assert y[:, :, 0].tolist() == [[3, 4], [4, 5]]
    x, y, *_ = forecast_windows(series, 6, 10, look_back=3, horizon=2)
    assert x[:, :, 0].tolist() == [[3, 4, 5], [4, 5, 6], [5, 6, 7]]
    assert y[:, :, 0].tolist() == [[6, 7], [7, 8], [8, 9]]
    with pytest.raises(ValueError, match="too short for look-back"):
        forecast_windows(series, 6, 10, look_back=3, horizon=5)


class Tiny(InMemory):
    """Ten samples whose value and label are their index."""

    def __init__(self, last: int = 9) -> None:
        super().__init__(DataSpec(name="tiny", modality="series", task="classify", shape=(1, 1)))
        self.last, self.num_loads = last, 0

    def load(self) -> dict[Split, Batch]:
        self.num_loads += 1
        x = torch.tensor([*range(9), self.last]).float().reshape(10, 1, 1)
        return {split: Batch(x, torch.arange(10)) for split in SPLITS}


def test_setup_loads_once_and_use_before_setup_raises() -> None:
    data = Tiny()
    with pytest.raises(RuntimeError, match=r"call prepare_data\(\) and setup\(\) first"):
        data.size("train")
    data.setup("fit")
    data.setup("test")
    assert data.num_loads == 1
    assert data.batch("val", torch.tensor([7, 2])).y.tolist() == [7, 2]


def test_fingerprint_depends_on_every_value() -> None:
    fingerprints = []
    for last in (9, 9, 8):
        data = Tiny(last)
        data.setup()
        fingerprints.append(data.fingerprint())
    assert fingerprints[0] == fingerprints[1] != fingerprints[2]
    assert fingerprints[0].startswith("sha256:") and len(fingerprints[0]) == 7 + 64


def test_lightning_trainer_trains_on_the_data_module(tmp_path: Path) -> None:
    class Model(pl.LightningModule):
        def __init__(self) -> None:
            super().__init__()
            self.layer, self.labels = nn.Linear(1, 10), list[int]()

        def training_step(self, batch: Batch, index: int) -> Tensor:
            self.labels += batch.y.tolist()
            return nn.functional.cross_entropy(self.layer(batch.x[:, 0]), batch.y)

        def validation_step(self, batch: Batch, index: int) -> None:
            assert len(batch.x) in (2, 4)

        def configure_optimizers(self) -> torch.optim.Optimizer:
            return torch.optim.SGD(self.parameters(), lr=0.1)

    data, model = Tiny(), Model()
    data.batch_size = 4
    trainer = pl.Trainer(
        max_epochs=1,
        accelerator="cpu",
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        default_root_dir=tmp_path,
    )
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", ".*does not have many workers.*")
        warnings.filterwarnings("ignore", ".*LeafSpec.* is deprecated")  # Lightning's own use
        trainer.fit(model, data)
    assert sorted(model.labels) == list(range(10)) and trainer.global_step == 3
    assert [len(batch.x) for batch in data.val_dataloader()] == [4, 4, 2]
    assert [batch.y.tolist() for batch in data.test_dataloader()][2] == [8, 9]


def test_batch_of_empty_samples_has_one_column() -> None:
    class Ragged(InMemory):
        def load(self) -> dict[Split, Batch]:
            x, lengths = torch.zeros(3, 5, 1), torch.tensor([0, 4, 0])
            return {split: Batch(x, torch.arange(3), lengths) for split in SPLITS}

    spec = DataSpec(name="r", modality="series", task="classify", shape=(5, 1), ragged=True)
    (data := Ragged(spec)).setup()
    assert data.batch("train", torch.tensor([0, 2])).x.shape == (2, 1, 1)
    assert data.batch("train", torch.tensor([0, 1])).x.shape == (2, 4, 1)
