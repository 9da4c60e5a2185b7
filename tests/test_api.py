"""The Python API: its examples, settings, failures, and scripts without a `__main__` guard."""

from __future__ import annotations

import ast
import doctest
import inspect
import pydoc
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
from helpers.record_factory import make_record

import quintain
from quintain import api
from quintain.errors import StoreError, UsageError
from quintain.records.store import Store


@pytest.fixture(autouse=True)
def without_wandb(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WANDB_MODE", "disabled")


def test_examples_in_the_docstrings(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """They run in this order in one store, so that the later ones find records."""
    finder, runner = doctest.DocTestFinder(), doctest.DocTestRunner()
    for function in (api.run, api.sweep, api.leaderboard, api.compare, api.load):
        names = {"store": tmp_path / "results", "quintain": quintain}
        for example in finder.find(function, function.__name__, globs=names):
            runner.run(example)
    assert runner.tries >= 8 and runner.failures == 0, capsys.readouterr().out


@pytest.mark.parametrize(
    ("settings", "overrides"),
    [
        ({"model": ["mlp", "cnn"]}, ["model=mlp,cnn"]),
        ({"seed": range(1, 4)}, ["seed=1,2,3"]),
        ({"budget": {"steps": 50, "seconds": None}}, ["budget.steps=50", "budget.seconds=null"]),
        ({"optimizer": {"lr": [0.001, 0.01], "betas": (0.9, 0.95)}},
         ["optimizer.lr=0.001,0.01", "optimizer.betas=[0.9,0.95]"]),
        ({"dataset": "csv_series", "dataset.path": Path("a b.csv")},
         ["dataset=csv_series", "dataset.path='a b.csv'"]),
        ({"wandb": {"mode": "disabled"}}, ["wandb.mode=disabled"]),
    ],
)  # fmt: skip
def test_settings_become_overrides(settings, overrides) -> None:
    assert list(api._flatten_settings(settings)) == overrides


def test_wrong_settings_raise_all_problems_at_once(tmp_path: Path) -> None:
    with pytest.raises(UsageError) as error:
        quintain.run("digitz", "mlp", budget={"stepz": 5}, store=tmp_path)
    assert "did you mean digits?" in str(error.value) and "did you mean steps?" in str(error.value)
    with pytest.raises(UsageError, match=r"make 2 cells; expected 1: use quintain\.sweep"):
        quintain.run("digits", "mlp", seed=[1, 2], store=tmp_path)
    with pytest.raises(UsageError, match="seed: expected at least one value"):
        quintain.sweep("digits", "mlp", seed=[], store=tmp_path)
    with pytest.raises(UsageError, match="overrides must be a list"):
        quintain.run("digits", "mlp", overrides="budget.steps=5", store=tmp_path)
    with pytest.raises(UsageError, match="needs a store on this machine"):
        quintain.leaderboard("s3://bucket/results")
    with pytest.raises(UsageError, match="two different sides"):
        quintain.compare("mlp", "mlp", tmp_path)
    with pytest.raises(StoreError, match="there is no store"):
        quintain.leaderboard(tmp_path / "none")
    with pytest.raises(StoreError, match="there is no store"):
        quintain.load(tmp_path / "none")


def test_help_of_run_is_that_of_the_function() -> None:
    text = pydoc.render_doc(quintain.run, renderer=pydoc.plaintext)
    assert "Run one cell, unless its result is in the store, and return its record." in text
    assert [*inspect.signature(quintain.run).parameters][:3] == ["dataset", "model", "store"]


def test_a_failed_run_returns_its_record(tmp_path: Path) -> None:
    settings = {"optimizer": {"lr": 1e20}, "budget": {"steps": 20}, "store": tmp_path / "results"}
    record = quintain.run("sunspots", "mlp", **settings, progress=False)
    assert record.status == "failed" and record.error.kind == "nan"
    assert str(record).startswith("failed: sunspots/mlp/cpu seed 1, nan: ")
    result = quintain.sweep("sunspots", "mlp", **settings, baselines=False, progress=False)
    assert [failure.key for failure in result.failed] == [record.key]
    assert "1 failed" in str(result) and "failed: sunspots/mlp" in str(result)


def test_results_are_escaped_in_notebooks(tmp_path: Path) -> None:
    store = Store(tmp_path / "results")
    hostile = "<script>alert(1)</script>"
    for model in ("mlp", hostile):
        for seed in (1, 2):
            store.write(make_record(model=model, seed=seed))
    board = quintain.leaderboard(store.path)
    comparison = quintain.compare("mlp", hostile, store.path)
    sweep = api.SweepResult(records=store.all(), text=hostile)
    for shown in (board, comparison, sweep, sweep.leaderboard(), store.all()[0], store.all()[-1]):
        assert "<script>" not in shown._repr_html_()
    assert "&lt;script&gt;" in board._repr_html_() and hostile in str(board)
    assert len(board.to_frame()) == 2 and len(comparison.to_frame()) == 1
    assert len(sweep.to_frame()) == 4


def test_a_script_needs_no_main_guard(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(
        textwrap.dedent("""
        import quintain.run.budget  # a module of the engine does not hide the function
        import quintain
        print("started")
        record = quintain.run("digits", "mlp", budget={"steps": 20}, wandb={"mode": "disabled"})
        print(record.status)
        """)
    )
    done = subprocess.run(
        [sys.executable, str(script)], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    lines = done.stdout.splitlines()
    assert lines.count("started") == 1 and lines[-1] == "ok"


def test_importing_quintain_is_light() -> None:
    code = "import quintain, sys; print([m for m in sys.modules if m.startswith('quintain')])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert set(ast.literal_eval(done.stdout)) == {"quintain", "quintain._version"}
    assert set(quintain.__all__) <= {*dir(api), "Store", "__version__"}
