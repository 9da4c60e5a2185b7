"""Lightning changes nothing: a run gives the weights of a bare PyTorch loop."""

from __future__ import annotations

import inspect
import math
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from helpers.module_training import build_small_model, fit_module
from torch import nn

import quintain
from quintain.contracts import Score
from quintain.errors import NonFiniteLoss
from quintain.run import clocks
from quintain.run.budget import Budget
from quintain.run.train.history import ValidationPoint, is_better
from quintain.run.train.loaders import BatchOrder, EvalLoader
from quintain.run.train.module import TrainingModule
from quintain.run.train.optimizer import OptimizerConfig

pytestmark = pytest.mark.usefixtures("quiet_logs")


@pytest.mark.parametrize("clip_norm", [None, 0.1])
@pytest.mark.parametrize("optimizer", ["AdamW", "SGD", "RMSprop"])
def test_weights_equal_those_of_a_bare_loop_bit_for_bit(optimizer, clip_norm):
    config = OptimizerConfig(lr=0.05, optimizer=optimizer, clip_norm=clip_norm)
    budget = Budget(steps=11, batch_size=8, validations=3)
    module, _, data = fit_module(budget, optimizer_config=config)
    model = build_small_model(data)
    torch_optimizer = config.build(model)
    order = BatchOrder(data.size("train"), 8, seed=3)
    torch.manual_seed(9)
    losses = []
    for step in range(11):
        for group in torch_optimizer.param_groups:
            group["lr"] = config.learning_rate(step, 11)
        batch = data.batch("train", order(step))
        loss = model.head.loss(model(batch), batch)
        torch_optimizer.zero_grad()
        loss.backward()
        if clip_norm is not None:
            nn.utils.clip_grad_norm_(model.parameters(), clip_norm)
        torch_optimizer.step()
        losses.append(loss.detach())
    for (name, actual), expected in zip(
        module.model.state_dict().items(), model.state_dict().values(), strict=True
    ):
        assert torch.equal(actual, expected), name
    ends = [3, 7, 11]
    assert [p.step for p in module.history.curve] == ends
    for point, first in zip(module.history.curve, [0, *ends], strict=False):
        assert point.train_loss == torch.stack(losses[first : point.step]).mean().item()


def test_a_batch_passes_at_most_six_functions_of_quintain_before_the_models_forward():
    """From `training_step` on; each costs time in every step, and a reader attention."""
    package, functions = Path(quintain.__file__).parent, []

    def observe(step, x):
        if not functions:
            frames = [f for f in inspect.stack() if Path(f.filename).is_relative_to(package)]
            names = [frame.function for frame in frames]
            forward = names.index("forward")
            functions.extend(names[forward + 1 : names.index("training_step") + 1])
        return x

    fit_module(Budget(steps=1, batch_size=4, validations=1), transform=observe)
    assert functions[-1] == "training_step" and len(functions) <= 6, functions


def test_scores_and_loss_are_logged_to_lightning():
    module, trainer, data = fit_module(Budget(steps=4, batch_size=8, validations=2))
    last = module.history.curve[-1]
    logged = trainer.callback_metrics
    assert logged["val/accuracy"].item() == pytest.approx(last.scores["accuracy"])
    assert logged["train/mean_loss"].item() == pytest.approx(last.train_loss)
    module.load_best_weights()
    trainer.test(module, EvalLoader(data, "test"), verbose=False)
    expected = module.history.test["accuracy"]
    assert trainer.callback_metrics["test/accuracy"].item() == pytest.approx(expected)


def test_the_cells_configuration_is_a_hyperparameter():
    class Configured(TrainingModule):
        def __init__(self, *arguments, **settings):
            super().__init__(*arguments, **settings, hyperparameters={"model": {"width": 2.0}})

    budget = Budget(steps=1, batch_size=4, validations=1)
    module, _, _ = fit_module(budget, module_class=Configured)
    assert module.hparams == {"model": {"width": 2.0}}


def test_validation_reads_each_sample_once_and_does_not_change_training():
    module, _, data = fit_module(Budget(steps=6, batch_size=8, validations=6))
    assert data.indices_read["val"] == [*range(13)] * 6
    assert data.indices_read["test"] == []
    with torch.no_grad():
        batch = data.batch("val", torch.arange(13))
        predicted = module.model.eval()(batch).argmax(1)
    accuracy = (predicted == batch.y).sum().item() / 13
    assert module.history.curve[-1].scores["accuracy"] == pytest.approx(accuracy, abs=1e-7)
    single, _, _ = fit_module(Budget(steps=6, batch_size=8, validations=1))
    for a, b in zip(module.model.parameters(), single.model.parameters(), strict=True):
        assert torch.equal(a, b)


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
def test_the_curve_has_the_requested_points_and_ends_at_the_last_step(steps, validations, expected):
    module, _, _ = fit_module(Budget(steps=steps, batch_size=4, validations=validations))
    assert [p.step for p in module.history.curve] == expected
    assert module.steps_done == steps == len(module.history.step_ms)
    assert module.reported[-1] == steps
    seconds = [p.seconds for p in module.history.curve]
    assert seconds == sorted(seconds)


class BestAtSecondValidation(TrainingModule):
    """Replaces the scores, so that the second validation is the best."""

    def _compute_scores(self, split):
        super()._compute_scores(split)  # counts the samples
        is_best = len(self.history.curve) == 1
        if is_best:
            self.expected_weights = {k: v.clone() for k, v in self.model.state_dict().items()}
        return {"accuracy": 0.9 if is_best else 0.1, "macro_f1": 0.0}


def test_the_best_weights_on_validation_are_tested():
    budget = Budget(steps=8, batch_size=8, validations=4)
    module, trainer, data = fit_module(budget, module_class=BestAtSecondValidation)
    assert module.history.best.step == 4
    expected, name = module.expected_weights, "core.net.0.weight"
    assert not torch.equal(expected[name], module.model.state_dict()[name])
    module.load_best_weights()
    trainer.test(module, EvalLoader(data, "test"), verbose=False)
    for name, weight in module.model.state_dict().items():
        assert torch.equal(weight, expected[name])
    assert data.indices_read["test"] == list(range(11))
    assert module.history.test == {"accuracy": 0.1, "macro_f1": 0.0}


def test_the_first_of_equal_validations_is_best_and_nan_never_is():
    up, down = Score(name="s", direction="max", unit=""), Score(name="s", direction="min", unit="")
    point = lambda value: ValidationPoint(1, 0.0, 0.0, {"s": value})  # noqa: E731
    up, down = (up,), (down,)
    assert is_better(point(2.0), point(1.0), up) and not is_better(point(2.0), point(1.0), down)
    assert not is_better(point(1.0), point(1.0), up)
    assert not is_better(point(1.0), point(1.0), down)
    for score in (up, down):
        assert is_better(point(1.0), point(math.nan), score)
        assert not is_better(point(math.nan), point(1.0), score)
        assert not is_better(point(math.nan), point(math.nan), score)
        assert is_better(point(1.0), None, score) and not is_better(point(math.nan), None, score)
        assert not any(is_better(point(x), point(1.0), score) for x in (math.inf, -math.inf))


def test_the_second_score_decides_between_equal_main_scores():
    scores = (
        Score(name="bleu", direction="max", unit=""),
        Score(name="wer", direction="min", unit=""),
        Score(name="other", direction="max", unit=""),
    )

    def point(bleu, wer, other=0.0):
        return ValidationPoint(1, 0.0, 0.0, {"bleu": bleu, "wer": wer, "other": other})

    assert is_better(point(0.0, 0.1), point(0.0, 0.2), scores)
    assert not is_better(point(0.0, 0.2), point(0.0, 0.1), scores)
    assert is_better(point(0.1, 0.9), point(0.0, 0.1), scores)
    assert not is_better(point(0.0, 0.1, 9.0), point(0.0, 0.1), scores)
    assert is_better(point(0.0, 0.1), point(0.0, math.nan), scores)
    assert not is_better(point(0.0, math.nan), point(0.0, 0.1), scores)


@pytest.fixture
def advance_clock(monkeypatch):
    """Advances a run's clocks by some seconds; otherwise they stand still."""
    now = [1000.0]
    monkeypatch.setattr(clocks, "time", SimpleNamespace(perf_counter=lambda: now[0]))

    def advance(seconds: float) -> None:
        now[0] += seconds

    return advance


def test_a_time_limit_stops_training_and_counts_nothing_else(advance_clock):
    def two_seconds(step, x):
        advance_clock(2.0)
        return x

    class SlowValidation(TrainingModule):
        def on_validation_epoch_start(self):
            super().on_validation_epoch_start()
            advance_clock(300.0)

    budget = Budget(steps=400, batch_size=4, validations=100, seconds=39.0)
    module, _, _ = fit_module(budget, transform=two_seconds, module_class=SlowValidation, chunk=50)
    history = module.history
    assert module.steps_done == 20 and module.clocks.read("training") == 40
    assert module.clocks.read("validation") == 300 * len(history.curve)
    assert history.curve[-1].step == module.steps_done == len(history.step_ms)


def test_a_time_limit_ends_a_chunk_in_the_middle(advance_clock):
    def two_seconds(step, x):
        advance_clock(2.0)
        return x

    budget = Budget(steps=100, batch_size=4, validations=1, seconds=9.0)
    module, _, _ = fit_module(budget, transform=two_seconds, chunk=100)
    assert module.steps_done == 5
    assert module.history.curve[-1].step == module.steps_done


def test_setting_up_lightning_is_not_training(advance_clock):
    class SlowStart(TrainingModule):
        def on_fit_start(self):
            advance_clock(500.0)

    budget = Budget(steps=2, batch_size=4, validations=1)
    module, _, _ = fit_module(budget, module_class=SlowStart)
    assert module.clocks.read("setup") == 500 and module.clocks.read("training") == 0


@pytest.mark.parametrize("bad", [1, 2, 5, 7])
def test_a_nan_loss_names_its_step(bad):
    def spoil(step, x):
        return x * math.nan if step == bad else x

    with pytest.raises(NonFiniteLoss, match=rf"training loss is nan at step {bad}; try a lower"):
        fit_module(Budget(steps=7, batch_size=4, validations=1), transform=spoil)


class NanGradient(torch.autograd.Function):
    """A finite loss whose gradient is NaN."""

    @staticmethod
    def forward(ctx, x):
        return x.clone()

    @staticmethod
    def backward(ctx, gradient):
        return gradient * math.nan


@pytest.mark.parametrize("bad", [2, 4])
def test_a_nan_gradient_is_found_at_its_own_step(bad):
    class SpoiltLoss(TrainingModule):
        def _take_step(self, *arguments):
            loss, is_bad = self.model.head.loss, self.steps_done + 1 == bad
            self.model.head.loss = lambda p, b: (
                NanGradient.apply(loss(p, b)) if is_bad else loss(p, b)
            )
            try:
                return super()._take_step(*arguments)
            finally:
                self.model.head.loss = loss

    with pytest.raises(NonFiniteLoss, match=f"norm of the gradient is nan at step {bad}"):
        fit_module(Budget(steps=4, batch_size=4, validations=1), module_class=SpoiltLoss)


def test_on_a_gpu_the_steps_of_a_chunk_share_its_time_evenly():
    budget = Budget(steps=6, batch_size=4, validations=1)
    module, _, _ = fit_module(budget, module_class=AsOnGpu, chunk=3)
    first, second = module.history.step_ms[:3], module.history.step_ms[3:]
    assert len(set(first)) == len(set(second)) == 1
    assert first[0] != second[0]


class AsOnGpu(TrainingModule):
    def __init__(self, *arguments, **settings):
        super().__init__(*arguments, **settings, times_each_step=False)
