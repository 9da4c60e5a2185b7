"""Overrides become configurations: sweeps, the order of the defaults, and problems."""

from pathlib import Path

import pytest
import yaml
from helpers.commands import compose_cell, compose_overrides, plan_overrides, usage_problems
from helpers.paths import ROOT

from quintain.compose.config import compose_job, default_data_dir, hydra_session
from quintain.compose.instantiate import find_node_problems
from quintain.compose.overrides import expand_overrides
from quintain.compose.settings import CLUSTER_TABLES, PARTS, TABLES, TOP_LEVEL_SETTINGS
from quintain.plan.preflight import find_signature_problems


def expand(*overrides):
    with hydra_session():
        return expand_overrides(overrides)


@pytest.mark.parametrize(
    ("override", "values"),
    [
        ("seed=1,2", ["1", "2"]),
        ("seed=range(1,4)", ["1", "2", "3"]),
        ("model=choice(rnn,mlp)", ["rnn", "mlp"]),
        ("model=glob(*nn)", ["cnn", "rnn"]),
        ("model=glob([l*,g*])", ["gru", "lstm"]),
        ("model=lstm,lstm", ["lstm"]),
    ],
)
def test_sweep_syntax(override, values):
    key = override.partition("=")[0]
    assert expand(override) == [[f"{key}={value}"] for value in values]


def test_sweeps_are_combined():
    assert len(expand("model=rnn,mlp", "seed=1,2,3", "budget.steps=5")) == 6


def test_a_suite_is_swept_and_overrides_replace_its_settings():
    assert len(expand("suite=quick")) == 30
    assert len(expand("suite=quick", "model=rnn")) == 5
    assert len(expand("suite=quick", "dataset=digits", "model=rnn")) == 1


def test_a_setting_of_all_swept_models():
    compositions = compose_overrides("model=lstm,gru", "model.direction=both")
    assert [composition.config["model"]["direction"] for composition in compositions] == [
        "both",
        "both",
    ]


def test_a_dataset_chooses_its_stem_and_head():
    (composition,) = compose_overrides("dataset=pydoc")
    assert composition.choices["stem"] == "text"
    assert composition.choices["head"] == "next_token"


def test_the_command_line_overrides_the_dataset():
    (composition,) = compose_overrides("dataset=digits", "stem=video")
    assert composition.choices["stem"] == "video"


@pytest.fixture
def suite(tmp_path, monkeypatch):
    """A suite that sets something in every part."""
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


def test_a_suite_overrides_dataset_model_budget_and_optimizer(suite):
    first, second = compose_overrides("suite=mine")
    config = first.config
    assert (first.choices["stem"], first.choices["model"]) == ("video", "lstm")
    assert (config["budget"]["steps"], config["optimizer"]["lr"]) == (7, 0.5)
    assert config["model"]["num_layers"] == 3
    assert (config["seed"], second.config["seed"]) == (1, 2)


def test_the_command_line_overrides_a_suite(suite):
    (composition,) = compose_overrides(
        "suite=mine", "seed=4", "model=rnn", "budget.steps=9", "model.num_layers=1"
    )
    assert composition.choices["model"] == "rnn"
    assert (composition.config["seed"], composition.config["budget"]["steps"]) == (4, 9)
    assert composition.config["model"]["num_layers"] == 1


def test_equal_jobs_are_one_cell():
    assert len(plan_overrides("model=rnn", "model.num_layers=1,1", "seed=1,2").cells) == 2


def test_top_level_settings_are_listed():
    """Adding a setting needs a change here and in `compose.settings`."""
    (composition,) = compose_overrides()
    assert set(composition.config) == set(TOP_LEVEL_SETTINGS)
    assert len(TOP_LEVEL_SETTINGS) == 18
    for name, keys in TABLES.items():
        assert tuple(composition.config[name]) == keys
    for name, keys in CLUSTER_TABLES.items():
        assert tuple(composition.config["launch"][name]) == keys


def test_data_dir(monkeypatch):
    monkeypatch.setenv("QUINTAIN_DATA", "elsewhere")
    assert default_data_dir() == "elsewhere"
    assert compose_overrides("dataset=fsdd")[0].config["dataset"]["data_dir"] == "elsewhere"
    monkeypatch.delenv("QUINTAIN_DATA")
    assert Path(default_data_dir()).name == "quintain"


BY_GROUP = {
    folder.name: sorted(path.stem for path in folder.glob("*.yaml"))
    for folder in (ROOT / "conf").iterdir()
    if folder.is_dir() and folder.name not in ("suite", "__pycache__")
}


@pytest.mark.parametrize("row", range(max(map(len, BY_GROUP.values()))))
def test_every_yaml_composes_and_fits_its_signature(row):
    """One option of each group at a time, because composing each by itself would take long.

    The dataset chooses stem and head.
    """
    overrides = [
        f"{group}={names[row % len(names)]}"
        for group, names in BY_GROUP.items()
        if group not in ("stem", "head")
    ]
    (composition,) = compose_overrides(*overrides, *_required_settings(BY_GROUP["dataset"][row]))
    assert find_signature_problems(composition.config) == []
    assert not [
        p for part in PARTS for p in _foreign_target_problems(part, composition.config[part])
    ]


SUITES = [
    path.relative_to(ROOT / "conf" / "suite").with_suffix("").as_posix()
    for path in sorted((ROOT / "conf" / "suite").rglob("*.yaml"))
]


@pytest.mark.parametrize("suite", SUITES)
def test_every_suite_composes(suite):
    with hydra_session():
        composition = compose_job(expand_overrides([f"suite={suite}", "hardware=cpu"])[0])
    assert find_signature_problems(composition.config) == []


def _required_settings(dataset):
    """Return an override for each setting that a dataset requires."""
    node = yaml.safe_load((ROOT / "conf" / "dataset" / f"{dataset}.yaml").read_text())["dataset"]
    return [f"dataset.{key}={ROOT}" for key, value in node.items() if value == "???"]


def _foreign_target_problems(part, node):
    """Return the problems of a target outside Quintain."""
    return [] if node["_target_"].startswith("quintain.") else find_node_problems(part, node)


# Problems -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("override", "expected"),
    [
        ("dataset=digitz", "no such dataset; did you mean digits? Known: "),
        ("model=lstn", "no such model; did you mean lstm? Known: cnn, "),
        ("hardware=gpu", "no such hardware"),
        ("suite=quik", "no such suite; did you mean quick?"),
        ("model=", "expected the name of one model. Known: cnn, "),
        ("model=null", "expected the name of one model"),
        ("model=[rnn,mlp]", "expected the name of one model"),
        ("suite=quick,paired", "quick,paired: a suite is a sweep, and a command runs only one"),
        ("~model", "a run needs its model"),
        ("modle=lstm", "there is no setting modle; did you mean model?"),
        ("model.widht=3", "model=mlp has no setting widht; did you mean width?"),
        ("model.width.x=3", "model.width is a value and has no settings"),
        ("budget.stpes=3", "budget=quick has no setting stpes; did you mean steps?"),
        ("launch.wrkers=3", "there is no setting launch.wrkers; did you mean workers?"),
        ("+launch.wrkers=3", "launch.wrkers: there is no such setting; did you mean workers?"),
        ("+foo=1", "foo: there is no such setting"),
        ("~seed", "seed cannot be left out"),
        ("launch=3", "launch must be a table of settings (executor, workers, time_limit, mem"),
        ("model", "'model' is not an override; expected key=value"),
        ("model=,", "model=,: there is no such model"),
        ("model=glob(x*)", "matches no option"),
        ("model.width=interval(1,2)", "an interval cannot be swept"),
        ("dataset.path=a (b", "if it is one string, type \"dataset.path='a (b'\""),
        ("seed=x", "seed must be a whole number from 0 to 2^31 - 1; got 'x'"),
        ("seed=-1", "got -1"),
        ("seed=1.5", "got 1.5"),
        ("seed=true", "got True"),
        ("seed=1,x", "got 'x'"),
        ("store=null", "store must be the name of a folder"),
        ("launch.workers=1.5", "launch.workers must be a whole number above 0"),
        ("launch.time_limit=0", "launch.time_limit must be seconds above 0"),
        ("launch.memory_limit=0", "launch.memory_limit must be MiB above 0 or null; got 0"),
        (
            "launch.hang_limit=soon",
            "launch.hang_limit must be seconds above 0 or null; got 'soon'",
        ),
        ("launch.grace=-1", "launch.grace must be seconds, 0 or above; got -1"),
        ("launch.checkpoint_every=-1", "launch.checkpoint_every must be seconds, 0 or above, or"),
        ("wandb.mode=on", "wandb.mode must be one of auto, online, offline, disabled"),
        ("hydra/launcher=jblib", "Hydra's launchers work with quintain run -m"),
    ],
)
def test_a_wrong_override_gives_one_message(override, expected):
    (message,) = usage_problems(override)
    assert expected in message


def test_all_problems_at_once():
    overrides = ("dataset=digitz", "model=lstn", "model.widht=3", "seed=-1", "budget.steps=0")
    messages = usage_problems(*overrides)
    assert len(messages) == 5
    for expected in (
        "digits?",
        "lstm?",
        "model=lstm has no setting widht",
        "seed must",
        "steps must",
    ):
        assert any(expected in message for message in messages), expected


def test_unreadable_overrides_do_not_hide_unknown_options():
    assert len(usage_problems("model", "dataset=digitz")) == 2


def test_settings_of_an_unknown_model_are_not_checked():
    (message,) = usage_problems("model=xyzzy", "model.foo=1")
    assert "no such model" in message


def test_each_problem_of_a_sweep_is_reported_once():
    assert len(usage_problems("dataset=digits,pydoc", "seed=1,2", "model.widht=3")) == 1


def test_quoted_options_are_options():
    assert compose_cell("model='lstm'").names["model"] == "lstm"


def test_a_yaml_that_cannot_be_read(tmp_path, monkeypatch):
    broken = tmp_path / "conf" / "model" / "broken.yaml"
    broken.parent.mkdir(parents=True)
    broken.write_text("_target_: [")
    monkeypatch.setenv("QUINTAIN_PLUGINS", str(tmp_path))
    (message,) = usage_problems("model=broken")
    assert "flow" in message or "broken.yaml" in message


def test_a_deleted_setting_has_the_default_of_the_signature():
    (composition,) = compose_overrides("~model.num_layers")
    assert "num_layers" not in composition.config["model"]
    assert find_signature_problems(composition.config) == []
