"""Out of memory: a batch in pieces gives the gradients of the whole."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from functools import partial
from pathlib import Path

import pytest
import torch
from cells_factory import cell
from test_task import fitted

from quintain.compose.bind import locate
from quintain.compose.build import build_dataset, build_model
from quintain.contracts import Batch
from quintain.run.budget import Budget
from quintain.run.execute import execute
from quintain.run.optimize import Recipe
from quintain.run.pieces import Pieces
from quintain.run.quiet import quiet
from quintain.run.task import Task
from quintain.testing.specs import EXAMPLE_SPECS as SPECS
from quintain.testing.specs import fake_batch
from quintain.testing.wiring import build

TASKS = {
    "classify": "spoken_words",
    "regress": "driving",
    "forecast": "sunspots",
    "next_token": "pydoc",
    "transcribe": None,
    "generate": "shape_captions",
}


@pytest.fixture(autouse=True)
def _quiet():
    with quiet():
        yield
    torch.use_deterministic_algorithms(False)
    torch.set_default_dtype(torch.float32)


def spoken():
    """The same for transcripts, of which no built-in dataset can do without files."""
    spec = next(s for s in SPECS if s.task == "transcribe")
    parts = ("stem.speech.Speech", "model.recurrent.Recurrent", "head.transcribe.Transcribe")
    stem, core, head = (locate(f"quintain.plugins.{part}") for part in parts)
    torch.manual_seed(0)
    torch.set_default_dtype(torch.float64)
    batch = fake_batch(spec, 7)
    net = build(stem, partial(core, cell="lstm"), head, spec, width=8.0)
    return net, batch._replace(x=batch.x.double())


def full(name: str, model_name: str = "lstm"):
    """Data, a model in float64, and a batch of 7 of the train split."""
    made = cell(name, model_name)
    data = build_dataset(made.config)
    data.prepare_data()
    data.setup("fit")
    torch.manual_seed(0)
    torch.set_default_dtype(torch.float64)
    net = build_model(made.config, data.spec, 8.0)
    batch = data.take("train", torch.arange(7))
    plain = [t.double() if t is not None and t.is_floating_point() else t for t in batch]
    return data, net, Batch(*plain)


def gradients(net: torch.nn.Module) -> list[torch.Tensor]:
    found = [p.grad.clone() for p in net.parameters() if p.grad is not None]
    net.zero_grad()
    return found


@pytest.mark.parametrize(("task", "name"), TASKS.items())
def test_gradients_in_pieces_are_those_of_the_whole_batch(task, name):
    if name:
        data, net, batch = full(name)
        assert data.spec.task == task
    else:
        net, batch = spoken()
    pieces = Pieces()
    losses, found = [], []
    for count in (1, 2, 4, 7):
        pieces.training = count
        losses.append(pieces.learn(net, batch, torch.autograd.backward, net.zero_grad))
        found.append(gradients(net))
    for loss, some in zip(losses, found, strict=True):
        assert loss.item() == pytest.approx(losses[0].item(), rel=1e-12)
        for ours, whole in zip(some, found[0], strict=True):
            assert torch.allclose(ours, whole, rtol=1e-9, atol=1e-14)


@pytest.mark.parametrize("name", ["spoken_words", "sunspots", "shape_captions"])
def test_scores_in_pieces_are_those_of_the_whole_split(name):
    data, net, batch = full(name)
    net.eval()
    scores = []
    for count in (1, 3):
        pieces = Pieces()
        pieces.evaluation = count
        metrics = net.head.metrics(data)
        with torch.no_grad():
            sizes = []
            for answer, piece in pieces.answers(net, batch):
                net.head.update(metrics, answer, piece)
                sizes.append(len(piece.x))
        assert sizes == ([7] if count == 1 else [2, 2, 3])
        scores.append({k: float(m.compute()) for k, m in metrics.items()})
    assert scores[1] == pytest.approx(scores[0], rel=1e-6)


class Tight(Task):
    """A model that takes no more than `room` samples in training, and in evaluation."""

    room = 3

    def __init__(self, net, *arguments, **settings):
        super().__init__(net, *arguments, **settings)
        self.tried: list[int] = []
        forward = net.core.forward

        def tight(x, mask):
            self.tried.append(len(x))
            if len(x) > self.room:
                torch.rand(3)  # what it draws before it fails must not count
                words = "DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes."
                raise RuntimeError(words)
            return forward(x, mask)

        net.core.forward = tight


def test_the_step_is_taken_again_in_more_pieces():
    budget = Budget(steps=5, batch_size=10, validations=2)
    recipe = Recipe(lr=0.05, optimizer="SGD", clip_norm=None)
    task, _, _ = fitted(budget, task_class=Tight, recipe=recipe)
    assert task.tried[:3] == [10, 5, 2] and max(task.tried[3:8]) == 3
    assert (task.pieces.training, task.steps_done) == (4, 5)
    assert task.pieces.evaluation >= 4  # 13 samples of validation, three at a time
    assert [point.step for point in task.trace.curve] == [2, 5]


def test_draws_are_those_of_a_run_that_began_in_pieces():
    class Begun(Tight):
        room = 10**6

        def __init__(self, *arguments, **settings):
            super().__init__(*arguments, **settings)
            self.pieces.training = 4

    budget = Budget(steps=3, batch_size=10, validations=1)
    tight, _, _ = fitted(budget, task_class=Tight)
    begun, _, _ = fitted(budget, task_class=Begun)
    for ours, theirs in zip(tight.model.parameters(), begun.model.parameters(), strict=True):
        assert torch.equal(ours, theirs)


def test_one_sample_that_does_not_fit_is_out_of_memory():
    class Full(Tight):
        room = 0

    with pytest.raises(RuntimeError, match="can't allocate memory"):
        fitted(Budget(steps=1, batch_size=6, validations=1), task_class=Full)


def test_other_errors_are_not_tried_again():
    class Broken(Tight):
        def __init__(self, net, *arguments, **settings):
            super().__init__(net, *arguments, **settings)
            net.core.forward = self.broken

        def broken(self, x, mask):
            self.tried.append(len(x))
            raise RuntimeError("mat1 and mat2 shapes cannot be multiplied")

    with pytest.raises(RuntimeError, match="mat1"):
        fitted(Budget(steps=1, batch_size=6, validations=1), task_class=Broken)


CHILD = """
import json, resource
from pathlib import Path
import torch
from test_task import fitted
from quintain.run.allocator import keep_freed_memory
from quintain.run.budget import Budget
from quintain.run.optimize import Recipe
from quintain.run.quiet import quiet

def wide(step, x):
    # 128 KiB a sample, which the backward pass needs again
    return x + 0 * (x.repeat(1, 1, 8192) ** 2).sum(-1, keepdim=True)

def train():
    with quiet():
        task, _, _ = fitted(
            Budget(steps=3, batch_size=4096, validations=1), before=wide,
            recipe=Recipe(lr=0.05, optimizer="SGD", clip_norm=None),
        )
    return task

torch.nn.Dropout.forward = lambda self, x: x  # draws differ between pieces and the whole
keep_freed_memory()
size = int(Path("/proc/self/status").read_text().partition("VmSize:")[2].split()[0]) * 1024
resource.setrlimit(resource.RLIMIT_AS, (size + 420 * 2**20, resource.RLIM_INFINITY))
tight = train()
resource.setrlimit(resource.RLIMIT_AS, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
whole = train()
print(json.dumps([
    tight.pieces.training, whole.pieces.training, tight.trace.curve[0].train_loss,
    whole.trace.curve[0].train_loss, tight.steps_done,
]))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="needs a limit on the address space")
def test_memory_really_runs_out():
    folder = Path(__file__).parent
    done = subprocess.run(
        [sys.executable, "-c", CHILD],
        capture_output=True,
        text=True,
        cwd=folder,
        env=os.environ | {"PYTHONPATH": os.pathsep.join([str(folder), *sys.path])},
    )
    assert done.returncode == 0, done.stderr[-2000:]
    tight, whole, tight_loss, whole_loss, steps = json.loads(done.stdout.splitlines()[-1])
    assert (whole, steps) == (1, 3) and tight in (2, 4)
    assert tight_loss == pytest.approx(whole_loss, rel=1e-5)


def test_the_record_says_so(monkeypatch):
    made = cell("digits", "mlp", budget={"steps": 2, "validations": 1})
    begin = Pieces.__init__

    def cut(self):
        begin(self)
        self.training = 3

    whole = execute(made)
    monkeypatch.setattr(Pieces, "__init__", cut)
    record = execute(made)
    assert (whole.cost.pieces, record.cost.pieces) == (1, 3)
    label = record.trust["whole_batches"]
    assert label.ok is False and "taken in 3 pieces in training" in label.note
    assert record.cost.samples == whole.cost.samples
    assert record.quality.curve[0].train_loss == pytest.approx(
        whole.quality.curve[0].train_loss, rel=1e-5
    )
