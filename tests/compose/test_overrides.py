"""Suites with a list of grids and of paired settings."""

from __future__ import annotations

import pytest
from helpers.commands import run_quintain, write_file

from quintain.compose.config import hydra_session
from quintain.compose.overrides import expand_overrides
from quintain.errors import UsageError

HEAD = "# @package _global_\nsweep:\n"


@pytest.fixture
def jobs(tmp_path, monkeypatch):
    """Return a function that expands a suite with these lines under `sweep`."""
    monkeypatch.setenv("QUINTAIN_PLUGINS", str(tmp_path))

    def expand(lines, *overrides):
        write_file(tmp_path / "conf" / "suite" / "own.yaml", HEAD + lines)
        with hydra_session():
            return [set(job) - {"suite=own"} for job in expand_overrides(["suite=own", *overrides])]

    return expand


PAIRED = "  - paired: {dataset: [digits, pydoc, sunspots], model: [cnn, lstm, rnn]}\n"


def test_the_example_suite_is_a_grid_and_two_pairs():
    with hydra_session():
        suite_jobs = [set(job) - {"suite=paired"} for job in expand_overrides(["suite=paired"])]
    assert suite_jobs[:2] == [
        {"dataset=digits", "model=mlp"},
        {"dataset=digits", "model=transformer"},
    ]
    assert suite_jobs[4:] == [
        {"dataset=pydoc", "model=lstm"},
        {"dataset=spoken_words", "model=cnn"},
    ]
    assert len(suite_jobs) == 6


def test_pairs_take_one_value_of_each_setting(jobs):
    pairs = [("digits", "cnn"), ("pydoc", "lstm"), ("sunspots", "rnn")]
    assert jobs(PAIRED) == [{f"dataset={d}", f"model={m}"} for d, m in pairs]


def test_pairs_are_combined_with_their_grid_and_the_command_line(jobs):
    suite_jobs = jobs(PAIRED + "    grid: {seed: '1,2'}\n", "budget.steps=5,6")
    assert len(suite_jobs) == 3 * 2 * 2
    assert {"dataset=pydoc", "model=lstm", "seed=2", "budget.steps=6"} in suite_jobs


def test_the_command_line_replaces_a_setting_of_every_entry(jobs):
    suite_jobs = jobs(PAIRED + "  - grid: {dataset: 'digits', model: 'mlp,cnn'}\n", "model=gru")
    assert sorted(sorted(job) for job in suite_jobs) == [
        [f"dataset={name}", "model=gru"] for name in ("digits", "pydoc", "sunspots")
    ]


def test_equal_jobs_of_two_entries_come_once(jobs):
    assert len(jobs("  - grid: {model: 'glob(*nn)'}\n  - grid: {model: [rnn, null]}\n")) == 3


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        ("  - paired: {dataset: [digits, pydoc], model: [cnn]}\n", "dataset has 2, model has 1"),
        ("  - grids: {seed: 1}\n", "grids: there is no such kind of sweep; did you mean grid?"),
        ("  - grid: {seed: []}\n", "sweep[0].grid.seed: expected values, got []"),
        ("  - grid: {seed: [[1]]}\n", "expected plain values, got [1]"),
        ("  - digits\n", "sweep[0]: expected grid: or paired: with settings, got 'digits'"),
        ("  grid: {seed: 1}\n", "sweep: expected a list"),
    ],
)
def test_wrong_entries_are_reported(lines, expected, jobs):
    with pytest.raises(UsageError, match=r".") as error:
        jobs(lines)
    assert expected in str(error.value)


def test_hydras_multirun_refuses_sweep_lists(tmp_path):
    code, _, err = run_quintain("run", "-m", "suite=paired", cwd=tmp_path)
    assert code == 2 and "use quintain sweep" in err
