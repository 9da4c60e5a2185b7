"""A user's series of 0 and 1: windows, splits, and an independent negative log-likelihood."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from helpers.commands import run_quintain

from quintain.contracts import Split
from quintain.errors import DataError
from quintain.plugins.dataset.binary_series import BinarySeries
from quintain.testing import DATASET_CHECKS, Case

SPLITS: tuple[Split, ...] = ("train", "val", "test")
CARD = {"about": "a", "source": "b", "licence": "c", "citation": "d"}
NOTES = [f"n{k}" for k in range(6)]


def pieces(count: int = 20, steps: int = 12) -> pd.DataFrame:
    """Return pieces in which two of six notes sound, each a note higher at the next step."""
    rows = []
    for piece in range(count):
        start = np.random.default_rng(piece).integers(6, size=2)
        for t in range(steps + piece % 3):
            on = {int(s + t) % 6 for s in start}
            rows.append([f"p{piece}", t, *(int(k in on) for k in range(6))])
    return pd.DataFrame(rows, columns=["piece", "t", *NOTES])


def write(frame: pd.DataFrame, folder: Path, name: str = "t.csv") -> str:
    frame.to_csv(folder / name, index=False)
    return str(folder / name)


def test_windows_end_before_the_target_and_never_leave_their_series(tmp_path: Path) -> None:
    frame = pieces()
    shuffled = frame.sample(frac=1, random_state=0)
    data = BinarySeries(write(shuffled, tmp_path), "piece", look_back=4)
    assert (data.spec.task, data.spec.shape, data.spec.classes) == ("multilabel", (4, 6), (*NOTES,))
    assert any("steps by column 't'" in note for note in data.notes)
    expected = set()
    for _, piece in frame.groupby("piece"):
        values = piece[NOTES].to_numpy()
        for t in range(1, len(values)):
            window = np.concatenate([np.zeros((4, 6), int), values[:t]])[-4:]
            expected.add((window.tobytes(), values[t].tobytes()))
    found, total = set(), 0
    for split in SPLITS:
        batch = data.batch(split, torch.arange(data.size(split)))
        x, y = batch.x, batch.y
        assert batch.lengths is None and x.dtype == y.dtype == torch.float32
        pairs = zip(x.numpy().astype(int), y.numpy().astype(int), strict=True)
        found |= {(a.tobytes(), b.tobytes()) for a, b in pairs}
        total += len(x)
    assert found == expected and total == len(frame) - 20
    assert [data.size(split) for split in SPLITS] == [165, 37, 37]


def test_the_dataset_fulfils_the_contract(tmp_path: Path) -> None:
    random = np.random.default_rng(0).integers(0, 2, (300, 10))
    path = write(pd.DataFrame(random, columns=[f"c{k}" for k in range(10)]), tmp_path)
    case = Case.load(lambda **settings: BinarySeries(path, look_back=5, **settings), CARD)
    for _, check in DATASET_CHECKS:
        check(case)
    assert [case.dataset.size(split) for split in SPLITS] == [209, 30, 60]
    batch = case.dataset.batch("test", torch.tensor([0]))
    assert torch.equal(batch.x[0], torch.from_numpy(random[235:240]).float())
    assert torch.equal(batch.y[0], torch.from_numpy(random[240]).float())


def test_given_splits(tmp_path: Path) -> None:
    frame = pieces()
    number = frame["piece"].str[1:].astype(int)
    frame["split"] = [("train", "valid", "test", "train")[k % 4] for k in number]
    data = BinarySeries(write(frame, tmp_path), "piece")
    sizes = [int((frame["split"] == s).sum()) - n for s, n in
             (("train", 10), ("valid", 5), ("test", 5))]  # fmt: skip
    assert [data.size(split) for split in SPLITS] == sizes and data.spec.classes == (*NOTES,)
    train, test = frame[number < 15], frame[number >= 15]
    paths = [write(f.drop(columns="split"), tmp_path, n) for f, n in ((train, "a"), (test, "b"))]
    data = BinarySeries(paths[0], "piece", test_path=paths[1])
    assert data.size("test") == len(test) - 5
    assert data.size("train") + data.size("val") == len(train) - 15
    frame.loc[3, "split"] = "test"
    with pytest.raises(DataError, match="rows of one series are in several splits"):
        BinarySeries(write(frame, tmp_path), "piece")


def test_values_that_are_not_binary_are_named(tmp_path: Path) -> None:
    frame = pieces().astype({"n3": object})
    frame.loc[4, "n3"] = 2
    path = write(frame, tmp_path)
    assert BinarySeries(path, "piece").spec.classes == ("n0", "n1", "n2", "n4", "n5")
    with pytest.raises(DataError, match=r"column 'n3': a column of a label has 0 and 1.*line 6"):
        BinarySeries(path, "piece", NOTES)
    frame.loc[4, "n3"] = ""
    with pytest.raises(DataError, match="column 'n3': no value in line 6"):
        BinarySeries(write(frame, tmp_path), "piece", NOTES)


def test_baselines_have_the_likelihood_of_a_count_by_hand(tmp_path: Path) -> None:
    write(pieces(60), tmp_path)
    code, out, err = run_quintain(
        "sweep", "dataset=binary_series", "dataset.path=t.csv", "dataset.group=piece",
        "dataset.look_back=3", "model=mlp", "hardware=cpu", "wandb.mode=disabled", "store=s",
        "budget.steps=60", "budget.validations=2", "launch.workers=1", cwd=tmp_path,
    )  # fmt: skip
    assert code == 0, out + err
    records = [json.loads(p.read_text()) for p in (tmp_path / "s" / "records").rglob("*.json")]
    scores = {r["names"]["model"]: r["quality"]["scores"] for r in records}
    assert {*scores} == {"mlp", "majority", "linear", "nearest"}
    assert all(r["quality"]["main"] == "nll" for r in records)
    data = BinarySeries(str(tmp_path / "t.csv"), "piece", look_back=3)
    y = {split: data.batch(split, torch.arange(data.size(split))).y for split in SPLITS}
    p = ((y["train"].sum(0) + 0.5) / (len(y["train"]) + 1)).double()
    nll = -(y["test"] * p.log() + (1 - y["test"]) * (1 - p).log()).sum(1).mean()
    assert scores["majority"]["nll"]["test"] == pytest.approx(float(nll), rel=1e-4)
    assert scores["linear"]["nll"]["test"] < 0.3 and scores["mlp"]["nll"]["test"] < float(nll)
    assert scores["linear"]["micro_f1"]["test"] == 1.0
