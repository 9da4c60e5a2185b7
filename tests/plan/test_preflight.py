"""Preflight: problems that are found before data or an accelerator is used, and broken plugins."""

import pytest
import torch
from helpers.commands import compose_cell, plan_overrides, usage_problems, write_file

from quintain.plan.preflight import preflight_cell

BAD = """
from quintain.contracts import Unsupported
{extra}

class Bad:
    input_layout = "sequence"

    def __init__(self, inp, *, width: float = 4.0):
        {body}
"""


@pytest.fixture
def broken_model(tmp_path, monkeypatch, request):
    """Write a model plugin with this code in its constructor, or in its module."""
    monkeypatch.setenv("QUINTAIN_PLUGINS", str(tmp_path))

    def make(name, body="pass", extra="", card="{}"):
        source = BAD.format(body=body, extra=extra)
        write_file(tmp_path / "plugins" / "model" / f"{name}.py", source)
        target = f"_target_: quintain_local.model.{name}.Bad\ncard: {card}\n"
        write_file(tmp_path / "conf" / "model" / f"{name}.yaml", target)
        return f"model={name}"

    return make


@pytest.mark.parametrize(
    ("overrides", "expected"),
    [
        (["model.num_layers=two"], ["model.num_layers: expected a whole number, got 'two'"]),
        (["budget.steps=1.5"], ["budget.steps: expected a whole number, got 1.5"]),
        (["optimizer.lr=-1"], ["lr must be above 0, got -1"]),
        (["+model.dropout=0.1"], ["model.dropout: there is no such setting"]),
        (["hardware.threads=0", "hardware=cpu"], ["threads must be at least 1, got 0"]),
        (["dataset=sunspots", "model.num_layers=two", "optimizer.lr=-1", "budget.steps=0"],
         ["num_layers", "lr must be above 0, got -1", "steps must be above 0, got 0"]),
    ],
)  # fmt: skip
def test_values_that_do_not_fit(overrides, expected):
    messages = usage_problems(*overrides)
    assert len(messages) == len(expected)
    assert all(any(text in message for message in messages) for text in expected)


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has the device")
def test_a_missing_device_is_one_message():
    (message,) = usage_problems("hardware=cuda")
    assert message.startswith("hardware=cuda: needs an NVIDIA GPU")


def test_auto_without_any_known_option():
    (message,) = usage_problems("hardware.choose_from=[tpu]")
    assert "hardware/tpu" in message


def test_settings_beside_auto_apply_to_the_chosen_option():
    cell = compose_cell("hardware.choose_from=[cpu]", "+hardware.threads=2")
    assert (cell.names["hardware"], cell.config["hardware"]["threads"]) == ("cpu", 2)
    (message,) = usage_problems("hardware.choose_from=[cpu]", "+hardware.fans=2")
    assert "hardware.fans: there is no such setting" in message


def test_a_width_is_solved_from_the_budget():
    result = preflight_cell(compose_cell("dataset=sunspots", "model=lstm"))
    assert result.params == pytest.approx(50_000, rel=0.02)


def test_an_unsupported_model_is_skipped_with_its_reason(broken_model):
    plan = plan_overrides(
        broken_model("shy", "raise Unsupported('only on Sundays')"), "dataset=sunspots"
    )
    assert [(p.action, p.reason) for p in plan.cells] == [("skipped", "only on Sundays")]


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ("raise KeyError('depth')", "KeyError: 'depth'"),
        ("raise ValueError('expected more')", "expected more"),
        ("pass", "has no attribute 'out'"),
    ],
)
def test_a_plugin_that_raises_when_it_is_built(broken_model, body, expected):
    (message,) = usage_problems(broken_model(f"raises{abs(hash(body))}", body), "dataset=sunspots")
    assert "dataset=sunspots" in message
    assert expected in message


def test_a_plugin_that_raises_at_import(broken_model):
    (message,) = usage_problems(broken_model("burst", extra="raise OSError('no licence file')"))
    assert "model._target_" in message
    assert "OSError: no licence file" in message


def test_a_missing_dependency_is_one_message(broken_model):
    (message,) = usage_problems(
        broken_model("hungry", extra="import nosuchpackage", card="{needs: [nosuch-pkg]}")
    )
    assert message == "model=hungry needs nosuch-pkg: pip install nosuch-pkg"


def test_a_missing_dependency_that_the_card_does_not_name(broken_model):
    (message,) = usage_problems(broken_model("silent", extra="import nosuchpackage"))
    assert "needs nosuchpackage: pip install nosuchpackage" in message
