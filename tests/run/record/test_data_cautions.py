"""Notes where little can be learnt from the data at a budget."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from helpers.commands import run_quintain

from quintain.contracts import Batch, DataSpec, Split
from quintain.data.base import InMemory
from quintain.run.budget import Budget
from quintain.run.record.data_cautions import find_cautions

SPEC: dict[str, Any] = {"name": "few", "modality": "image", "shape": (1, 2, 2)}


class Few(InMemory):
    """`y` of the train split, and a test split of `test` samples."""

    def __init__(self, spec: DataSpec, y: torch.Tensor, test: int = 100) -> None:
        super().__init__(spec)
        self.y, self.test = y, test

    def load(self) -> dict[Split, Batch]:
        x = torch.zeros(len(self.y), 1, 2, 2)
        return {
            "train": Batch(x, self.y),
            "val": Batch(x[:1], self.y[:1]),
            "test": Batch(torch.zeros(self.test, 1, 2, 2), self.y[:1].expand(self.test, -1)),
        }


def notes(task: str, y: torch.Tensor, steps: int = 1000, **settings: Any) -> list[str]:
    test = settings.pop("test", 100)
    data = Few(DataSpec(task=task, **SPEC, **settings), y, test)  # type: ignore[arg-type]
    data.setup()
    return find_cautions(data, Budget(steps=steps), steps)


def test_enough_data_have_no_notes() -> None:
    y = torch.arange(400) % 2
    assert notes("classify", y, classes=("a", "b"), test=1) == [
        "the test split has 1 samples: a score may change much by chance"
    ]
    assert notes("regress", torch.randn(400, 1), targets=("t",)) == []


def test_less_than_an_epoch_and_less_than_a_batch_are_noted() -> None:
    y = torch.randn(400, 1)
    assert notes("regress", y, steps=8, targets=("t",)) == [
        "8 steps of 32 samples are 0.64 epochs of 400 train samples: most are never seen; "
        "budget.steps=13 is one epoch"
    ]
    assert notes("regress", y[:20], targets=("t",)) == [
        "the train split has 20 samples, fewer than a batch of 32"
    ]


def test_many_and_rare_classes_are_noted() -> None:
    y = torch.cat([torch.arange(40).repeat(6), torch.tensor([40, 41, 41])])
    many, rare = notes("classify", y, classes=tuple(f"c{k}" for k in range(43)), test=0)
    assert many.startswith("there are 43 classes, more than the 32 samples of a batch")
    assert rare == ("3 of 43 classes have fewer than 5 train samples: 'c40' 1, 'c41' 2, 'c42' 0")
    y = torch.ones(50, 3)
    y[2:, 1], y[:, 2] = 0, 0
    assert notes("multilabel", y, classes=("a", "b", "c")) == [
        "2 of 3 labels have fewer than 5 train samples: 'b' 2, 'c' 0"
    ]


def test_a_constant_target_is_noted() -> None:
    y = torch.randn(60, 2)
    y[:, 1] = 0
    assert notes("regress", y, targets=("age", "always")) == [
        "targets that are constant in train, nothing to learn: 'always'"
    ]


def test_a_baseline_has_no_notes_on_the_budget() -> None:
    data = Few(DataSpec(task="regress", targets=("t",), **SPEC), torch.randn(400, 1))
    data.setup()
    assert find_cautions(data, None, 0) == []


def test_notes_are_printed_and_recorded(tmp_path: Path) -> None:
    code, out, err = run_quintain(
        "run", "dataset=digits", "model=mlp", "hardware=cpu", "wandb.mode=disabled",
        "budget.steps=10", "budget.validations=1", "launch.workers=1", "store=s", cwd=tmp_path,
    )  # fmt: skip
    assert code == 0, out + err
    (file,) = (tmp_path / "s" / "records").rglob("*.json")
    note = json.loads(file.read_text())["data"]["notes"][-1]
    assert note.startswith("10 steps of 32 samples are 0.29 epochs of 1,100 train samples")
    assert f"digits: {note}" in (out + err).replace("\n", " ")
