"""The command line as users see it: exit codes, messages, machine-readable output."""

import json
import re

import pytest
from helpers.commands import SHORT_RUN, run_quintain, write_file

from quintain.cli.main import main

MODEL = """
import torch
from torch import nn
from quintain.contracts import Features, Unsupported

class Variable(nn.Module):
    input_layout = "sequence"

    def __init__(self, inp: Features, *, width: float = 4.0, behaviour: str = "good"):
        super().__init__()
        if behaviour == "unsupported":
            raise Unsupported("not on this data")
        self.out, self.behaviour = Features(**{**vars(inp), "dim": 4}), behaviour
        self.net = nn.Linear(inp.dim, 4)

    def forward(self, x, mask):
        if self.behaviour == "broken":
            raise RuntimeError("a bug in the model")
        return self.net(x), mask
"""
CONFIG = """_target_: quintain_local.model.variable.Variable
width: 4
behaviour: good
card: {about: variable}
"""


@pytest.fixture(scope="module")
def sweep_result(tmp_path_factory):
    """A folder with a sweep of good, failing and skipped cells, and the result of the command."""
    folder = tmp_path_factory.mktemp("sweep")
    write_file(folder / "own" / "plugins" / "model" / "variable.py", MODEL)
    write_file(folder / "own" / "conf" / "model" / "variable.yaml", CONFIG)
    return folder, run_quintain("sweep", *SWEEP, cwd=folder)


SWEEP = (
    "dataset=sunspots",
    "model=variable",
    "model.behaviour=good,broken,unsupported",
    "plugins_dir=own",
    "budget.params=null",
    *SHORT_RUN,
)


def run_as_json(folder, *arguments):
    code, out, err = run_quintain(*arguments, "--format", "json", cwd=folder)
    assert code == 0, err
    return json.loads(out)


def test_a_failing_cell_does_not_stop_the_sweep(sweep_result):
    folder, (code, out, err) = sweep_result
    assert code == 1, err
    assert "a bug in the model" in out
    rows = [(r["status"], r["model"]) for r in run_as_json(folder, "records")]
    assert sorted(rows) == [
        ("failed", "variable"),
        ("ok", "linear"),
        ("ok", "persistence"),
        ("ok", "seasonal_naive"),
        ("ok", "variable"),
        ("skipped", "variable"),
    ]


def test_the_reason_for_skipping_a_cell_is_recorded(sweep_result):
    (skipped,) = [r for r in run_as_json(sweep_result[0], "records") if r["status"] == "skipped"]
    assert skipped["why"] == "not on this data"


def test_the_leaderboard_has_the_documented_fields(sweep_result):
    board = run_as_json(sweep_result[0], "leaderboard")
    documented = (
        "dataset, modality, task, model, hardware, metric, direction, mean, ci_low, ci_high, n, "
        "params, train_seconds, samples_per_second, baseline, reference"
    )
    assert len(board["rows"]) >= 4
    for row in board["rows"]:
        assert set(documented.split(", ")) <= set(row)
        assert row["direction"] in ("min", "max")
    assert {row["model"]: row["reference"] for row in board["rows"]}["persistence"] is True


def test_reading_commands_accept_settings_of_the_sweep(sweep_result):
    arguments = ("launch.workers=1", "launch.time_limit=9", "wandb.mode=disabled", "data_dir=x")
    for command in ("records", "leaderboard"):
        records = run_as_json(sweep_result[0], command, "plugins_dir=own", *arguments)
        assert records == run_as_json(sweep_result[0], command)


def test_finished_cells_do_not_run_again(sweep_result):
    folder, _ = sweep_result
    arguments = [w.replace("good,broken,unsupported", "good") for w in SWEEP]
    code, out, _ = run_quintain("sweep", *arguments, cwd=folder)
    assert code == 0
    assert "4 cells: 0 ran, 4 were in the store" in out


def test_list_as_json(capsys):
    assert main(["list", "model", "hardware", "--format", "json"]) == 0
    rows = json.loads(capsys.readouterr().out)
    assert {row["group"] for row in rows} == {"model", "hardware"}
    assert {"option", "about", "provider", "needs", "missing", "hint"} <= set(rows[0])


# Tests below call `main` in this process, because they start no run -----------------------------


@pytest.fixture
def usage_errors(tmp_path, monkeypatch, capsys):
    """A function that runs a wrong command and returns its messages; it may write no file."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("QUINTAIN_PLUGINS", "")  # `plugins_dir=` sets it

    def run(*arguments):
        before = sorted(tmp_path.rglob("*"))
        assert main(arguments) == 2
        assert sorted(tmp_path.rglob("*")) == before
        out, err = capsys.readouterr()
        assert out == ""
        return re.findall(r"^quintain: (.*)$", err, flags=re.MULTILINE)

    return run


def test_all_problems_are_reported_at_once(usage_errors):
    arguments = ("dataset=digitz", "model=lstn", "model.widht=3", "seed=-1", "budget.steps=0")
    assert len(usage_errors("run", *arguments)) == 5


@pytest.mark.parametrize("command", ["run", "sweep", "check"])
def test_the_nearest_model_is_suggested(usage_errors, command):
    (message,) = usage_errors(command, "model=lstn")
    assert "did you mean lstm?" in message


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (("run", "model=rnn,mlp"), "these settings make 2 cells; expected 1: use quintain sweep"),
        (("run", "--fast"), "unknown option --fast; see quintain run --help"),
        (("sweep", "--dryrun"), "unknown option --dryrun; did you mean --dry-run?"),
        (
            ("sweep", "--config-dir", "x"),
            "Hydra's own options work with quintain run",
        ),
        (("swep",), "there is no command swep; did you mean sweep?"),
        (("sweep", "quick"), "as in model=lstm; did you mean suite=quick or budget=quick?"),
        (("run", "epochs=10"), "did you mean budget.steps (budgets count optimizer steps, not epo"),
        (("run", "hydra/sweeper=optuna"), "quintain tune searches settings"),
        (
            ("run", "hydra.run.dir=x"),
            "a run writes no files of its own",
        ),
        (("run", "-m", "hydra.run.dir=x"), "a run writes no files of its own"),
        (("run", "hydra.job.chdir=true"), "Hydra's own settings work with quintain run -m"),
        (("run", "dataset=digits", "store=a,b"), "store=a,b: a sweep has one store"),
        (("run", "-m", "model=rnn,lstn"), "did you mean lstm?"),
        (("list", "modle"), "there is no group modle; did you mean model?"),
        (("leaderboard", "store=nowhere"), "there is no store at nowhere"),
        (("records", "stor=x"), "stor: quintain records has no such setting; did you mean store?"),
        (("records", "stores"), "there is no store at stores"),
        (("records", "launch.worker=2"), "did you mean launch.workers?"),
        (
            ("leaderboard", "model.width=3"),
            "quintain leaderboard cannot select cells; it shows all",
        ),
        (("check", "dataset.path=x"), "nothing to check: give model=NAME"),
        (("check", "model=rnn", "model.widht=3"), "did you mean width?"),
        (("run", "plugins_dir=nowhere"), "nowhere is not a folder"),
    ],
)
def test_a_usage_error_is_one_message_and_exit_code_2(usage_errors, arguments, expected):
    (message,) = usage_errors(*arguments)
    assert expected in message


def test_a_store_that_is_a_file_is_refused(usage_errors, tmp_path):
    (tmp_path / "file").touch()
    for command in ("run", "leaderboard", "records"):
        (message,) = usage_errors(command, "store=file")
        assert "file" in message
        assert "folder" in message or "not a bundle" in message


@pytest.mark.parametrize(
    "command", ["run", "sweep", "leaderboard", "records", "list", "new", "check", "doctor"]
)
def test_every_command_has_help(command, capsys):
    with pytest.raises(SystemExit, match="0"):
        main([command, "--help"])
    assert f"quintain {command}" in capsys.readouterr().out
