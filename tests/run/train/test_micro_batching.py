"""Where memory runs out, micro-batches give the gradients and scores of the whole batch."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from functools import partial

import pytest
import torch
from helpers.cell_factory import build_cell
from helpers.module_training import fit_module
from helpers.paths import TESTS

from quintain.compose.instantiate import locate
from quintain.contracts import Batch
from quintain.model import build_dataset, build_model
from quintain.run.budget import Budget
from quintain.run.log_filters import filter_logs
from quintain.run.session import run_cell
from quintain.run.train.micro_batching import MicroBatcher
from quintain.run.train.module import TrainingModule
from quintain.run.train.optimizer import OptimizerConfig
from quintain.testing.model_building import build_from_classes
from quintain.testing.specs import EXAMPLE_SPECS, fake_batch

DATASETS = {
    "classify": "spoken_words",
    "regress": "driving",
    "forecast": "sunspots",
    "next_token": "pydoc",
    "transcribe": None,
    "generate": "shape_captions",
}


@pytest.fixture(autouse=True)
def _filter_logs():
    with filter_logs():
        yield
    torch.use_deterministic_algorithms(False)
    torch.set_default_dtype(torch.float32)


def build_transcriber():
    """Return a model and a batch of random transcripts: no built-in dataset has any offline."""
    spec = next(s for s in EXAMPLE_SPECS if s.task == "transcribe")
    parts = ("stem.speech.Speech", "model.recurrent.Recurrent", "head.transcribe.Transcribe")
    stem, core, head = (locate(f"quintain.plugins.{part}") for part in parts)
    torch.manual_seed(0)
    torch.set_default_dtype(torch.float64)
    batch = fake_batch(spec, 7)
    model = build_from_classes(stem, partial(core, cell="lstm"), head, spec, width=8.0)
    return model, batch._replace(x=batch.x.double())


def build_double_model(dataset_name: str, model_name: str = "lstm"):
    """Return a dataset, a model in float64, and a batch of 7 of the train split."""
    cell = build_cell(dataset_name, model_name)
    dataset = build_dataset(cell.config)
    dataset.prepare_data()
    dataset.setup("fit")
    torch.manual_seed(0)
    torch.set_default_dtype(torch.float64)
    model = build_model(cell.config, dataset.spec, 8.0)
    batch = dataset.batch("train", torch.arange(7))
    tensors = [t.double() if t is not None and t.is_floating_point() else t for t in batch]
    return dataset, model, Batch(*tensors)


def take_gradients(model: torch.nn.Module) -> list[torch.Tensor]:
    gradients = [p.grad.clone() for p in model.parameters() if p.grad is not None]
    model.zero_grad()
    return gradients


@pytest.mark.parametrize(("task", "dataset_name"), DATASETS.items())
def test_gradients_of_micro_batches_are_those_of_the_whole_batch(task, dataset_name):
    if dataset_name:
        dataset, model, batch = build_double_model(dataset_name)
        assert dataset.spec.task == task
    else:
        model, batch = build_transcriber()
    micro_batcher = MicroBatcher()
    losses, gradients = [], []
    for count in (1, 2, 4, 7):
        micro_batcher.training = count
        losses.append(
            micro_batcher.compute_gradients(model, batch, torch.autograd.backward, model.zero_grad)
        )
        gradients.append(take_gradients(model))
    for loss, actual in zip(losses, gradients, strict=True):
        assert loss.item() == pytest.approx(losses[0].item(), rel=1e-12)
        for part, whole in zip(actual, gradients[0], strict=True):
            assert torch.allclose(part, whole, rtol=1e-9, atol=1e-14)


@pytest.mark.parametrize("dataset_name", ["spoken_words", "sunspots", "shape_captions"])
def test_scores_of_micro_batches_are_those_of_the_whole_split(dataset_name):
    dataset, model, batch = build_double_model(dataset_name)
    model.eval()
    scores = []
    for count in (1, 3):
        micro_batcher = MicroBatcher()
        micro_batcher.evaluation = count
        metrics = model.head.metrics(dataset)
        with torch.no_grad():
            sizes = []
            for prediction, part in micro_batcher.predict(model, batch):
                model.head.update(metrics, prediction, part)
                sizes.append(len(part.x))
        assert sizes == ([7] if count == 1 else [2, 2, 3])
        scores.append({k: float(m.compute()) for k, m in metrics.items()})
    assert scores[1] == pytest.approx(scores[0], rel=1e-6)


class LimitedMemory(TrainingModule):
    """Its memory suffices for `capacity` samples, in training and in evaluation."""

    capacity = 3

    def __init__(self, model, *arguments, **settings):
        super().__init__(model, *arguments, **settings)
        self.sizes: list[int] = []
        forward = model.core.forward

        def limited_forward(x, mask):
            self.sizes.append(len(x))
            if len(x) > self.capacity:
                torch.rand(3)  # random numbers drawn before the failure must not count
                raise RuntimeError(
                    "DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes."
                )
            return forward(x, mask)

        model.core.forward = limited_forward


def test_a_step_is_repeated_with_more_micro_batches():
    budget = Budget(steps=5, batch_size=10, validations=2)
    config = OptimizerConfig(lr=0.05, optimizer="SGD", clip_norm=None)
    module, _, _ = fit_module(budget, module_class=LimitedMemory, optimizer_config=config)
    assert module.sizes[:3] == [10, 5, 2] and max(module.sizes[3:8]) == 3
    assert (module.micro_batcher.training, module.steps_done) == (4, 5)
    assert module.micro_batcher.evaluation >= 4  # 13 samples of validation, three at a time
    assert [point.step for point in module.history.curve] == [2, 5]


def test_random_numbers_are_those_of_a_run_that_began_with_micro_batches():
    class BeganWithMicroBatches(LimitedMemory):
        capacity = 10**6

        def __init__(self, *arguments, **settings):
            super().__init__(*arguments, **settings)
            self.micro_batcher.training = 4

    budget = Budget(steps=3, batch_size=10, validations=1)
    limited, _, _ = fit_module(budget, module_class=LimitedMemory)
    began, _, _ = fit_module(budget, module_class=BeganWithMicroBatches)
    for a, b in zip(limited.model.parameters(), began.model.parameters(), strict=True):
        assert torch.equal(a, b)


def test_a_single_sample_that_does_not_fit_is_out_of_memory():
    class NoMemory(LimitedMemory):
        capacity = 0

    with pytest.raises(RuntimeError, match="can't allocate memory"):
        fit_module(Budget(steps=1, batch_size=6, validations=1), module_class=NoMemory)


def test_other_errors_are_raised_at_once():
    class Broken(LimitedMemory):
        def __init__(self, model, *arguments, **settings):
            super().__init__(model, *arguments, **settings)
            model.core.forward = self.fail

        def fail(self, x, mask):
            self.sizes.append(len(x))
            raise RuntimeError("mat1 and mat2 shapes cannot be multiplied")

    with pytest.raises(RuntimeError, match="mat1"):
        fit_module(Budget(steps=1, batch_size=6, validations=1), module_class=Broken)


CHILD = """
import json, resource
from pathlib import Path
import torch
from helpers.module_training import fit_module
from quintain.run.measure.allocator import keep_freed_memory
from quintain.run.budget import Budget
from quintain.run.train.optimizer import OptimizerConfig
from quintain.run.log_filters import filter_logs

def widen(step, x):
    # 128 KiB a sample, which the backward pass needs again
    return x + 0 * (x.repeat(1, 1, 8192) ** 2).sum(-1, keepdim=True)

def train():
    with filter_logs():
        module, _, _ = fit_module(
            Budget(steps=3, batch_size=4096, validations=1), transform=widen,
            optimizer_config=OptimizerConfig(lr=0.05, optimizer="SGD", clip_norm=None),
        )
    return module

torch.nn.Dropout.forward = lambda self, x: x  # its masks differ between micro-batches and a batch
keep_freed_memory()
size = int(Path("/proc/self/status").read_text().partition("VmSize:")[2].split()[0]) * 1024
resource.setrlimit(resource.RLIMIT_AS, (size + 420 * 2**20, resource.RLIM_INFINITY))
limited = train()
resource.setrlimit(resource.RLIMIT_AS, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
unlimited = train()
print(json.dumps([
    limited.micro_batcher.training, unlimited.micro_batcher.training,
    limited.history.curve[0].train_loss, unlimited.history.curve[0].train_loss, limited.steps_done,
]))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="needs a limit on the address space")
def test_a_process_with_little_memory_trains_with_micro_batches():
    result = subprocess.run(
        [sys.executable, "-c", CHILD],
        capture_output=True,
        text=True,
        cwd=TESTS,
        env=os.environ | {"PYTHONPATH": os.pathsep.join([str(TESTS), *sys.path])},
    )
    assert result.returncode == 0, result.stderr[-2000:]
    limited, unlimited, limited_loss, loss, steps = json.loads(result.stdout.splitlines()[-1])
    assert (unlimited, steps) == (1, 3) and limited in (2, 4)
    assert limited_loss == pytest.approx(loss, rel=1e-5)


def test_the_record_reports_micro_batches(monkeypatch):
    cell = build_cell("digits", "mlp", budget={"steps": 2, "validations": 1})
    initialise = MicroBatcher.__init__

    def begin_with_three(self):
        initialise(self)
        self.training = 3

    whole = run_cell(cell)
    monkeypatch.setattr(MicroBatcher, "__init__", begin_with_three)
    record = run_cell(cell)
    assert (whole.cost.pieces, record.cost.pieces) == (1, 3)
    check = record.trust["whole_batches"]
    assert check.ok is False and "split into 3 micro-batches in training" in check.note
    assert record.cost.samples == whole.cost.samples
    assert record.quality.curve[0].train_loss == pytest.approx(
        whole.quality.curve[0].train_loss, rel=1e-5
    )
