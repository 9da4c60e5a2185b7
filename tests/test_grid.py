"""The grid that grows by itself: every built-in dataset without network × every built-in model."""

import pytest
import torch
import yaml
from words import ROOT

from quintain.compose.bind import instantiate
from quintain.compose.build import build_model
from quintain.compose.cells import make_cell
from quintain.compose.config import compose_one, composer
from quintain.compose.preflight import examine
from quintain.kit.widths import count
from quintain.run.parts import part
from quintain.testing import fake_batch


def names(group):
    return sorted(path.stem for path in (ROOT / "conf" / group).glob("*.yaml"))


def needs_files(name):
    """Downloaded, or the user's own."""
    node = yaml.safe_load((ROOT / "conf" / "dataset" / f"{name}.yaml").read_text())["dataset"]
    return "data_dir" in node or "???" in node.values()


DATASETS = [name for name in names("dataset") if not needs_files(name)]


@pytest.fixture(scope="module")
def hydra():
    with composer():
        yield


@pytest.mark.parametrize("dataset", DATASETS)
@pytest.mark.parametrize("model", names("model"))
def test_every_model_fits_every_dataset(hydra, dataset, model):
    one = compose_one([f"dataset={dataset}", f"model={model}", "hardware=cpu"])
    verdict = examine(make_cell(one.config, one.choices, seed=1))
    assert (verdict.problems, verdict.skip) == ([], None)
    assert verdict.params == pytest.approx(50_000, rel=0.02)

    spec = instantiate(one.config["dataset"]).spec
    torch.manual_seed(1)
    whole = build_model(one.config, spec, verdict.width)
    assert count(whole)[0] == verdict.params
    batch = fake_batch(spec, batch_size=2)
    loss = whole.head.loss(whole(batch), batch)
    torch.autograd.backward(loss)
    assert loss.isfinite()
    assert [n for n, p in whole.named_parameters() if p.grad is None or not p.grad.any()] == []


@pytest.mark.parametrize("dataset", DATASETS)
def test_the_loss_of_a_batch_is_the_mean_of_its_parts_by_their_weights(hydra, dataset):
    one = compose_one([f"dataset={dataset}", "model=lstm", "hardware=cpu"])
    spec = instantiate(one.config["dataset"]).spec
    torch.manual_seed(1)
    whole = build_model(one.config, spec, 8.0).eval()
    head, batch = whole.head, fake_batch(spec, batch_size=5)
    halves = [part(batch, rows) for rows in (slice(0, 2), slice(2, None))]
    weights = [head.weight(half) for half in halves]
    losses = [head.loss(whole(half), half) for half in halves]
    together = sum(w * loss for w, loss in zip(weights, losses, strict=True)) / sum(weights)
    assert head.weight(batch) == sum(weights)
    assert head.loss(whole(batch), batch).item() == pytest.approx(together.item(), rel=1e-5)
