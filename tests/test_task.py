"""The harness changes nothing: a Lightning run gives the weights of a bare PyTorch loop."""

from __future__ import annotations

import math
from types import SimpleNamespace

import pytest
import torch
from cells_factory import Points, loaded
from torch import nn

from quintain.compose.bind import locate
from quintain.compose.build import Model
from quintain.contracts import Features, Score
from quintain.run import clocks
from quintain.run.budget import Budget
from quintain.run.clocks import Clocks
from quintain.run.execute import make_trainer
from quintain.run.feed import EvaluationFeed, Order, TrainFeed
from quintain.run.optimize import Recipe
from quintain.run.quiet import quiet
from quintain.run.task import NonFiniteLoss, Point, Task, better

CPU = {"accelerator": "cpu", "devices": 1, "precision": "32-true"}


@pytest.fixture(autouse=True)
def _quiet():
    with quiet():
        yield
    torch.use_deterministic_algorithms(False)


class Core(nn.Module):
    """Two layers and dropout, so that the random stream counts too; `before` may do harm."""

    reads = "sequence"

    def __init__(self, before=lambda step, x: x):
        super().__init__()
        self.net = nn.Sequential(nn.Linear(2, 5), nn.Tanh(), nn.Dropout(0.2), nn.Linear(5, 4))
        self.out = Features(dim=4, grid=(1,))
        self.before, self.calls = before, 0

    def forward(self, x, mask):
        if self.training:
            self.calls += 1
            x = self.before(self.calls, x)
        return self.net(x), mask


def model(data, before=lambda step, x: x):
    torch.manual_seed(5)
    stem = locate("quintain.plugins.stem.series.Series")(data.spec, reads="sequence")
    core = Core(before)
    head = locate("quintain.plugins.head.classify.Classify")(core.out, data.spec)
    return Model(stem, core, head)


def fitted(
    budget: Budget,
    *,
    data: Points | None = None,
    recipe: Recipe | None = None,
    before=lambda step, x: x,
    task_class: type[Task] = Task,
    chunk: int = 3,
):
    data = data or loaded()
    net, phases = model(data, before), Clocks()
    reported: list[int] = []
    task = task_class(
        net,
        recipe or Recipe(lr=0.05),
        data,
        steps=budget.steps,
        clocks=phases,
        seconds=budget.seconds,
        progress=reported.append,
    )
    order = Order(data.size("train"), budget.batch_size, seed=3)
    feed = TrainFeed(data, order, steps=budget.steps, chunk=chunk, validations=budget.validations)
    trainer = make_trainer(CPU, feed, budget)
    torch.manual_seed(9)
    trainer.fit(task, train_dataloaders=feed, val_dataloaders=EvaluationFeed(data, "val"))
    task.reported = reported
    task.clocks = phases
    return task, trainer, data


@pytest.mark.parametrize("clip", [None, 0.1])
@pytest.mark.parametrize("optimizer", ["AdamW", "SGD", "RMSprop"])
def test_weights_equal_those_of_a_bare_loop_bit_for_bit(optimizer, clip):
    recipe = Recipe(lr=0.05, optimizer=optimizer, clip_norm=clip)
    budget = Budget(steps=11, batch_size=8, validations=3)
    task, _, data = fitted(budget, recipe=recipe)
    bare = model(data)
    stepper = recipe.build(bare)
    order = Order(data.size("train"), 8, seed=3)
    torch.manual_seed(9)
    losses = []
    for step in range(11):
        for group in stepper.param_groups:
            group["lr"] = recipe.rate(step, 11)
        batch = data.take("train", order(step))
        loss = bare.head.loss(bare(batch), batch)
        stepper.zero_grad()
        loss.backward()
        if clip is not None:
            nn.utils.clip_grad_norm_(bare.parameters(), clip)
        stepper.step()
        losses.append(loss.detach())
    for (name, ours), theirs in zip(
        task.model.state_dict().items(), bare.state_dict().values(), strict=True
    ):
        assert torch.equal(ours, theirs), name
    ends = [3, 7, 11]
    assert [p.step for p in task.trace.curve] == ends
    for point, first in zip(task.trace.curve, [0, *ends], strict=False):
        assert point.train_loss == torch.stack(losses[first : point.step]).mean().item()


def test_validation_is_exact_and_leaves_training_alone():
    task, _, data = fitted(Budget(steps=6, batch_size=8, validations=6))
    assert data.taken["val"] == [*range(13)] * 6
    assert data.taken["test"] == []
    with torch.no_grad():
        batch = data.take("val", torch.arange(13))
        guesses = task.model.eval()(batch).argmax(1)
    right = (guesses == batch.y).sum().item() / 13
    assert task.trace.curve[-1].scores["accuracy"] == pytest.approx(right, abs=1e-7)
    seldom, _, _ = fitted(Budget(steps=6, batch_size=8, validations=1))
    for ours, theirs in zip(task.model.parameters(), seldom.model.parameters(), strict=True):
        assert torch.equal(ours, theirs)


@pytest.mark.parametrize(
    ("steps", "validations", "expected"),
    [
        (7, 3, [2, 4, 7]),
        (10, 4, [2, 5, 7, 10]),
        (3, 10, [1, 2, 3]),
        (1, 1, [1]),
        (1, 5, [1]),
        (25, 1, [25]),
    ],
)
def test_the_curve_has_as_many_points_as_asked_and_ends_at_the_end(steps, validations, expected):
    task, _, _ = fitted(Budget(steps=steps, batch_size=4, validations=validations))
    assert [p.step for p in task.trace.curve] == expected
    assert task.steps_done == steps == len(task.trace.step_ms)
    assert task.reported[-1] == steps
    seconds = [p.seconds for p in task.trace.curve]
    assert seconds == sorted(seconds)


class Dreamer(Task):
    """Says which validation was the best."""

    def _read_metrics(self):
        good = len(self.trace.curve) == 1
        if good:
            self.kept = {k: v.clone() for k, v in self.model.state_dict().items()}
        return {"accuracy": 0.9 if good else 0.1, "macro_f1": 0.0}


def test_the_best_weights_on_validation_are_the_ones_tested():
    task, trainer, data = fitted(Budget(steps=8, batch_size=8, validations=4), task_class=Dreamer)
    assert task.trace.best.step == 4
    assert not torch.equal(task.kept["core.net.0.weight"], task.model.core.net[0].weight)
    task.load_best()
    trainer.test(task, EvaluationFeed(data, "test"), verbose=False)
    for name, weight in task.model.state_dict().items():
        assert torch.equal(weight, task.kept[name])
    assert data.taken["test"] == list(range(11))
    assert task.trace.test == {"accuracy": 0.1, "macro_f1": 0.0}


def test_the_first_of_equals_is_kept_and_nan_never_wins():
    up, down = Score(name="s", direction="max", unit=""), Score(name="s", direction="min", unit="")
    point = lambda value: Point(1, 0.0, 0.0, {"s": value})  # noqa: E731
    assert better(point(2.0), point(1.0), up) and not better(point(2.0), point(1.0), down)
    assert not better(point(1.0), point(1.0), up) and not better(point(1.0), point(1.0), down)
    for score in (up, down):
        assert better(point(1.0), point(math.nan), score)
        assert not better(point(math.nan), point(1.0), score)
        assert not better(point(math.nan), point(math.nan), score)


@pytest.fixture
def passes(monkeypatch):
    """Lets so many seconds go by on a run's clocks, which else stand still."""
    now = [1000.0]
    monkeypatch.setattr(clocks, "time", SimpleNamespace(perf_counter=lambda: now[0]))

    def after(seconds: float) -> None:
        now[0] += seconds

    return after


def test_seconds_stop_training_and_count_nothing_else(passes):
    def slow(step, x):
        passes(2.0)
        return x

    class SlowValidation(Task):
        def on_validation_epoch_start(self):
            super().on_validation_epoch_start()
            passes(300.0)

    budget = Budget(steps=400, batch_size=4, validations=100, seconds=39.0)
    task, _, _ = fitted(budget, before=slow, task_class=SlowValidation, chunk=50)
    assert task.steps_done == 20 and task.clocks.read("training") == 40
    assert task.clocks.read("validation") == 300 * len(task.trace.curve)
    assert task.trace.curve[-1].step == task.steps_done
    assert len(task.trace.step_ms) == task.steps_done


def test_time_is_up_in_the_middle_of_a_chunk(passes):
    def slow(step, x):
        passes(2.0)
        return x

    budget = Budget(steps=100, batch_size=4, validations=1, seconds=9.0)
    task, _, _ = fitted(budget, before=slow, chunk=100)
    assert task.steps_done == 5
    assert task.trace.curve[-1].step == task.steps_done


def test_setting_lightning_up_is_not_training(passes):
    class SlowStart(Task):
        def on_fit_start(self):
            passes(500.0)

    task, _, _ = fitted(Budget(steps=2, batch_size=4, validations=1), task_class=SlowStart)
    assert task.clocks.read("setup") == 500 and task.clocks.read("training") == 0


@pytest.mark.parametrize("bad", [1, 2, 5, 7])
def test_a_loss_that_is_no_number_names_its_step(bad):
    def spoil(step, x):
        return x * math.nan if step == bad else x

    with pytest.raises(NonFiniteLoss, match=rf"training loss is nan at step {bad}; try a lower"):
        fitted(Budget(steps=7, batch_size=4, validations=1), before=spoil)


class Root(torch.autograd.Function):
    """A loss that is fine with a gradient that is not."""

    @staticmethod
    def forward(ctx, x):
        return x.clone()

    @staticmethod
    def backward(ctx, gradient):
        return gradient * math.nan


@pytest.mark.parametrize("bad", [2, 4])
def test_a_gradient_that_is_no_number_is_found_at_its_own_step(bad):
    class Net(Task):
        def _step(self, batch, optimizer):
            loss = self.model.head.loss
            spoilt = self.steps_done + 1 == bad
            self.model.head.loss = lambda p, b: Root.apply(loss(p, b)) if spoilt else loss(p, b)
            try:
                return super()._step(batch, optimizer)
            finally:
                self.model.head.loss = loss

    with pytest.raises(NonFiniteLoss, match=f"norm of the gradient is nan at step {bad}"):
        fitted(Budget(steps=4, batch_size=4, validations=1), task_class=Net)


def test_a_gpu_shares_a_chunks_time_evenly():
    task, _, _ = fitted(Budget(steps=6, batch_size=4, validations=1), task_class=OnGpu, chunk=3)
    first, second = task.trace.step_ms[:3], task.trace.step_ms[3:]
    assert len(set(first)) == len(set(second)) == 1
    assert first[0] != second[0]


class OnGpu(Task):
    def __init__(self, *arguments, **settings):
        super().__init__(*arguments, **settings, each_step=False)
