"""Predictions that are NaN or infinite, and evaluations and trainings that are cut short."""

from __future__ import annotations

import json
import math

import pytest
import torch
from helpers.cell_factory import build_cell, restore_threads
from helpers.failing_cores import LinearCore, NanInEvaluation, StopsIteration, replace_core
from helpers.rank_jobs import build_rank_cell

from quintain.contracts import Batch
from quintain.run.runner import run_to_record
from quintain.run.session import run_cell
from quintain.run.train.evaluation import find_not_finite
from quintain.testing.specs import EXAMPLE_SPECS, fake_batch

EXAMPLES = {
    "classify": "example_image",
    "regress": "example_regress",
    "forecast": "example_series",
    "next_token": "example_ragged_text",
    "transcribe": "example_transcripts",
    "generate": "example_translation",
}
SAMPLES = (20, 5, 4)  # one batch of validation and one of test
VALIDATIONS = 2


@pytest.fixture(autouse=True)
def _threads():
    with restore_threads():
        yield


def build_task_cell(task, core=NanInEvaluation, **settings):
    cell = build_rank_cell(EXAMPLES[task], "lstm", samples=SAMPLES)
    return replace_core(cell, core, **settings)


@pytest.mark.parametrize("task", EXAMPLES)
def test_predictions_of_test_that_are_nan_fail_the_run(task, capfd):
    if task == "generate":  # the decoder is called for each symbol
        cell = build_task_cell(task, first=1)
        cell.config["budget"]["validations"] = 1
        message = "no validation has a finite score: at the last one 2 of 5 predictions on val"
    else:
        cell = build_task_cell(task, first=VALIDATIONS + 1)
        message = "2 of 4 predictions on test are not finite (NaN or infinite), so the run has no"
    record = run_to_record(cell)
    assert (record.status, record.error.kind) == ("failed", "nan"), record.error
    assert message in record.error.message
    assert record.quality is None


@pytest.mark.parametrize("task", [task for task in EXAMPLES if task != "generate"])
def test_a_validation_with_nan_is_never_the_best(task):
    """The first of two validations has NaN, and the second is the best, whatever its score."""
    record = run_cell(build_task_cell(task, first=1, last=1))
    main = record.quality.main
    first, second = (point.val[main] for point in record.quality.curve)
    assert first is None and math.isfinite(second) and record.quality.best_step == 4
    assert record.nonfinite[f"quality.curve.0.val.{main}"] == "nan"
    assert record.quality.scores[main].val == second
    assert math.isfinite(record.quality.scores[main].test)


@pytest.mark.parametrize("beam", [1, 3])
@pytest.mark.parametrize("task", ["generate", "transcribe"])
def test_decoded_symbols_of_a_sample_with_nan_are_marked(task, beam):
    from quintain.run.session import build_dataset
    from quintain.run.training import build_model

    cell = build_task_cell(task, first=1, last=1)
    cell.config["head"]["beam"] = beam
    dataset = build_dataset(cell.config)
    torch.manual_seed(0)
    model = build_model(cell.config, dataset.spec, 6.0).eval()
    prediction = model.predict(fake_batch(dataset.spec, 5))
    assert ((prediction == -2).all(1)).tolist() == [True, True, False, False, False]
    assert ((prediction == -2).any(1)).tolist() == [True, True, False, False, False]


def test_minus_infinity_is_a_probability_of_zero_but_no_value():
    specs = {spec.task: spec for spec in EXAMPLE_SPECS}
    values = torch.tensor([[0.0, 1.0], [-math.inf, 0.0], [math.inf, 0.0], [math.nan, 0.0]])
    batch = Batch(torch.zeros(4, 2), torch.zeros(4))
    for task, expected in {
        "classify": [False, False, True, True], "regress": [False, True, True, True],
    }.items():  # fmt: skip
        assert find_not_finite(values, batch, specs[task]).tolist() == expected


def test_nan_in_the_padding_of_a_prediction_does_not_count():
    spec = next(spec for spec in EXAMPLE_SPECS if spec.name == "example_ragged_text")
    batch = Batch(torch.zeros(2, 3), torch.zeros(2, 3), torch.tensor([3, 1]))
    logits = torch.zeros(2, 3, 5)
    logits[:, 2] = math.nan
    assert find_not_finite(logits, batch, spec).tolist() == [True, False]


@pytest.mark.parametrize("target", [1e38, 3e38])
def test_a_target_of_test_that_is_too_large_gives_no_infinite_score(target, capfd, monkeypatch):
    from helpers import rank_jobs

    load = rank_jobs.Example.load

    def load_with_outlier(self):
        splits = load(self)
        splits["test"].y[0, 0] = target
        return splits

    monkeypatch.setattr(rank_jobs.Example, "load", load_with_outlier)
    for task in ("regress", "forecast"):
        cell = build_task_cell(task, LinearCore)
        cell.config["hardware"]["precision"] = "32-true"
        record = run_to_record(cell)
        assert "inf" not in record.nonfinite.values()
        if record.status == "failed":
            assert record.error.kind == "nan"
            assert "on test" in record.error.message and "is inf" in record.error.message
        else:
            assert record.main_test_score() > 1e36


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"training": 2}, "the model or the dataset raised StopIteration"),
        ({"evaluation": 1}, "StopIteration"),
        ({"evaluation": 3}, "StopIteration"),
    ],
    ids=["training", "validation", "test"],
)
def test_stop_iteration_is_a_failure_and_not_the_end_of_the_data(settings, message, capfd):
    record = run_to_record(build_task_cell("classify", StopsIteration, **settings))
    assert (record.status, record.error.kind) == ("failed", "exception")
    assert message in record.error.message
    assert "failing_cores.py" in record.error.traceback


def test_training_that_ends_early_without_a_reason_is_a_failure(monkeypatch, capfd):
    from quintain.run import training

    make_trainer = training.make_trainer

    def stop_early(*arguments, **settings):
        trainer = make_trainer(*arguments, **settings)
        trainer.limit_train_batches = 1
        return trainer

    monkeypatch.setattr(training, "make_trainer", stop_early)
    record = run_to_record(build_cell("digits", "mlp", budget={"steps": 60, "validations": 3}))
    assert record.status == "failed"
    assert "training ended after 20 of 60 steps" in record.error.message


def test_a_record_says_that_its_time_ended_before_its_steps():
    budget = {"steps": 10**6, "seconds": 0.2, "validations": 10**4}
    record = run_cell(build_cell("digits", "mlp", budget=budget))
    note = f"budget.seconds=0.2 ended training after {record.cost.steps} of 1000000 steps"
    assert note in record.data.notes and record.cost.steps < 10**6


def test_an_evaluation_that_is_cut_short_is_a_failure(monkeypatch, capfd):
    from quintain.run.train import loaders

    monkeypatch.setattr(loaders.EvalLoader, "__len__", lambda self: 1)
    record = run_to_record(build_cell("digits", "mlp"))
    assert record.status == "failed"
    assert "256 of 300 samples of val were evaluated" in record.error.message


@pytest.mark.parametrize(
    "variables",
    [
        {"PL_TRAINER_FAST_DEV_RUN": "1"},
        {"PL_TRAINER_LIMIT_TEST_BATCHES": "1", "PL_TRAINER_LIMIT_VAL_BATCHES": "1"},
        {"PL_TRAINER_OVERFIT_BATCHES": "1", "PL_TRAINER_MAX_STEPS": "1"},
        {"PL_TRAINER_GRADIENT_CLIP_VAL": "1e-9", "PL_TRAINER_MAX_TIME": "00:00:00:00"},
        {"PL_TRAINER_RELOAD_DATALOADERS_EVERY_N_EPOCHS": "1", "PL_TRAINER_BARBONES": "1"},
        {"RANK": "1", "LOCAL_RANK": "1", "WORLD_SIZE": "2", "NODE_RANK": "1"},
    ],
    ids=lambda variables: next(iter(variables)),
)
def test_environment_variables_of_lightning_change_no_result(variables, monkeypatch):
    cell = build_cell("digits", "mlp")
    expected = run_cell(cell)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    record = run_cell(cell)
    assert record.quality.scores == expected.quality.scores
    assert [p.val for p in record.quality.curve] == [p.val for p in expected.quality.curve]
    assert record.cost.steps == expected.cost.steps == 6


def test_an_installed_package_cannot_add_callbacks_to_a_run(tmp_path, monkeypatch):
    info = tmp_path / "intruder-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: intruder\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(
        "[pytorch_lightning.callbacks_factory]\nx = intruder:f\n"
    )
    (tmp_path / "intruder.py").write_text(
        "from pytorch_lightning import Callback\n"
        "class Stop(Callback):\n"
        "    def on_train_batch_end(self, trainer, *_):\n"
        "        trainer.should_stop = True\n"
        "def f():\n    return [Stop()]\n"
    )
    expected = run_cell(build_cell("digits", "mlp", budget={"steps": 60}))
    monkeypatch.syspath_prepend(tmp_path)
    record = run_cell(build_cell("digits", "mlp", budget={"steps": 60}))
    assert record.cost.steps == 60
    assert json.dumps(record.dump()["quality"]["scores"]) == json.dumps(
        expected.dump()["quality"]["scores"]
    )
