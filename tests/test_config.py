"""From words to configurations: sweeps, the order of the defaults, what is wrong with words."""

from pathlib import Path

import pytest
import yaml
from words import ROOT, cell, composed, plan, told

from quintain.compose.bind import problems
from quintain.compose.cells import PARTS
from quintain.compose.config import compose_one, composer, default_data_dir
from quintain.compose.expand import expand
from quintain.compose.preflight import misfits
from quintain.compose.settings import CLUSTERS, KNOWN, TABLES


def jobs(*words):
    with composer():
        return expand(words)


@pytest.mark.parametrize(
    ("word", "values"),
    [
        ("seed=1,2", ["1", "2"]),
        ("seed=range(1,4)", ["1", "2", "3"]),
        ("model=choice(rnn,mlp)", ["rnn", "mlp"]),
        ("model=glob(*nn)", ["cnn", "rnn"]),
        ("model=glob([l*,g*])", ["gru", "lstm"]),
        ("model=lstm,lstm", ["lstm"]),
    ],
)
def test_sweep_syntax(word, values):
    key = word.partition("=")[0]
    assert jobs(word) == [[f"{key}={value}"] for value in values]


def test_sweeps_multiply():
    assert len(jobs("model=rnn,mlp", "seed=1,2,3", "budget.steps=5")) == 6


def test_a_suite_brings_its_sweep_and_the_command_line_replaces_parts_of_it():
    assert len(jobs("suite=quick")) == 30
    assert len(jobs("suite=quick", "model=rnn")) == 5
    assert len(jobs("suite=quick", "dataset=digits", "model=rnn")) == 1


def test_a_setting_that_only_the_swept_models_have():
    found = composed("model=lstm,gru", "model.direction=both")
    assert [one.config["model"]["direction"] for one in found] == ["both", "both"]


def test_a_dataset_chooses_its_stem_and_head():
    (one,) = composed("dataset=pydoc")
    assert one.choices["stem"] == "text"
    assert one.choices["head"] == "next_token"


def test_the_command_line_beats_the_dataset():
    (one,) = composed("dataset=digits", "stem=video")
    assert one.choices["stem"] == "video"


@pytest.fixture
def suite(tmp_path, monkeypatch):
    """A suite that says something of every part."""
    folder = tmp_path / "conf" / "suite"
    folder.mkdir(parents=True)
    (folder / "mine.yaml").write_text(
        "# @package _global_\n"
        "defaults:\n"
        "  - override /dataset: digits\n"
        "  - override /stem: video\n"
        "  - override /model: lstm\n"
        "budget: {steps: 7}\n"
        "optimizer: {lr: 0.5}\n"
        "model: {num_layers: 3}\n"
        "hydra: {sweeper: {params: {seed: '1,2'}}}\n"
    )
    monkeypatch.setenv("QUINTAIN_PLUGINS", str(tmp_path))


def test_a_suite_beats_dataset_model_budget_and_optimizer(suite):
    first, second = composed("suite=mine")
    config = first.config
    assert (first.choices["stem"], first.choices["model"]) == ("video", "lstm")
    assert (config["budget"]["steps"], config["optimizer"]["lr"]) == (7, 0.5)
    assert config["model"]["num_layers"] == 3
    assert (config["seed"], second.config["seed"]) == (1, 2)


def test_the_command_line_beats_a_suite(suite):
    (one,) = composed("suite=mine", "seed=4", "model=rnn", "budget.steps=9", "model.num_layers=1")
    assert one.choices["model"] == "rnn"
    assert (one.config["seed"], one.config["budget"]["steps"]) == (4, 9)
    assert one.config["model"]["num_layers"] == 1


def test_duplicates_are_one_cell():
    assert len(plan("model=rnn", "model.num_layers=1,1", "seed=1,2").cells) == 2


def test_top_level_settings_are_few():
    """A ratchet: whoever adds one has to say so here, and in `compose.settings`."""
    (one,) = composed()
    assert set(one.config) == set(KNOWN)
    assert len(KNOWN) == 18
    for name, keys in TABLES.items():
        assert tuple(one.config[name]) == keys
    for name, keys in CLUSTERS.items():
        assert tuple(one.config["launch"][name]) == keys


def test_data_dir(monkeypatch):
    monkeypatch.setenv("QUINTAIN_DATA", "elsewhere")
    assert default_data_dir() == "elsewhere"
    assert composed("dataset=fsdd")[0].config["dataset"]["data_dir"] == "elsewhere"
    monkeypatch.delenv("QUINTAIN_DATA")
    assert Path(default_data_dir()).name == "quintain"


BY_GROUP = {
    folder.name: sorted(path.stem for path in folder.glob("*.yaml"))
    for folder in (ROOT / "conf").iterdir()
    if folder.is_dir() and folder.name not in ("suite", "__pycache__")
}


@pytest.mark.parametrize("row", range(max(map(len, BY_GROUP.values()))))
def test_every_yaml_composes_and_binds(row):
    """One option of each group at a time: composing each alone would take long.

    A dataset brings its own stem and head.
    """
    words = [
        f"{group}={names[row % len(names)]}"
        for group, names in BY_GROUP.items()
        if group not in ("stem", "head")
    ]
    (one,) = composed(*words, *_given(BY_GROUP["dataset"][row]))
    assert misfits(one.config) == []
    assert not [p for part in PARTS for p in _foreign(part, one.config[part])]


SUITES = [
    path.relative_to(ROOT / "conf" / "suite").with_suffix("").as_posix()
    for path in sorted((ROOT / "conf" / "suite").rglob("*.yaml"))
]


@pytest.mark.parametrize("suite", SUITES)
def test_every_suite_composes(suite):
    with composer():
        found = compose_one(expand([f"suite={suite}", "hardware=cpu"])[0])
    assert misfits(found.config) == []


def _given(dataset):
    """A word for each setting that a dataset's user has to give."""
    node = yaml.safe_load((ROOT / "conf" / "dataset" / f"{dataset}.yaml").read_text())["dataset"]
    return [f"dataset.{key}={ROOT}" for key, value in node.items() if value == "???"]


def _foreign(part, node):
    """A target of our own YAML that is not ours."""
    return [] if node["_target_"].startswith("quintain.") else problems(part, node, extra=set())


# What is wrong with words ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("word", "says"),
    [
        ("dataset=digitz", "no such dataset; did you mean digits? Known: "),
        ("model=lstn", "no such model; did you mean lstm? Known: cnn, "),
        ("hardware=gpu", "no such hardware"),
        ("suite=quik", "no such suite; did you mean quick?"),
        ("model=", "expected the name of one model. Known: cnn, "),
        ("model=null", "expected the name of one model"),
        ("model=[rnn,mlp]", "expected the name of one model"),
        ("suite=quick,paired", "suite=quick,paired: a suite is a sweep of its own"),
        ("~model", "a run needs its model"),
        ("modle=lstm", "there is no setting modle; did you mean model?"),
        ("model.widht=3", "model=mlp has no setting widht; did you mean width?"),
        ("model.width.x=3", "model.width is a value and has no settings"),
        ("budget.stpes=3", "budget=quick has no setting stpes; did you mean steps?"),
        ("launch.wrkers=3", "there is no setting launch.wrkers; did you mean workers?"),
        ("+launch.wrkers=3", "launch.wrkers: there is no such setting; did you mean workers?"),
        ("+foo=1", "foo: there is no such setting"),
        ("~seed", "seed cannot be left out"),
        ("launch=3", "launch has settings (executor, workers, time_limit, memory_limit"),
        ("model", "'model' is no setting; expected key=value"),
        ("model=,", "cannot be read"),
        ("model=glob(x*)", "matches no option"),
        ("model.width=interval(1,2)", "an interval cannot be swept"),
        ("dataset.path=a (b", "quote it"),
        ("seed=x", "seed must be a whole number from 0 to 2^31 - 1, came 'x'"),
        ("seed=-1", "came -1"),
        ("seed=1.5", "came 1.5"),
        ("seed=true", "came True"),
        ("seed=1,x", "came 'x'"),
        ("store=null", "store must be the name of a folder"),
        ("launch.workers=1.5", "launch.workers must be a whole number above 0"),
        ("launch.time_limit=0", "launch.time_limit must be seconds above 0"),
        ("launch.memory_limit=0", "launch.memory_limit must be MiB above 0 or null, came 0"),
        (
            "launch.hang_limit=soon",
            "launch.hang_limit must be seconds above 0 or null, came 'soon'",
        ),
        ("launch.grace=-1", "launch.grace must be seconds, 0 or above, came -1"),
        ("launch.checkpoint_every=-1", "launch.checkpoint_every must be seconds, 0 or above, or"),
        ("wandb.mode=on", "wandb.mode must be one of auto, online, offline, disabled"),
        ("hydra/launcher=jblib", "Could not find 'hydra/launcher/jblib'"),
    ],
)
def test_one_clear_sentence(word, says):
    (sentence,) = told(word)
    assert says in sentence


def test_all_problems_at_once():
    words = ("dataset=digitz", "model=lstn", "model.widht=3", "seed=-1", "budget.steps=0")
    found = told(*words)
    assert len(found) == 5
    for says in ("digits?", "lstm?", "model=lstm has no setting widht", "seed must", "steps must"):
        assert any(says in sentence for sentence in found), says


def test_unreadable_words_do_not_hide_unknown_options():
    assert len(told("model", "dataset=digitz")) == 2


def test_settings_of_a_model_that_cannot_be_guessed_are_not_judged():
    (sentence,) = told("model=xyzzy", "model.foo=1")
    assert "no such model" in sentence


def test_each_problem_of_a_sweep_is_told_once():
    assert len(told("dataset=digits,pydoc", "seed=1,2", "model.widht=3")) == 1


def test_quoted_options_are_options():
    assert cell("model='lstm'").names["model"] == "lstm"


def test_a_yaml_that_cannot_be_read(tmp_path, monkeypatch):
    broken = tmp_path / "conf" / "model" / "broken.yaml"
    broken.parent.mkdir(parents=True)
    broken.write_text("_target_: [")
    monkeypatch.setenv("QUINTAIN_PLUGINS", str(tmp_path))
    (sentence,) = told("model=broken")
    assert "flow" in sentence or "broken.yaml" in sentence


def test_a_default_that_is_left_out_is_the_signatures():
    (one,) = composed("~model.num_layers")
    assert "num_layers" not in one.config["model"]
    assert misfits(one.config) == []
