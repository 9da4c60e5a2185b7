"""From a cell to a record."""

from __future__ import annotations

import subprocess
import sys
from typing import ClassVar

import pytest
import torch
from cells_factory import Points, cell, own_threads

from quintain.compose.bind import locate
from quintain.compose.plan import Plan, Planned, Settings
from quintain.records.schema import MEASURED, Record
from quintain.run import execute as module
from quintain.run.attempt import attempt
from quintain.run.execute import execute


@pytest.fixture(autouse=True)
def _threads():
    with own_threads():
        yield


def plain(record: Record) -> dict:
    """What two runs of a cell share: all but times."""
    dumped = record.dump()["quality"]
    for point in dumped["curve"]:
        point.pop("seconds")
    return dumped


@pytest.fixture(scope="module")
def twice() -> list[Record]:
    with own_threads():
        return [execute(cell("digits", "transformer")) for _ in range(2)]


def test_the_same_cell_twice_gives_the_same_numbers_bit_for_bit(twice):
    first, second = map(plain, twice)
    assert first == second
    assert len(first["curve"]) == 2 and first["curve"][0]["train_loss"] > 0


@pytest.mark.parametrize("model", ["cnn", "lstm"])
def test_repeatable_with_the_other_kernels(model):
    first, second = (execute(cell("digits", model)) for _ in range(2))
    assert plain(first) == plain(second)


def test_the_global_state_of_the_process_does_not_matter(twice):
    torch.manual_seed(12345)
    torch.rand(7)
    assert plain(execute(cell("digits", "transformer"))) == plain(twice[0])


def test_another_seed_gives_other_numbers(twice):
    other = execute(cell("digits", "transformer", seed=2))
    losses = [point.train_loss for point in other.quality.curve]
    assert losses != [point.train_loss for point in twice[0].quality.curve]


def test_the_record_is_whole(twice):
    record = twice[0]
    assert Record.model_validate_json(record.to_json()) == record
    cost = record.cost
    for name in MEASURED:
        assert (getattr(cost, name) is None) == (name in cost.absent), name
        assert cost.absent.get(name) != "not measured", name
    assert cost.memory_mb.host_peak > 50
    assert cost.memory_mb.device_peak is None and cost.absent["device_peak_mb"]
    assert (cost.steps, cost.samples, cost.params_asked) == (6, 48, 9000)
    assert abs(cost.params / 9000 - 1) <= 0.02
    clocks = cost.seconds
    parts = (clocks.setup, clocks.training, clocks.validation, clocks.test, clocks.logging)
    assert 0 < sum(parts) <= clocks.total
    assert len(record.step_times_ms) == 6
    assert set(cost.latency_ms) == {"1", "8"}
    assert record.data.sizes.model_dump() == {"train": 1100, "val": 300, "test": 397}
    assert record.data.reading == "rows"
    assert record.trust["budget_met"].ok and record.trust["fingerprint_matches"].ok
    assert record.trust["deterministic"].ok
    assert record.started < record.finished


def test_throughput_agrees_with_the_step_times(twice):
    for record in twice:
        seconds = sum(record.step_times_ms) / 1e3
        training = record.cost.seconds.training
        assert record.cost.samples_per_second == pytest.approx(48 / training)
        assert seconds <= training
        middle = sorted(record.step_times_ms)
        assert record.cost.step_ms.p50 == pytest.approx((middle[2] + middle[3]) / 2, abs=2e-3)


def test_parameters_by_hand():
    made = cell("digits", "rnn", budget={"params": None, "steps": 2})
    made.config["model"]["width"] = 10.0
    record = execute(made)
    # RNN 8→10: 8·10 + 10·10 + 10 + 10; logits: 2·10 features (mean and last) → 10
    assert record.cost.params == record.cost.params_total == 200 + 20 * 10 + 10
    assert record.cost.width == 10.0 and record.cost.params_asked is None
    assert record.trust["budget_met"].ok is None


def test_embedding_tables_do_not_count_towards_the_budget():
    record = execute(cell("pydoc", "mlp", budget={"steps": 1, "validations": 1, "params": 20_000}))
    vocabulary = record.cost.params_total - record.cost.params
    assert vocabulary % 64 == 0 and vocabulary > 0
    assert abs(record.cost.params / 20_000 - 1) <= 0.02


class Spy(Points):
    """Notes when the test split is read."""

    made: ClassVar[list[Spy]] = []

    def __init__(self):
        super().__init__()
        Spy.made.append(self)


def test_the_test_split_is_read_once_and_only_after_training(monkeypatch):
    seen = []
    fit = module.fit

    def watched(run, trainer, task, feed):
        found = fit(run, trainer, task, feed)
        seen.append(list(Spy.made[-1].taken["test"]))
        return found

    monkeypatch.setattr(module, "fit", watched)
    made = cell("sunspots", "mlp", budget={"params": None})
    made.config["dataset"] = {"_target_": f"{__name__}.Spy"}
    made.config["head"] = {"_target_": "quintain.plugins.head.classify.Classify"}
    made.config["model"]["width"] = 4.0
    record = execute(made)
    assert seen == [[]]
    assert Spy.made[-1].taken["test"] == list(range(11))
    assert record.quality.scores["accuracy"].test is not None
    assert set(record.cost.latency_ms) == {"1", "8"}


def test_target_is_noted_where_it_was_first_reached():
    easy = execute(cell("digits", "mlp", budget={"target": 0.0, "steps": 2}))
    assert easy.quality.target.step == easy.quality.curve[0].step
    assert easy.quality.target.seconds == easy.quality.curve[0].seconds
    never = execute(cell("digits", "mlp", budget={"target": 2.0, "steps": 2}))
    assert (never.quality.target.step, never.quality.target.value) == (None, 2.0)


@pytest.mark.parametrize("precision", ["64-true", "bf16-mixed"])
def test_other_precisions_run_and_are_measured(precision):
    record = execute(cell("digits", "mlp", hardware={"precision": precision}, budget={"steps": 2}))
    assert record.status == "ok" and record.cost.flops_per_sample > 0


def test_a_batch_larger_than_the_dataset():
    record = execute(cell("digits", "mlp", budget={"batch_size": 1500, "steps": 2}))
    assert record.cost.samples == 3000
    assert set(record.cost.latency_ms) == {"1", "300"}  # validation has no more


def test_an_operation_that_is_not_deterministic_is_said(monkeypatch):
    import warnings

    original = locate("quintain.plugins.head.classify.Classify").loss

    def loss(self, prediction, batch):
        warnings.warn("cumsum_cuda does not have a deterministic implementation", stacklevel=2)
        return original(self, prediction, batch)

    monkeypatch.setattr(locate("quintain.plugins.head.classify.Classify"), "loss", loss)
    record = execute(cell("digits", "mlp", budget={"steps": 2}))
    assert record.trust["deterministic"].ok is False
    assert "cumsum_cuda" in record.trust["deterministic"].note


def test_other_warnings_of_a_plugin_are_not_lost(monkeypatch):
    import warnings

    original = locate("quintain.plugins.head.classify.Classify").loss

    def loss(self, prediction, batch):
        warnings.warn("my own words", stacklevel=2)
        return original(self, prediction, batch)

    monkeypatch.setattr(locate("quintain.plugins.head.classify.Classify"), "loss", loss)
    with pytest.warns(UserWarning, match="my own words") as seen:
        execute(cell("digits", "mlp", budget={"steps": 4}))
    assert len(seen) == 1


def test_a_run_says_nothing(capfd):
    execute(cell("digits", "lstm", budget={"steps": 2}))
    out, err = capfd.readouterr()
    assert (out, err) == ("", "")


@pytest.mark.parametrize(
    ("settings", "kind", "words"),
    [
        ({"optimizer": {"lr": 1e30, "clip_norm": None, "warmup": 0.0}}, "nan", "at step"),
        ({"optimizer": {"optimizer": "Adamw"}}, "exception", "did you mean Adam"),
        ({"stem": {"_target_": "cells_factory.Missing"}}, "exception", "has no Missing"),
        ({"hardware": {"threads": 0}}, "exception", "threads must be at least 1"),
    ],
)
def test_what_is_raised_becomes_a_failed_record(settings, kind, words, capfd):
    record = attempt(cell("digits", "mlp", **settings))
    assert record.status == "failed" and record.error.kind == kind
    assert words in record.error.message
    assert "Traceback" in record.error.traceback


def test_by_hand_is_the_same_as_in_process(twice, tmp_path):
    made = cell("digits", "transformer")
    file = tmp_path / "cell.json"
    file.write_text(made.to_json())
    plan = tmp_path / "plan.json"
    cells = [Planned(c, "run") for c in (made, cell("digits", "mlp"))]
    plan.write_text(Plan(Settings(tmp_path, 1, None, {}), cells).to_json())
    command = [sys.executable, "-m", "quintain.run"]
    done = subprocess.run([*command, plan, "--key", made.key[:8]], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    assert plain(Record.model_validate_json(done.stdout)) == plain(twice[0])


EMPTY = '{"plan": 2, "settings": {}, "parts": {}, "groups": {}, "cells": []}'


@pytest.mark.parametrize(
    ("content", "arguments", "words"),
    [
        ("{", [], "is neither a cell nor a plan"),
        ("[1]", [], "is neither a cell nor a plan"),
        ('{"cells": []}', [], "is neither a cell nor a plan"),
        (EMPTY, [], "fits 0 cells"),
        (None, [], "No such file"),
        ('{"key": "ab"}', [], "missing"),
    ],
)
def test_a_cell_file_that_is_none_is_one_sentence(
    content, arguments, words, tmp_path, monkeypatch, capsys
):
    from quintain.run import __main__ as by_hand

    file = tmp_path / "cell.json"
    if content is not None:
        file.write_text(content)
    monkeypatch.setattr(sys, "argv", ["quintain.run", str(file), *arguments])
    assert by_hand.main() == 2
    error = capsys.readouterr().err
    assert words in error and error.count("\n") == 1


def test_by_hand_into_a_store(tmp_path, monkeypatch, capsys):
    from quintain.records.store import Store
    from quintain.run import __main__ as by_hand

    made = cell("digits", "mlp", optimizer={"lr": 1e30, "clip_norm": None, "warmup": 0.0})
    file = tmp_path / "cell.json"
    file.write_text(made.to_json())
    monkeypatch.setattr(sys, "argv", ["quintain.run", str(file), "--store", str(tmp_path / "s")])
    assert by_hand.main() == 1
    assert Store(tmp_path / "s").status(made.key) == "failed"
