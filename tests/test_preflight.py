"""What is known before data or an accelerator is touched, and what plugins may do wrong in it."""

import pytest
import torch
from words import cell, plan, told, write

from quintain.compose.preflight import examine

BAD = """
from quintain.contracts import Skip
{extra}

class Bad:
    reads = "sequence"

    def __init__(self, inp, *, width: float = 4.0):
        {body}
"""


@pytest.fixture
def bad(tmp_path, monkeypatch, request):
    """Writes a model plugin whose constructor (or module) does as it is told."""
    monkeypatch.setenv("QUINTAIN_PLUGINS", str(tmp_path))

    def make(name, body="pass", extra="", card="{}"):
        source = BAD.format(body=body, extra=extra)
        write(tmp_path / "plugins" / "model" / f"{name}.py", source)
        target = f"_target_: quintain_local.model.{name}.Bad\ncard: {card}\n"
        write(tmp_path / "conf" / "model" / f"{name}.yaml", target)
        return f"model={name}"

    return make


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["model.num_layers=two"], ["model.num_layers: Mlp expects int, came 'two'"]),
        (["budget.steps=1.5"], ["budget.steps: Budget expects int, came 1.5"]),
        (["optimizer.lr=-1"], ["lr must be above 0, came -1"]),
        (["+model.dropout=0.1"], ["Mlp has no setting dropout"]),
        (["hardware.threads=0", "hardware=cpu"], ["threads must be at least 1, came 0"]),
        (["dataset=sunspots", "model.num_layers=two", "optimizer.lr=-1", "budget.steps=0"],
         ["num_layers", "lr must", "steps must"]),
    ],
)  # fmt: skip
def test_values_that_do_not_fit(words, says):
    found = told(*words)
    assert len(found) == len(says)
    assert all(any(text in sentence for sentence in found) for text in says)


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has the device")
def test_a_device_that_is_not_here():
    (sentence,) = told("hardware=cuda")
    assert sentence.startswith("hardware=cuda: needs an NVIDIA GPU")


def test_auto_with_nothing_to_choose():
    (sentence,) = told("hardware.choose_from=[tpu]")
    assert "hardware/tpu" in sentence


def test_what_is_set_beside_auto_holds_for_what_it_chooses():
    made = cell("hardware.choose_from=[cpu]", "+hardware.threads=2")
    assert (made.names["hardware"], made.config["hardware"]["threads"]) == ("cpu", 2)
    (sentence,) = told("hardware.choose_from=[cpu]", "+hardware.fans=2")
    assert "Cpu has no setting fans" in sentence


def test_a_width_is_solved_from_the_budget():
    verdict = examine(cell("dataset=sunspots", "model=lstm"))
    assert verdict.params == pytest.approx(50_000, rel=0.02)


def test_a_plugin_that_cannot_serve_is_skipped_with_its_reason(bad):
    made = plan(bad("shy", "raise Skip('only on Sundays')"), "dataset=sunspots")
    assert [(p.action, p.reason) for p in made.cells] == [("skipped", "only on Sundays")]


@pytest.mark.parametrize(
    ("body", "says"),
    [
        ("raise KeyError('depth')", "KeyError: 'depth'"),
        ("raise ValueError('expected more')", "expected more"),
        ("pass", "has no attribute 'out'"),
    ],
)
def test_a_plugin_that_raises_when_it_is_built(bad, body, says):
    (sentence,) = told(bad(f"raises{abs(hash(body))}", body), "dataset=sunspots")
    assert "dataset=sunspots" in sentence
    assert says in sentence


def test_a_plugin_that_raises_at_import(bad):
    (sentence,) = told(bad("burst", extra="raise OSError('no licence file')"))
    assert "model._target_" in sentence
    assert "OSError: no licence file" in sentence


def test_a_missing_dependency_is_one_sentence(bad):
    (sentence,) = told(bad("hungry", extra="import nosuchpackage", card="{needs: [nosuch-pkg]}"))
    assert sentence == "model=hungry needs nosuch-pkg: pip install nosuch-pkg"


def test_a_missing_dependency_that_the_card_does_not_name(bad):
    (sentence,) = told(bad("silent", extra="import nosuchpackage"))
    assert "needs nosuchpackage: pip install nosuchpackage" in sentence
