"""Suites that are a list of grids and of paired settings."""

from __future__ import annotations

import pytest
from words import quintain, write

from quintain.compose.config import composer
from quintain.compose.errors import UsageError
from quintain.compose.expand import expand

HEAD = "# @package _global_\nsweep:\n"


@pytest.fixture
def jobs(tmp_path, monkeypatch):
    """Jobs of a suite with these lines under `sweep`."""
    monkeypatch.setenv("QUINTAIN_PLUGINS", str(tmp_path))

    def made(lines, *words):
        write(tmp_path / "conf" / "suite" / "own.yaml", HEAD + lines)
        with composer():
            return [set(job) - {"suite=own"} for job in expand(["suite=own", *words])]

    return made


PAIRED = "  - paired: {dataset: [digits, pydoc, sunspots], model: [cnn, lstm, rnn]}\n"


def test_the_example_is_a_grid_and_two_pairs():
    with composer():
        found = [set(job) - {"suite=paired"} for job in expand(["suite=paired"])]
    assert found[:2] == [{"dataset=digits", "model=mlp"}, {"dataset=digits", "model=transformer"}]
    assert found[4:] == [{"dataset=pydoc", "model=lstm"}, {"dataset=spoken_words", "model=cnn"}]
    assert len(found) == 6


def test_these_three_with_these_three(jobs):
    pairs = [("digits", "cnn"), ("pydoc", "lstm"), ("sunspots", "rnn")]
    assert jobs(PAIRED) == [{f"dataset={d}", f"model={m}"} for d, m in pairs]


def test_pairs_multiply_with_their_grid_and_with_the_command_line(jobs):
    found = jobs(PAIRED + "    grid: {seed: '1,2'}\n", "budget.steps=5,6")
    assert len(found) == 3 * 2 * 2
    assert {"dataset=pydoc", "model=lstm", "seed=2", "budget.steps=6"} in found


def test_the_command_line_replaces_a_setting_of_every_entry(jobs):
    found = jobs(PAIRED + "  - grid: {dataset: 'digits', model: 'mlp,cnn'}\n", "model=gru")
    assert sorted(sorted(job) for job in found) == [
        [f"dataset={name}", "model=gru"] for name in ("digits", "pydoc", "sunspots")
    ]


def test_a_cell_of_two_entries_comes_once(jobs):
    assert len(jobs("  - grid: {model: 'glob(*nn)'}\n  - grid: {model: [rnn, null]}\n")) == 3


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        ("  - paired: {dataset: [digits, pydoc], model: [cnn]}\n", "dataset has 2, model has 1"),
        ("  - grids: {seed: 1}\n", "sweep[0].grids: no such kind of sweep; did you mean grid?"),
        ("  - grid: {seed: []}\n", "sweep[0].grid.seed: expected values, came []"),
        ("  - grid: {seed: [[1]]}\n", "expected plain values, came [1]"),
        ("  - digits\n", "sweep[0]: expected grid: or paired: with settings, came 'digits'"),
        ("  grid: {seed: 1}\n", "sweep: expected a list"),
    ],
)
def test_what_is_wrong_is_said(lines, words, jobs):
    with pytest.raises(UsageError, match=r".") as error:
        jobs(lines)
    assert words in str(error.value)


def test_hydras_multirun_does_not_know_lists(tmp_path):
    code, _, err = quintain("run", "-m", "suite=paired", cwd=tmp_path)
    assert code == 2 and "use quintain sweep" in err
