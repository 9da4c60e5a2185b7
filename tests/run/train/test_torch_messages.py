"""Messages of torch in words that name what to change, and the time that torch.compile takes."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch
from helpers.cell_factory import restore_threads
from helpers.failing_cores import (
    CompiledCore,
    LinearCore,
    NormalisesBatch,
    UnusedParameter,
    replace_core,
)
from helpers.rank_jobs import build_rank_cell
from torch import nn

from quintain.contracts import Batch
from quintain.run.distributed.context import SINGLE_PROCESS
from quintain.run.runner import run_to_record
from quintain.run.session import run_cell
from quintain.run.train.torch_messages import check_parameters_used, translate_training_error
from quintain.testing.model_building import build_from_classes
from quintain.testing.model_checks import MODEL_CHECKS
from quintain.testing.specs import EXAMPLE_SPECS, fake_batch

CHECKS = dict(MODEL_CHECKS)
SPEC = next(spec for spec in EXAMPLE_SPECS if spec.name == "example_series")
RANK_1 = SimpleNamespace(is_single=False, rank=1, world_size=2)


@pytest.fixture(autouse=True)
def _threads():
    with restore_threads():
        yield


def build(core):
    from quintain.plugins.head.forecast import Forecast
    from quintain.plugins.stem.series import Series

    torch.manual_seed(0)
    return build_from_classes(Series, core, Forecast, SPEC, width=6.0)


def test_a_parameter_without_a_gradient_is_named_with_its_rank_and_step():
    model, batch = build(UnusedParameter), fake_batch(SPEC)
    torch.autograd.backward(model.head.loss(model(batch), batch))
    with pytest.raises(ValueError) as caught:
        check_parameters_used(model, RANK_1, 3)
    assert str(caught.value).startswith(
        "no gradient reaches core.spare.weight, core.spare.bias on rank 1 at step 3:"
    )
    frozen = build(LinearCore).requires_grad_(False)
    check_parameters_used(frozen, RANK_1, 3)


@pytest.mark.parametrize(
    ("dist", "who", "size"), [(SINGLE_PROCESS, "the batch", 2), (RANK_1, "rank 1", 4)]
)
def test_a_rank_with_one_sample_is_named(dist, who, size):
    model, batch = (
        nn.ModuleDict({"norm": nn.BatchNorm1d(3)}),
        Batch(torch.zeros(1, 3), torch.zeros(1)),
    )
    with pytest.raises(ValueError) as caught:
        model["norm"](batch.x)
    message = str(translate_training_error(caught.value, model, batch, dist))
    assert message == (
        f"{who} has one sample, but norm normalises over the samples of a batch: set"
        f" budget.batch_size to {size} or more, or use LayerNorm or GroupNorm"
    )


def test_a_loss_without_parameters_says_so(capfd):
    model, batch = build(LinearCore).requires_grad_(False), fake_batch(SPEC)
    with pytest.raises(RuntimeError) as caught:
        torch.autograd.backward(model.head.loss(model(batch), batch))
    message = str(translate_training_error(caught.value, model, batch, SINGLE_PROCESS))
    assert message.startswith("the loss depends on no trainable parameter")


def test_other_errors_stay_as_they_are():
    batch = Batch(torch.zeros(1, 1), torch.zeros(1))
    error = ValueError("x")
    assert translate_training_error(error, nn.Linear(1, 1), batch, SINGLE_PROCESS) is None


def test_a_run_with_a_batch_of_one_names_the_layer_to_change(capfd):
    cell = replace_core(build_rank_cell("example_image", "lstm"), NormalisesBatch)
    cell.config["budget"]["batch_size"] = 1
    record = run_to_record(cell)
    assert record.status == "failed"
    assert "the batch has one sample, but core.norm normalises" in record.error.message


def test_the_check_of_two_processes_blames_only_what_is_there():
    with pytest.raises(AssertionError, match=r"no gradient reaches core.spare.weight, core.spare"):
        CHECKS["two_processes"](lambda: build(UnusedParameter), SPEC)
    with pytest.raises(AssertionError, match=r"core.norm \(BatchNorm1d\) normalises over"):
        CHECKS["two_processes"](lambda: build(NormalisesBatch), SPEC)


def test_compiling_is_not_training():
    """Compiling takes a second or more, of which a limit of training counts nothing."""
    cell = replace_core(build_rank_cell("example_image", "lstm"), CompiledCore)
    cell.config["budget"] |= {"steps": 10**5, "seconds": 0.3, "validations": 1}
    record = run_cell(cell)
    seconds = record.cost.seconds
    assert record.cost.meters["compile_seconds"] >= 1.0
    assert seconds.setup >= 1.0
    assert record.cost.steps > 1
    assert record.step_times_ms[0] < 1000
    assert sum(record.step_times_ms) / 1000 <= seconds.training + 0.1


def test_the_contract_is_checked_without_compiling():
    from quintain.testing import model_checks

    def refuse(graph, inputs):
        raise AssertionError("compiled")

    class Refuses(LinearCore):
        def __init__(self, inp, *, width):
            super().__init__(inp, width=width)
            self.compiled = torch.compile(nn.Tanh(), backend=refuse)

        def change(self, x):
            return self.compiled(x)

    for name, check in model_checks.MODEL_CHECKS:
        if name in ("shapes", "gradients", "saving", "float64", "two_processes"):
            check(lambda: build(Refuses), SPEC)
