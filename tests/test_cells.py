"""A cell's key depends on what decides the result, and on nothing else."""

import hashlib
import importlib
import json
import os
import time

import pytest
from words import cell, write

from quintain.compose.cells import (
    Cell,
    deciding,
    make_cell,
    package_hash,
    source_hash,
    targets,
)
from quintain.compose.errors import UsageError
from quintain.compose.thaw import changed_sources, thaw

PINNED = {"card": {"fingerprint": "sha256:0"}}
WORDS = ("dataset=sunspots", "model=lstm")


@pytest.fixture(scope="module")
def usual():
    return cell(*WORDS)


def test_the_algorithm_of_the_key_is_fixed():
    """Computed here from the text of the payload: a change makes every stored record stale."""
    config = {
        "dataset": {"_target_": "quintain.run.D", "n": 3, "data_dir": "/x"} | PINNED,
        "stem": {"_target_": "quintain.run.S"},
        "head": {"_target_": "quintain.run.H", "card": {"about": "?", "fingerprint": "sha256:1"}},
        "hardware": {"_target_": "quintain.run.W"},
    }
    names = dict.fromkeys(config, "a")
    made = make_cell(config, names, seed=5, reference="majority")
    text = (
        '{"dataset":{"_target_":"quintain.run.D","fingerprint":"sha256:0","n":3},'
        '"hardware":{"_target_":"quintain.run.W"},'
        '"head":{"_target_":"quintain.run.H","fingerprint":"sha256:1"},'
        '"reference":"majority","results_version":RV,SEED"sources":{},'
        '"stem":{"_target_":"quintain.run.S"}}'
    )
    from quintain.compose.cells import RESULTS_VERSION

    text = text.replace("RV", str(RESULTS_VERSION))
    with_seed, without = text.replace("SEED", '"seed":5,'), text.replace("SEED", "")
    assert made.key == hashlib.sha256(with_seed.encode()).hexdigest()[:32]
    assert made.group == hashlib.sha256(without.encode()).hexdigest()[:32]


@pytest.mark.parametrize(
    "words",
    [
        ("store=elsewhere",),
        ("data_dir=/elsewhere",),
        ("launch.workers=7", "launch.time_limit=9"),
        ("wandb.mode=disabled", "wandb.project=p"),
        ("dataset.card.about='other words'", "model.card.citation=null"),
        ("model.num_layers=1",),  # what it is anyway
    ],
)
def test_places_cards_and_launching_do_not_change_the_key(usual, words):
    assert cell(*WORDS, *words).key == usual.key


def test_the_order_of_words_does_not_change_the_key(usual):
    assert cell(*reversed(WORDS)).key == usual.key


def test_plugin_folders_do_not_change_the_key(usual, tmp_path, monkeypatch):
    monkeypatch.setenv("QUINTAIN_PLUGINS", str(tmp_path))
    assert cell(*WORDS).key == usual.key


@pytest.mark.parametrize(
    "word",
    [
        "model.num_layers=2",
        "model=gru",
        "budget.steps=7",
        "optimizer.lr=0.1",
        "hardware.threads=2",
        "+dataset.horizon=3",
        "dataset.card.fingerprint='sha256:00'",
    ],
)
def test_whatever_decides_the_result_changes_the_key(usual, word):
    other = cell(*WORDS, "hardware=cpu", word)
    assert other.key != usual.key
    assert other.group != usual.group


def test_the_seed_changes_the_key_and_not_the_group(usual):
    other = cell(*WORDS, "seed=2")
    assert other.key != usual.key
    assert other.group == usual.group


def test_a_byte_of_a_plugins_source_changes_the_key(tmp_path, monkeypatch):
    source = write(tmp_path / "plugins" / "model" / "bytes.py", "class Bytes: ...\n")
    write(
        tmp_path / "conf" / "model" / "bytes.yaml", "_target_: quintain_local.model.bytes.Bytes\n"
    )
    monkeypatch.setenv("QUINTAIN_PLUGINS", str(tmp_path))
    before = cell("model=bytes")
    source.write_text("class Bytes: ...\n\n")
    after = cell("model=bytes")
    assert before.key != after.key
    source.write_bytes(b"class Bytes: ...\r\n")  # as git may check it out elsewhere
    assert cell("model=bytes").key == before.key


def test_a_helper_beside_a_plugin_changes_the_key(tmp_path, monkeypatch):
    helper = write(tmp_path / "plugins" / "model" / "_help.py", "GAIN = 1\n")
    write(tmp_path / "plugins" / "model" / "helped.py", "class Helped: ...\n")
    yaml = "_target_: quintain_local.model.helped.Helped\n"
    write(tmp_path / "conf" / "model" / "helped.yaml", yaml)
    monkeypatch.setenv("QUINTAIN_PLUGINS", str(tmp_path))
    before = cell("model=helped")
    helper.write_text("GAIN = 2\n")
    assert cell("model=helped").key != before.key


def test_a_helper_behind_a_link_counts_and_a_loop_ends(tmp_path):
    helper = write(tmp_path / "shared" / "helper.py", "A = 1\n")
    plugin = write(tmp_path / "own" / "mine.py", "from .common import helper\n")
    alone = package_hash(str(plugin.parent))
    (plugin.parent / "common").symlink_to(helper.parent)
    (plugin.parent / "loop").symlink_to(plugin.parent)
    package_hash.cache_clear()
    first = package_hash(str(plugin.parent))
    helper.write_text("A = 2\n")
    package_hash.cache_clear()
    assert len({alone, first, package_hash(str(plugin.parent))}) == 3


def test_files_that_changed_since_the_cell_was_made_are_seen(tmp_path):
    table = write(tmp_path / "t.csv", "a\n" + "\n".join(str(n % 7) for n in range(300)) + "\n")
    made = cell("dataset=csv_series", f"dataset.path={table}", "dataset.target=a", "model=mlp")
    assert changed_sources(made) == "" and thaw(json.loads(made.to_json())).key == made.key
    table.write_text(table.read_text().replace("6", "5"))
    told = "what is in the files of dataset=csv_series has changed since the plan was made"
    assert told in changed_sources(made)
    with pytest.raises(UsageError, match=told):
        thaw(json.loads(made.to_json()))
    assert changed_sources(made, since=time.time() + 60) == ""  # not touched since
    os.utime(table, (0, 0))  # a time that a copy has set back
    assert told in changed_sources(made, since=time.time() - 60)
    table.unlink()
    assert told in changed_sources(made)


def test_a_link_that_leads_elsewhere_is_seen(tmp_path):
    text = "a\n" + "\n".join(str(n % 7) for n in range(300)) + "\n"
    one, other = write(tmp_path / "1.csv", text), write(tmp_path / "2.csv", text.replace("6", "5"))
    table = tmp_path / "t.csv"
    table.symlink_to(one)
    made = cell("dataset=csv_series", f"dataset.path={table}", "dataset.target=a", "model=mlp")
    time.sleep(0.02)  # the kernel's clock moves on
    since = time.time() - 0.01
    assert changed_sources(made, since) == ""
    time.sleep(0.02)
    table.unlink()
    table.symlink_to(other)
    assert "has changed since the plan was made" in changed_sources(made, since)


def test_a_secret_that_was_taken_out_is_said(usual):
    plain = json.loads(usual.to_json())
    plain["config"]["dataset"]["data_dir"] = "[redacted]"
    plain["config"]["model"]["cell"] = "[redacted]"
    with pytest.raises(UsageError, match="a secret was taken out of the cell's settings"):
        thaw(plain)


def test_where_data_lie_decides_unless_they_have_a_fingerprint():
    one, other = {"data_dir": "/a"}, {"data_dir": "/b"}
    assert deciding(one) != deciding(other)
    assert deciding(one | PINNED) == deciding(other | PINNED)


def test_a_text_of_python_decides():
    (_, text), *_ = deciding({"card": {"python_text": "pydoc_data.topics"}}).items()
    assert text == source_hash_of("pydoc_data.topics")
    with pytest.raises(UsageError, match="python_text"):
        deciding({"card": {"python_text": "nowhere"}})


def source_hash_of(module):
    return hashlib.sha256(
        importlib.import_module(module).__loader__.get_data(
            importlib.import_module(module).__file__
        )
    ).hexdigest()


@pytest.mark.parametrize("word", ["optimizer.lr=nan", "model.num_layers=inf"])
def test_a_number_that_is_none(word):
    with pytest.raises(UsageError, match=f"{word.partition('=')[0]} must be a finite number"):
        cell(*WORDS, word)


def test_a_cell_survives_json(usual):
    assert Cell.from_json(usual.to_json()) == usual
    assert json.loads(usual.to_json())["key"] == usual.key


def test_the_engine_is_covered_by_the_version_of_results(usual):
    assert set(targets(usual.config)) > set(usual.sources)
    assert all(target.startswith("quintain.plugins.") for target in usual.sources)


@pytest.mark.parametrize("target", ["nowhere.Thing", "Thing", "sys.exit", "quintain.plugins.x.Y"])
def test_a_target_without_a_file(target):
    with pytest.raises(UsageError, match="_target_"):
        source_hash(target)


def test_a_cell_of_a_file_is_checked(usual):
    plain = json.loads(usual.to_json())
    assert thaw(plain) == usual
    evil = plain["config"] | {"model": {"_target_": "evil.Evil"}}
    for change, words in [
        ({"config": evil}, "it was changed"),
        ({"seed": 2}, "it was changed"),
        ({"key": "../x"}, "key cannot be read"),
        ({"config": {"model": 1}}, "config cannot be read"),
        ({"more": 1}, "no field more"),
    ]:
        with pytest.raises(UsageError, match=words):
            thaw(plain | change)


def test_a_cell_whose_plugins_changed_is_refused(usual):
    from quintain.compose.cells import keys

    plain = json.loads(usual.to_json())
    plain["sources"] = dict.fromkeys(plain["sources"], "0")
    same = {"seed": plain["seed"], "reference": None}
    plain["key"], plain["group"] = keys(plain["config"], plain["sources"], **same)
    with pytest.raises(UsageError, match="has changed since the plan"):
        thaw(plain)
