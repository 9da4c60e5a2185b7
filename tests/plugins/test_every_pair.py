"""Every built-in dataset that needs no files × every built-in model."""

import pytest
import torch
import yaml
from helpers.paths import ROOT

from quintain.compose.config import compose_job, hydra_session
from quintain.compose.instantiate import instantiate
from quintain.model import build_model
from quintain.nn.widths import count_parameters
from quintain.plan.cell import make_cell
from quintain.plan.preflight import preflight_cell
from quintain.run.train.micro_batching import select_samples
from quintain.testing import fake_batch


def list_options(group):
    return sorted(path.stem for path in (ROOT / "conf" / group).glob("*.yaml"))


def needs_files(name):
    """Whether the files are downloaded or the user's own."""
    node = yaml.safe_load((ROOT / "conf" / "dataset" / f"{name}.yaml").read_text())["dataset"]
    return "data_dir" in node or "???" in node.values()


DATASETS = [name for name in list_options("dataset") if not needs_files(name)]


@pytest.fixture(scope="module")
def hydra():
    with hydra_session():
        yield


@pytest.mark.parametrize("dataset", DATASETS)
@pytest.mark.parametrize("model", list_options("model"))
def test_every_model_trains_on_every_dataset(hydra, dataset, model):
    job = compose_job([f"dataset={dataset}", f"model={model}", "hardware=cpu"])
    preflight = preflight_cell(make_cell(job.config, job.choices, seed=1))
    assert (preflight.problems, preflight.skip) == ([], None)
    assert preflight.params == pytest.approx(50_000, rel=0.02)

    spec = instantiate(job.config["dataset"]).spec
    torch.manual_seed(1)
    whole = build_model(job.config, spec, preflight.width)
    assert count_parameters(whole)[0] == preflight.params
    batch = fake_batch(spec, batch_size=2)
    loss = whole.head.loss(whole(batch), batch)
    torch.autograd.backward(loss)
    assert loss.isfinite()
    assert [n for n, p in whole.named_parameters() if p.grad is None or not p.grad.any()] == []


@pytest.mark.parametrize("dataset", DATASETS)
def test_loss_of_a_batch_is_the_weighted_mean_of_its_parts(hydra, dataset):
    job = compose_job([f"dataset={dataset}", "model=lstm", "hardware=cpu"])
    spec = instantiate(job.config["dataset"]).spec
    torch.manual_seed(1)
    whole = build_model(job.config, spec, 8.0).eval()
    head, batch = whole.head, fake_batch(spec, batch_size=5)
    halves = [select_samples(batch, rows) for rows in (slice(0, 2), slice(2, None))]
    weights = [head.num_targets(half) for half in halves]
    losses = [head.loss(whole(half), half) for half in halves]
    together = sum(w * loss for w, loss in zip(weights, losses, strict=True)) / sum(weights)
    assert head.num_targets(batch) == sum(weights)
    assert head.loss(whole(batch), batch).item() == pytest.approx(together.item(), rel=1e-5)
