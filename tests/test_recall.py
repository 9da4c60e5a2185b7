"""What the same words made last time is used only to see that nothing is left to do."""

import json

import pytest
from words import plan, write

from quintain.compose.cells import package_hash, source_hash
from quintain.compose.config import composer
from quintain.compose.plan import plan_file
from quintain.compose.recall import digest, recall

WORDS = ("dataset=sunspots", "model=own")


@pytest.fixture
def own(tmp_path, monkeypatch):
    """A plugin folder with a model of ours, in use."""
    source = "from quintain.plugins.model.recurrent import Recurrent as Own\n"
    write(tmp_path / "own" / "plugins" / "model" / "own.py", source)
    yaml = "_target_: quintain_local.model.own.Own\ncell: rnn\nwidth: 8\n"
    write(tmp_path / "own" / "conf" / "model" / "own.yaml", yaml)
    monkeypatch.setenv("QUINTAIN_PLUGINS", str(tmp_path / "own"))
    return tmp_path / "own"


def name(*words, references=True):
    with composer():
        return digest(words, references)


def test_the_same_words_have_the_same_name(own):
    assert name(*WORDS) == name(*WORDS) is not None


def test_what_changes_the_name(own, monkeypatch):
    first = name(*WORDS)
    assert name(*WORDS, "seed=2") != first
    with monkeypatch.context() as elsewhere:  # where the same relative path is another file
        elsewhere.chdir(own)
        assert name(*WORDS) != first
    with monkeypatch.context() as later:  # pydoc's text comes with Python
        later.setattr("sys.version", "9.9")
        assert name(*WORDS) != first
    assert name(*WORDS, references=False) != first
    with (own / "conf" / "model" / "own.yaml").open("a") as file:
        file.write("num_layers: 2\n")
    second = name(*WORDS)
    assert second != first
    monkeypatch.setenv("QUINTAIN_DATA", "elsewhere")
    assert name(*WORDS) != second


def test_a_yaml_that_reads_the_environment_is_never_recalled(own):
    with (own / "conf" / "model" / "own.yaml").open("a") as file:
        file.write("num_layers: ${oc.env:LAYERS}\n")
    assert name(*WORDS) is None


def test_a_word_that_reads_the_environment_is_never_recalled(own):
    assert name(*WORDS, "model.width=${oc.env:WIDTH}") is None


@pytest.fixture
def store(own, tmp_path):
    """A store in which the plan of WORDS lies."""
    made = plan(*WORDS, f"store={tmp_path / 'store'}")
    file = write(plan_file(made.settings.store, made.name), made.to_json())
    return made, file


def all_done(store, key):
    return "ok"


def again(made, status):
    return plan(*WORDS, f"store={made.settings.store}", status=status)


def test_a_plan_is_recalled(store):
    made, file = store
    assert [c.key for c in recall(file)] == [p.cell.key for p in made.cells]
    assert [p.action for p in again(made, all_done).cells] == ["cached"]


def test_a_plugins_new_source_is_seen(store, own):
    _, file = store
    with (own / "plugins" / "model" / "own.py").open("a") as source:
        source.write("# changed\n")
    source_hash.cache_clear()
    package_hash.cache_clear()
    assert recall(file) is None


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"cells": [{"cell": {"key": 1}}]}'])
def test_a_damaged_plan_is_nothing(store, text):
    made, file = store
    file.write_text(text)
    assert recall(file) is None
    assert [p.cell.key for p in again(made, all_done).cells] == [p.cell.key for p in made.cells]


def test_nothing_of_a_tampered_plan_is_executed(store, tmp_path, monkeypatch):
    """Its targets are neither imported nor run, whatever the store says is done."""
    made, file = store
    write(tmp_path / "evil.py", f"open({str(tmp_path / 'owned')!r}, 'w')\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    tampered = json.loads(file.read_text())
    (group,) = tampered["groups"].values()
    tampered["parts"][group["config"]["model"]]["_target_"] = "evil.Evil"
    group["sources"]["evil.Evil"] = source_hash("evil.Evil")
    file.write_text(json.dumps(tampered))
    for status in (all_done, lambda store, key: None):
        found = again(made, status)
        targets = [c.config["model"]["_target_"] for c in found.to_run()]
        assert "evil.Evil" not in targets
    assert not (tmp_path / "owned").exists()
