"""Settings of the text stem: initial size of the vectors, and dropout."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from quintain.contracts import DataSpec
from quintain.plugins.stem.text import Text

SPEC = DataSpec(name="words", modality="text", task="next_token", shape=(50,), vocabulary=5000)


@pytest.mark.parametrize("std", [1.0, 0.1])
def test_std_sets_that_of_the_initial_vectors(std: float) -> None:
    torch.manual_seed(0)
    stem = Text(SPEC, input_layout="grid", std=std)
    assert stem.embedding.weight.std().item() == pytest.approx(std, rel=0.02)


def test_vectors_start_small_where_a_text_has_one_target() -> None:
    for task, std in (("next_token", 1.0), ("generate", 1.0), ("classify", 0.1), ("regress", 0.1)):
        spec = replace(SPEC, task=task)  # type: ignore[arg-type]
        stem = Text(spec, input_layout="grid")
        assert stem.embedding.weight.std().item() == pytest.approx(std, rel=0.02)


def test_dropout_applies_in_training_only() -> None:
    torch.manual_seed(0)
    stem = Text(SPEC, input_layout="grid", dropout=0.25)
    x = torch.arange(2000).reshape(40, 50)
    train_mode, _ = stem(x, None)
    eval_mode = stem.eval()(x, None)[0]
    assert torch.equal(eval_mode, stem.embedding(x))
    dropped = train_mode == 0
    assert dropped.float().mean() == pytest.approx(0.25, abs=0.01)
    assert torch.allclose(train_mode[~dropped], eval_mode[~dropped] / 0.75)


@pytest.mark.parametrize("settings", [{"dropout": 1.0}, {"dropout": -0.1}, {"std": 0.0}])
def test_settings_out_of_range_raise(settings: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=r"dropout must be in \[0, 1\) and std above 0"):
        Text(SPEC, input_layout="grid", **settings)
