"""Running a cell: the record, repeatability, and `python -m quintain.run`."""

from __future__ import annotations

import subprocess
import sys
from typing import ClassVar

import pytest
import torch
from helpers.cell_factory import Points, build_cell, restore_threads

from quintain.compose.instantiate import locate
from quintain.plan.plan import Plan, PlannedCell, Settings
from quintain.records.cost import MEASURED
from quintain.records.schema import Record
from quintain.run import training
from quintain.run.runner import run_to_record
from quintain.run.session import run_cell


@pytest.fixture(autouse=True)
def _threads():
    with restore_threads():
        yield


def comparable_quality(record: Record) -> dict:
    """Return the quality without times."""
    quality = record.dump()["quality"]
    for point in quality["curve"]:
        point.pop("seconds")
    return quality


@pytest.fixture(scope="module")
def two_records() -> list[Record]:
    with restore_threads():
        return [run_cell(build_cell("digits", "transformer")) for _ in range(2)]


def test_two_runs_of_a_cell_are_equal_bit_for_bit(two_records):
    first, second = map(comparable_quality, two_records)
    assert first == second
    assert len(first["curve"]) == 2 and first["curve"][0]["train_loss"] > 0


@pytest.mark.parametrize("model", ["cnn", "lstm"])
def test_runs_with_other_kernels_are_repeatable(model):
    first, second = (run_cell(build_cell("digits", model)) for _ in range(2))
    assert comparable_quality(first) == comparable_quality(second)


def test_the_global_random_state_has_no_influence(two_records):
    torch.manual_seed(12345)
    torch.rand(7)
    assert comparable_quality(run_cell(build_cell("digits", "transformer"))) == comparable_quality(
        two_records[0]
    )


def test_another_seed_gives_other_numbers(two_records):
    other = run_cell(build_cell("digits", "transformer", seed=2))
    losses = [point.train_loss for point in other.quality.curve]
    assert losses != [point.train_loss for point in two_records[0].quality.curve]


def test_the_record_is_complete(two_records):
    record = two_records[0]
    assert Record.model_validate_json(record.to_json()) == record
    cost = record.cost
    for name in MEASURED:
        assert (getattr(cost, name) is None) == (name in cost.absent), name
        assert cost.absent.get(name) != "not measured", name
    assert cost.memory_mb.host_peak > 50
    assert cost.memory_mb.device_peak is None and cost.absent["device_peak_mb"]
    assert (cost.steps, cost.samples, cost.params_asked) == (6, 48, 9000)
    assert abs(cost.params / 9000 - 1) <= 0.02
    seconds = cost.seconds
    phases = (
        seconds.setup, seconds.training, seconds.validation, seconds.test, seconds.logging
    )  # fmt: skip
    assert 0 < sum(phases) <= seconds.total
    assert len(record.step_times_ms) == 6
    assert set(cost.latency_ms) == {"1", "8"}
    assert record.data.sizes.model_dump() == {"train": 1100, "val": 300, "test": 397}
    assert record.data.reading == "rows"
    assert record.trust["budget_met"].ok and record.trust["fingerprint_matches"].ok
    assert record.trust["deterministic"].ok
    assert record.started < record.finished


def test_throughput_agrees_with_the_step_times(two_records):
    for record in two_records:
        seconds = sum(record.step_times_ms) / 1e3
        training = record.cost.seconds.training
        assert record.cost.samples_per_second == pytest.approx(48 / training)
        assert seconds <= training
        ordered = sorted(record.step_times_ms)
        assert record.cost.step_ms.p50 == pytest.approx((ordered[2] + ordered[3]) / 2, abs=2e-3)


def test_parameters_counted_by_hand():
    cell = build_cell("digits", "rnn", budget={"params": None, "steps": 2})
    cell.config["model"]["width"] = 10.0
    record = run_cell(cell)
    # RNN 8→10: 8·10 + 10·10 + 10 + 10; logits: 2·10 features (mean and last) → 10
    assert record.cost.params == record.cost.params_total == 200 + 20 * 10 + 10
    assert record.cost.width == 10.0 and record.cost.params_asked is None
    assert record.trust["budget_met"].ok is None


def test_embedding_tables_do_not_count_towards_the_budget():
    record = run_cell(
        build_cell("pydoc", "mlp", budget={"steps": 1, "validations": 1, "params": 20_000})
    )
    vocabulary = record.cost.params_total - record.cost.params
    assert vocabulary % 64 == 0 and vocabulary > 0
    assert abs(record.cost.params / 20_000 - 1) <= 0.02


class ObservedPoints(Points):
    """Keeps its instances, so that a test can see which indices were read."""

    instances: ClassVar[list[ObservedPoints]] = []

    def __init__(self):
        super().__init__()
        ObservedPoints.instances.append(self)


def test_the_test_split_is_read_once_and_only_after_training(monkeypatch):
    read_in_training = []
    fit = training.fit

    def fit_and_observe(*arguments):
        result = fit(*arguments)
        read_in_training.append(list(ObservedPoints.instances[-1].indices_read["test"]))
        return result

    monkeypatch.setattr(training, "fit", fit_and_observe)
    cell = build_cell("sunspots", "mlp", budget={"params": None})
    cell.config["dataset"] = {"_target_": f"{__name__}.ObservedPoints"}
    cell.config["head"] = {"_target_": "quintain.plugins.head.classify.Classify"}
    cell.config["model"]["width"] = 4.0
    record = run_cell(cell)
    assert read_in_training == [[]]
    assert ObservedPoints.instances[-1].indices_read["test"] == list(range(11))
    assert record.quality.scores["accuracy"].test is not None
    assert set(record.cost.latency_ms) == {"1", "8"}


def test_the_target_is_recorded_where_it_was_first_reached():
    easy = run_cell(build_cell("digits", "mlp", budget={"target": 0.0, "steps": 2}))
    assert easy.quality.target.step == easy.quality.curve[0].step
    assert easy.quality.target.seconds == easy.quality.curve[0].seconds
    never = run_cell(build_cell("digits", "mlp", budget={"target": 2.0, "steps": 2}))
    assert (never.quality.target.step, never.quality.target.value) == (None, 2.0)


@pytest.mark.parametrize("precision", ["64-true", "bf16-mixed"])
def test_other_precisions_run_and_are_measured(precision):
    record = run_cell(
        build_cell("digits", "mlp", hardware={"precision": precision}, budget={"steps": 2})
    )
    assert record.status == "ok" and record.cost.flops_per_sample > 0


def test_a_batch_larger_than_the_dataset():
    record = run_cell(build_cell("digits", "mlp", budget={"batch_size": 1500, "steps": 2}))
    assert record.cost.samples == 3000
    assert set(record.cost.latency_ms) == {"1", "300"}  # validation has no more


def test_a_nondeterministic_operation_is_recorded(monkeypatch):
    import warnings

    original = locate("quintain.plugins.head.classify.Classify").loss

    def loss(self, prediction, batch):
        warnings.warn("cumsum_cuda does not have a deterministic implementation", stacklevel=2)
        return original(self, prediction, batch)

    monkeypatch.setattr(locate("quintain.plugins.head.classify.Classify"), "loss", loss)
    record = run_cell(build_cell("digits", "mlp", budget={"steps": 2}))
    assert record.trust["deterministic"].ok is False
    assert "cumsum_cuda" in record.trust["deterministic"].note


def test_other_warnings_of_a_plugin_are_shown_once(monkeypatch):
    import warnings

    original = locate("quintain.plugins.head.classify.Classify").loss

    def loss(self, prediction, batch):
        warnings.warn("a warning of a plugin", stacklevel=2)
        return original(self, prediction, batch)

    monkeypatch.setattr(locate("quintain.plugins.head.classify.Classify"), "loss", loss)
    with pytest.warns(UserWarning, match="a warning of a plugin") as caught:
        run_cell(build_cell("digits", "mlp", budget={"steps": 4}))
    assert len(caught) == 1


def test_a_run_prints_nothing(capfd):
    run_cell(build_cell("digits", "lstm", budget={"steps": 2}))
    out, err = capfd.readouterr()
    assert (out, err) == ("", "")


@pytest.mark.parametrize(
    ("settings", "kind", "message"),
    [
        ({"optimizer": {"lr": 1e30, "clip_norm": None, "warmup": 0.0}}, "nan", "at step"),
        ({"optimizer": {"optimizer": "Adamw"}}, "exception", "did you mean Adam"),
        ({"stem": {"_target_": "helpers.cell_factory.Missing"}}, "exception", "has no Missing"),
        ({"hardware": {"threads": 0}}, "exception", "threads must be at least 1"),
    ],
)
def test_an_error_becomes_a_failed_record(settings, kind, message, capfd):
    record = run_to_record(build_cell("digits", "mlp", **settings))
    assert record.status == "failed" and record.error.kind == kind
    assert message in record.error.message
    assert "Traceback" in record.error.traceback


def test_a_run_by_module_equals_a_run_in_process(two_records, tmp_path):
    cell = build_cell("digits", "transformer")
    file = tmp_path / "cell.json"
    file.write_text(cell.to_json())
    plan = tmp_path / "plan.json"
    cells = [PlannedCell(c, "run") for c in (cell, build_cell("digits", "mlp"))]
    plan.write_text(Plan(Settings(tmp_path, 1, None, {}), cells).to_json())
    command = [sys.executable, "-m", "quintain.run"]
    result = subprocess.run([*command, plan, "--key", cell.key[:8]], capture_output=True, text=True)
    assert (result.returncode, result.stderr) == (0, "")
    assert comparable_quality(Record.model_validate_json(result.stdout)) == comparable_quality(
        two_records[0]
    )


EMPTY = '{"plan": 3, "settings": {}, "parts": {}, "groups": {}, "cells": []}'


@pytest.mark.parametrize(
    ("content", "arguments", "message"),
    [
        ("{", [], "is neither a cell nor a plan"),
        ("[1]", [], "is neither a cell nor a plan"),
        ('{"cells": []}', [], "is neither a cell nor a plan"),
        (EMPTY, [], "matches 0 cells"),
        (None, [], "No such file"),
        ('{"key": "ab"}', [], "missing"),
    ],
)
def test_an_unusable_cell_file_is_one_message(
    content, arguments, message, tmp_path, monkeypatch, capsys
):
    from quintain.run import __main__ as run_module

    file = tmp_path / "cell.json"
    if content is not None:
        file.write_text(content)
    monkeypatch.setattr(sys, "argv", ["quintain.run", str(file), *arguments])
    assert run_module.main() == 2
    error = capsys.readouterr().err
    assert message in error and error.count("\n") == 1


def test_a_run_by_module_writes_into_a_store(tmp_path, monkeypatch, capsys):
    from quintain.records.store import Store
    from quintain.run import __main__ as run_module

    cell = build_cell("digits", "mlp", optimizer={"lr": 1e30, "clip_norm": None, "warmup": 0.0})
    file = tmp_path / "cell.json"
    file.write_text(cell.to_json())
    monkeypatch.setattr(sys, "argv", ["quintain.run", str(file), "--store", str(tmp_path / "s")])
    assert run_module.main() == 1
    assert Store(tmp_path / "s").status(cell.key) == "failed"
