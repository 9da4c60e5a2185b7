"""The text stem's settings: how large vectors begin, and which are dropped while training."""

from __future__ import annotations

import pytest
import torch

from quintain.contracts import DataSpec
from quintain.plugins.stem.text import Text

SPEC = DataSpec(name="words", modality="text", task="next_token", shape=(50,), vocabulary=5000)


@pytest.mark.parametrize("std", [1.0, 0.1])
def test_vectors_begin_with_the_deviation_that_is_asked_for(std: float) -> None:
    torch.manual_seed(0)
    stem = Text(SPEC, reads="grid", std=std)
    assert stem.embedding.weight.std().item() == pytest.approx(std, rel=0.02)


def test_dropout_is_for_training_only() -> None:
    torch.manual_seed(0)
    stem = Text(SPEC, reads="grid", dropout=0.25)
    x = torch.arange(2000).reshape(40, 50)
    trained, _ = stem(x, None)
    still = stem.eval()(x, None)[0]
    assert torch.equal(still, stem.embedding(x))
    dropped = trained == 0
    assert dropped.float().mean() == pytest.approx(0.25, abs=0.01)
    assert torch.allclose(trained[~dropped], still[~dropped] / 0.75)


@pytest.mark.parametrize("settings", [{"dropout": 1.0}, {"dropout": -0.1}, {"std": 0.0}])
def test_settings_that_cannot_be(settings: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=r"dropout must be in \[0, 1\) and std above 0"):
        Text(SPEC, reads="grid", **settings)
