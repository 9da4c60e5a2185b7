"""The command line, as a user meets it: exit codes, sentences, machine-readable output."""

import json
import re

import pytest
from words import QUIET, quintain, write

from quintain.cli import main

MODEL = """
import torch
from torch import nn
from quintain.contracts import Features, Skip

class Moody(nn.Module):
    reads = "sequence"

    def __init__(self, inp: Features, *, width: float = 4.0, mood: str = "good"):
        super().__init__()
        if mood == "shy":
            raise Skip("only on Sundays")
        self.out, self.mood = Features(**{**vars(inp), "dim": 4}), mood
        self.net = nn.Linear(inp.dim, 4)

    def forward(self, x, mask):
        if self.mood == "bad":
            raise RuntimeError("not today")
        return self.net(x), mask
"""
MOODY = "_target_: quintain_local.model.moody.Moody\nwidth: 4\nmood: good\ncard: {about: moody}\n"


@pytest.fixture(scope="module")
def swept(tmp_path_factory):
    """A folder with a sweep of good, failing and skipped cells, and what the command said."""
    folder = tmp_path_factory.mktemp("swept")
    write(folder / "own" / "plugins" / "model" / "moody.py", MODEL)
    write(folder / "own" / "conf" / "model" / "moody.yaml", MOODY)
    return folder, quintain("sweep", *SWEEP, cwd=folder)


SWEEP = (
    "dataset=sunspots",
    "model=moody",
    "model.mood=good,bad,shy",
    "plugins_dir=own",
    "budget.params=null",
    *QUIET,
)


def as_json(folder, *words):
    code, out, err = quintain(*words, "--format", "json", cwd=folder)
    assert code == 0, err
    return json.loads(out)


def test_a_failing_cell_does_not_stop_the_sweep(swept):
    folder, (code, out, err) = swept
    assert code == 1, err
    assert "not today" in out
    found = [(r["status"], r["model"]) for r in as_json(folder, "records")]
    assert sorted(found) == [
        ("failed", "moody"),
        ("ok", "linear"),
        ("ok", "moody"),
        ("ok", "persistence"),
        ("ok", "seasonal_naive"),
        ("skipped", "moody"),
    ]


def test_the_reason_of_a_skip_is_recorded(swept):
    (skipped,) = [r for r in as_json(swept[0], "records") if r["status"] == "skipped"]
    assert skipped["why"] == "only on Sundays"


def test_the_leaderboard_has_the_promised_fields(swept):
    board = as_json(swept[0], "leaderboard")
    promised = (
        "dataset, modality, task, model, hardware, metric, direction, mean, ci_low, ci_high, n, "
        "params, train_seconds, samples_per_second, reference"
    )
    assert len(board["rows"]) >= 4
    for row in board["rows"]:
        assert set(promised.split(", ")) <= set(row)
        assert row["direction"] in ("min", "max")
    assert {row["model"]: row["reference"] for row in board["rows"]}["persistence"] is True


def test_reading_takes_the_words_of_running(swept):
    words = ("launch.workers=1", "launch.time_limit=9", "wandb.mode=disabled", "data_dir=x")
    for command in ("records", "leaderboard"):
        found = as_json(swept[0], command, "plugins_dir=own", *words)
        assert found == as_json(swept[0], command)


def test_what_is_done_is_not_done_again(swept):
    folder, _ = swept
    words = [w.replace("good,bad,shy", "good") for w in SWEEP]
    code, out, _ = quintain("sweep", *words, cwd=folder)
    assert code == 0
    assert "4 cells: 0 ran, 4 were in the store" in out


def test_list_as_json(capsys):
    assert main(["list", "model", "hardware", "--format", "json"]) == 0
    rows = json.loads(capsys.readouterr().out)
    assert {row["group"] for row in rows} == {"model", "hardware"}
    assert {"option", "about", "provider", "needs", "missing", "hint"} <= set(rows[0])


# In this process: nothing below starts a run ------------------------------------------------------


@pytest.fixture
def usage(tmp_path, monkeypatch, capsys):
    """Runs a command that cannot be done: its sentences. Nothing may be written, torch included."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("QUINTAIN_PLUGINS", "")  # `plugins_dir=` sets it

    def run(*words):
        before = sorted(tmp_path.rglob("*"))
        assert main(words) == 2
        assert sorted(tmp_path.rglob("*")) == before
        out, err = capsys.readouterr()
        assert out == ""
        return re.findall(r"^quintain: (.*)$", err, flags=re.MULTILINE)

    return run


def test_all_problems_at_once(usage):
    words = ("dataset=digitz", "model=lstn", "model.widht=3", "seed=-1", "budget.steps=0")
    assert len(usage("run", *words)) == 5


@pytest.mark.parametrize("command", ["run", "sweep", "check"])
def test_an_unknown_model(usage, command):
    (sentence,) = usage(command, "model=lstn")
    assert "did you mean lstm?" in sentence


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("run", "model=rnn,mlp"), "these settings make 2 cells; expected 1: use quintain sweep"),
        (("run", "--fast"), "unknown option --fast; see quintain run --help"),
        (("run", "-m", "model=rnn,lstn"), "did you mean lstm?"),
        (("list", "modle"), "there is no group modle; did you mean model?"),
        (("leaderboard", "store=nowhere"), "there is no store at nowhere"),
        (("records", "stor=x"), "stor: no such setting here; did you mean store?"),
        (("records", "stores"), "there is no store at stores"),
        (("records", "launch.worker=2"), "did you mean launch.workers?"),
        (("leaderboard", "model.width=3"), "leaderboard takes no choice of cells; it shows all"),
        (("check", "dataset.path=x"), "say what to check"),
        (("check", "model=rnn", "model.widht=3"), "did you mean width?"),
        (("run", "plugins_dir=nowhere"), "nowhere is not a folder"),
    ],
)
def test_one_sentence_and_exit_code_2(usage, words, says):
    (sentence,) = usage(*words)
    assert says in sentence


def test_a_store_that_is_a_file(usage, tmp_path):
    (tmp_path / "file").touch()
    for command in ("run", "leaderboard", "records"):
        (sentence,) = usage(command, "store=file")
        assert "file" in sentence
        assert "folder" in sentence


@pytest.mark.parametrize(
    "command", ["run", "sweep", "leaderboard", "records", "list", "new", "check", "doctor"]
)
def test_every_command_has_help(command, capsys):
    with pytest.raises(SystemExit, match="0"):
        main([command, "--help"])
    assert f"quintain {command}" in capsys.readouterr().out
