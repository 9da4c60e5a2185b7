"""A cell's key depends on everything that changes its result, and on nothing else."""

import hashlib
import importlib
import json
import os
from pathlib import Path

import pytest
from helpers.commands import compose_cell, write_file

from quintain.compose.source_hash import find_targets, package_hash, source_hash
from quintain.errors import UsageError
from quintain.plan.cell import Cell, make_cell, result_settings
from quintain.plan.cell_file import describe_changes, load_cell

PINNED = {"card": {"fingerprint": "sha256:0"}}
OVERRIDES = ("dataset=sunspots", "model=lstm")


@pytest.fixture(scope="module")
def default_cell():
    return compose_cell(*OVERRIDES)


def test_the_algorithm_of_the_key_is_fixed():
    """Computed here from the text of the payload: a change makes every stored record stale."""
    config = {
        "dataset": {"_target_": "quintain.run.D", "n": 3, "data_dir": "/x"} | PINNED,
        "stem": {"_target_": "quintain.run.S"},
        "head": {"_target_": "quintain.run.H", "card": {"about": "?", "fingerprint": "sha256:1"}},
        "hardware": {"_target_": "quintain.run.W"},
    }
    names = dict.fromkeys(config, "a")
    cell = make_cell(config, names, seed=5, baseline="majority")
    text = (
        '{"dataset":{"_target_":"quintain.run.D","fingerprint":"sha256:0","n":3},'
        '"hardware":{"_target_":"quintain.run.W"},'
        '"head":{"_target_":"quintain.run.H","fingerprint":"sha256:1"},'
        '"reference":"majority","results_version":RV,SEED"sources":{},'
        '"stem":{"_target_":"quintain.run.S"}}'
    )
    from quintain.plan.cell import RESULTS_VERSION

    text = text.replace("RV", str(RESULTS_VERSION))
    with_seed, without = text.replace("SEED", '"seed":5,'), text.replace("SEED", "")
    assert cell.key == hashlib.sha256(with_seed.encode()).hexdigest()[:32]
    assert cell.group == hashlib.sha256(without.encode()).hexdigest()[:32]


@pytest.mark.parametrize(
    "overrides",
    [
        ("store=elsewhere",),
        ("data_dir=/elsewhere",),
        ("launch.workers=7", "launch.time_limit=9"),
        ("wandb.mode=disabled", "wandb.project=p"),
        ("dataset.card.about='other words'", "model.card.citation=null"),
        ("model.num_layers=1",),  # the default
    ],
)
def test_locations_cards_and_execution_settings_do_not_change_the_key(default_cell, overrides):
    assert compose_cell(*OVERRIDES, *overrides).key == default_cell.key


def test_the_order_of_overrides_does_not_change_the_key(default_cell):
    assert compose_cell(*reversed(OVERRIDES)).key == default_cell.key


def test_plugin_folders_do_not_change_the_key(default_cell, tmp_path, monkeypatch):
    monkeypatch.setenv("QUINTAIN_PLUGINS", str(tmp_path))
    assert compose_cell(*OVERRIDES).key == default_cell.key


@pytest.mark.parametrize(
    "override",
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
def test_settings_that_change_the_result_change_the_key(default_cell, override):
    second = compose_cell(*OVERRIDES, "hardware=cpu", override)
    assert second.key != default_cell.key
    assert second.group != default_cell.group


def test_the_seed_changes_the_key_and_not_the_group(default_cell):
    second = compose_cell(*OVERRIDES, "seed=2")
    assert second.key != default_cell.key
    assert second.group == default_cell.group


def test_a_byte_of_a_plugins_source_changes_the_key(tmp_path, monkeypatch):
    source = write_file(tmp_path / "plugins" / "model" / "bytes.py", "class Bytes: ...\n")
    write_file(
        tmp_path / "conf" / "model" / "bytes.yaml", "_target_: quintain_local.model.bytes.Bytes\n"
    )
    monkeypatch.setenv("QUINTAIN_PLUGINS", str(tmp_path))
    before = compose_cell("model=bytes")
    source.write_text("class Bytes: ...\n\n")
    after = compose_cell("model=bytes")
    assert before.key != after.key
    source.write_bytes(b"class Bytes: ...\r\n")  # as git may check it out elsewhere
    assert compose_cell("model=bytes").key == before.key


def test_a_helper_beside_a_plugin_changes_the_key(tmp_path, monkeypatch):
    helper = write_file(tmp_path / "plugins" / "model" / "_help.py", "GAIN = 1\n")
    write_file(tmp_path / "plugins" / "model" / "helped.py", "class Helped: ...\n")
    yaml = "_target_: quintain_local.model.helped.Helped\n"
    write_file(tmp_path / "conf" / "model" / "helped.yaml", yaml)
    monkeypatch.setenv("QUINTAIN_PLUGINS", str(tmp_path))
    before = compose_cell("model=helped")
    helper.write_text("GAIN = 2\n")
    assert compose_cell("model=helped").key != before.key


def test_package_hash_follows_links_and_survives_loops(tmp_path):
    helper = write_file(tmp_path / "shared" / "helper.py", "A = 1\n")
    plugin = write_file(tmp_path / "own" / "mine.py", "from .common import helper\n")
    alone = package_hash(str(plugin.parent))
    (plugin.parent / "common").symlink_to(helper.parent)
    (plugin.parent / "loop").symlink_to(plugin.parent)
    package_hash.cache_clear()
    first = package_hash(str(plugin.parent))
    helper.write_text("A = 2\n")
    package_hash.cache_clear()
    assert len({alone, first, package_hash(str(plugin.parent))}) == 3


def test_changes_of_data_files_are_described(tmp_path):
    table = write_file(tmp_path / "t.csv", "a\n" + "\n".join(str(n % 7) for n in range(300)) + "\n")
    cell = compose_cell(
        "dataset=csv_series", f"dataset.path={table}", "dataset.target=a", "model=mlp"
    )
    assert describe_changes(cell) == "" and load_cell(json.loads(cell.to_json())).key == cell.key
    table.write_text(table.read_text().replace("6", "5"))
    message = "the content of the files of dataset=csv_series has changed since the plan was made"
    assert message in describe_changes(cell)
    with pytest.raises(UsageError, match=message):
        load_cell(json.loads(cell.to_json()))
    os.utime(table, (0, 0))  # a time that a copy has set back
    assert message in describe_changes(cell)
    table.unlink()
    assert message in describe_changes(cell)


def test_a_link_to_another_file_counts_as_a_change(tmp_path):
    text = "a\n" + "\n".join(str(n % 7) for n in range(300)) + "\n"
    first, second = (
        write_file(tmp_path / "1.csv", text),
        write_file(tmp_path / "2.csv", text.replace("6", "5")),
    )
    table = tmp_path / "t.csv"
    table.symlink_to(first)
    cell = compose_cell(
        "dataset=csv_series", f"dataset.path={table}", "dataset.target=a", "model=mlp"
    )
    assert describe_changes(cell) == ""
    table.unlink()
    table.symlink_to(second)
    assert "has changed since the plan was made" in describe_changes(cell)


def test_a_cell_with_a_redacted_secret_is_refused_with_that_reason(default_cell):
    values = json.loads(default_cell.to_json())
    values["config"]["dataset"]["data_dir"] = "[redacted]"
    values["config"]["model"]["cell"] = "[redacted]"
    with pytest.raises(UsageError, match="a secret was removed from the cell's settings"):
        load_cell(values)


def test_the_key_depends_on_data_dir_unless_the_card_has_a_fingerprint():
    first, second = {"data_dir": "/a"}, {"data_dir": "/b"}
    assert result_settings(first) != result_settings(second)
    assert result_settings(first | PINNED) == result_settings(second | PINNED)


def test_the_key_depends_on_a_text_of_the_standard_library():
    (_, text), *_ = result_settings({"card": {"python_text": "pydoc_data.topics"}}).items()
    assert text == source_hash_of("pydoc_data.topics")
    with pytest.raises(UsageError, match="python_text"):
        result_settings({"card": {"python_text": "nowhere"}})


def source_hash_of(module):
    source = Path(importlib.import_module(module).__file__).read_bytes()
    return hashlib.sha256(source).hexdigest()


@pytest.mark.parametrize("override", ["optimizer.lr=nan", "model.num_layers=inf"])
def test_numbers_must_be_finite(override):
    with pytest.raises(UsageError, match=f"{override.partition('=')[0]} must be a finite number"):
        compose_cell(*OVERRIDES, override)


def test_a_cell_round_trips_through_json(default_cell):
    assert Cell.from_json(default_cell.to_json()) == default_cell
    assert json.loads(default_cell.to_json())["key"] == default_cell.key


def test_the_engine_has_no_source_hash(default_cell):
    assert set(find_targets(default_cell.config)) > set(default_cell.sources)
    assert all(target.startswith("quintain.plugins.") for target in default_cell.sources)


@pytest.mark.parametrize("target", ["nowhere.Thing", "Thing", "sys.exit", "quintain.plugins.x.Y"])
def test_a_target_without_a_source_file_is_refused(target):
    with pytest.raises(UsageError, match="_target_"):
        source_hash(target)


def test_load_cell_checks_every_field(default_cell):
    values = json.loads(default_cell.to_json())
    assert load_cell(values) == default_cell
    evil = values["config"] | {"model": {"_target_": "evil.Evil"}}
    for change, message in [
        ({"config": evil}, "the file was changed after"),
        ({"seed": 2}, "the file was changed after"),
        ({"key": "../x"}, "key cannot be read"),
        ({"config": {"model": 1}}, "config cannot be read"),
        ({"more": 1}, "no field more"),
    ]:
        with pytest.raises(UsageError, match=message):
            load_cell(values | change)


def test_a_cell_whose_plugins_changed_is_refused(default_cell):
    from quintain.plan.cell import compute_keys

    values = json.loads(default_cell.to_json())
    values["sources"] = dict.fromkeys(values["sources"], "0")
    same = {"seed": values["seed"], "baseline": None}
    values["key"], values["group"] = compute_keys(values["config"], values["sources"], **same)
    with pytest.raises(UsageError, match="has changed since the plan"):
        load_cell(values)
