"""Plugins of other providers: installed packages, folders, and broken ones."""

import json
import subprocess
import sys

import pytest
from helpers.commands import SHORT_RUN, run_quintain, usage_problems, write_file

from quintain.cli.option_list import list_options
from quintain.compose.config import hydra_session
from quintain.errors import UsageError

PROJECT = """
[build-system]
requires = ["setuptools>=77"]
build-backend = "setuptools.build_meta"

[project]
name = "acme-quintain"
version = "1.0"

[project.entry-points."quintain.plugins"]
acme = "acme_quintain.conf"

[tool.setuptools]
packages = ["acme_quintain", "acme_quintain.conf"]

[tool.setuptools.package-data]
"acme_quintain.conf" = ["**/*.yaml"]
"""
MODEL = """
from torch import nn

from quintain.contracts import Features


class Last(nn.Module):
    input_layout = "sequence"

    def __init__(self, inp: Features, *, width: float):
        super().__init__()
        dim = max(1, int(width))
        self.out = Features(**{**vars(inp), "dim": dim})
        self.net = nn.GRU(inp.dim, dim, batch_first=True)

    def forward(self, x, mask):
        return self.net(x)[0], mask
"""
DATASET = """
import torch

from quintain.contracts import Batch, DataSpec
from quintain.data.base import InMemory


class Waves(InMemory):
    def __init__(self):
        names = ("slow", "fast")
        spec = dict(modality="series", task="classify", shape=(16, 1), classes=names)
        super().__init__(DataSpec(name="waves", generated=True, **spec))

    def load(self):
        return {split: make(size, seed) for seed, (split, size) in enumerate(SIZES.items())}


SIZES = {"train": 200, "val": 60, "test": 60}


def make(size, seed):
    draw = torch.Generator().manual_seed(seed)
    y = torch.arange(size) % 2
    t = torch.arange(16.0)
    x = torch.sin(t * (0.5 + y[:, None])) + 0.3 * torch.randn(size, 16, generator=draw)
    return Batch(x=x[..., None], y=y)
"""
MODEL_YAML = """
_target_: acme_quintain.last.Last
width: null
card: {about: the last state, needs: []}
"""
DATASET_YAML = """
# @package _global_
defaults:
  - override /stem: series
  - override /head: classify
dataset:
  _target_: acme_quintain.waves.Waves
  card:
    about: slow and fast waves
    source: generated
    licence: CC0-1.0
    citation: none
    counts: {train: 200, val: 60, test: 60}
"""


@pytest.fixture(scope="session")
def acme_site(tmp_path_factory):
    """The folder into which pip has installed a plugin package, without network."""
    source = tmp_path_factory.mktemp("acme")
    write_file(source / "pyproject.toml", PROJECT)
    package = source / "acme_quintain"
    for folder in (package, package / "conf"):
        write_file(folder / "__init__.py", "")
    write_file(package / "last.py", MODEL)
    write_file(package / "waves.py", DATASET)
    write_file(package / "conf" / "model" / "last.yaml", MODEL_YAML)
    write_file(package / "conf" / "dataset" / "waves.yaml", DATASET_YAML)
    return pip_install(source, tmp_path_factory.mktemp("site"))


def pip_install(source, site):
    options = ["-q", "--no-deps", "--no-build-isolation", "--no-index", "--target", str(site)]
    command = [sys.executable, "-m", "pip", "install", *options, str(source)]
    process = subprocess.run(command, capture_output=True, text=True)
    assert process.returncode == 0, process.stderr
    return str(site)


def test_an_installed_package_is_listed_checked_and_swept(acme_site, tmp_path):
    code, out, _ = run_quintain("list", "--format", "json", cwd=tmp_path, PYTHONPATH=acme_site)
    rows = {(row["group"], row["option"]): row for row in json.loads(out)}
    assert code == 0
    assert rows["model", "last"]["about"] == "the last state"
    assert rows["model", "last"]["provider"] == "acme-quintain (acme_quintain.conf)"
    assert rows["dataset", "waves"]["provider"] == rows["model", "last"]["provider"]
    assert rows["model", "lstm"]["provider"] == "quintain"

    overrides = ("model=glob([last,mlp])", "dataset=waves", "store=store", *SHORT_RUN)
    code, out, err = run_quintain("sweep", *overrides, cwd=tmp_path, PYTHONPATH=acme_site)
    assert code == 0, out + err
    code, out, _ = run_quintain("leaderboard", "--format", "json", "store=store", cwd=tmp_path)
    rows = json.loads(out)["rows"]
    pairs = {(row["dataset"], row["model"]) for row in rows if not row["reference"]}
    assert pairs == {("waves", "last"), ("waves", "mlp")}
    assert {"majority", "linear"} <= {row["model"] for row in rows if row["reference"]}


def test_an_installed_package_passes_check(acme_site, tmp_path):
    code, out, err = run_quintain(
        "check", "model=last", "dataset=waves", cwd=tmp_path, PYTHONPATH=acme_site
    )
    assert code == 0, out + err
    assert "✓ dataset=waves: card" in out
    assert "✓ model=last on example_ragged_text: overfitting" in out


@pytest.fixture
def make_folder(tmp_path, monkeypatch):
    """Return a function that makes a plugin folder with one model, and adds it."""

    def make(name, option="plain", card="{}", use=True):
        target = f"_target_: quintain_local.model.{option}.Last\nwidth: null\ncard: {card}\n"
        write_file(tmp_path / name / "conf" / "model" / f"{option}.yaml", target)
        write_file(tmp_path / name / "plugins" / "model" / f"{option}.py", MODEL)
        if use:
            monkeypatch.setenv("QUINTAIN_PLUGINS", str(tmp_path / name))
        return tmp_path / name

    return make


def rows_of(group):
    return {row["option"]: row for row in list_options([group])}


def test_a_plugin_folder_from_the_environment(make_folder):
    path = make_folder("mine")
    assert rows_of("model")["plain"]["provider"] == str(path)


def test_a_plugin_folder_from_a_setting(make_folder, tmp_path):
    path = make_folder("mine", use=False)
    overrides = ("sweep", "--dry-run", "dataset=sunspots", "model=glob(p*)", f"plugins_dir={path}")
    code, out, err = run_quintain(*overrides, cwd=tmp_path)
    assert code == 0, err
    assert "sunspots/plain/cpu/s1" in out


def test_a_missing_plugin_folder_is_reported(monkeypatch, tmp_path):
    monkeypatch.setenv("QUINTAIN_PLUGINS", str(tmp_path / "nowhere"))
    with pytest.raises(UsageError, match="nowhere is not a folder"):
        list_options([])


def test_two_providers_of_one_option_are_both_named(make_folder, tmp_path, monkeypatch):
    first, second = make_folder("first"), make_folder("second")
    monkeypatch.setenv("QUINTAIN_PLUGINS", f"{first}:{second}")
    with pytest.raises(UsageError) as error:
        list_options([])
    (message,) = error.value.problems
    assert message.startswith("model=plain comes from two plugin providers")
    assert str(first) in message
    assert str(second) in message


def test_a_folder_may_not_reuse_a_name_of_quintain(make_folder):
    path = make_folder("mine", option="lstm")
    (message,) = usage_problems("model=rnn")
    assert "model=lstm comes from two" in message
    assert "quintain and" in message
    assert str(path) in message


def write_entry_point(site, name, target, entry_name=None):
    information = site / f"{name}-1.0.dist-info"
    write_file(information / "METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    write_file(
        information / "entry_points.txt", f"[quintain.plugins]\n{entry_name or name} = {target}\n"
    )


@pytest.mark.parametrize("entry_name", ["same", "main", "hydra"])
def test_packages_with_equal_entry_points_are_distinguished(tmp_path, monkeypatch, entry_name):
    for name in (f"{entry_name}_one", f"{entry_name}_two"):
        write_entry_point(tmp_path, name, f"{name}_conf", entry_name)
        write_file(tmp_path / f"{name}_conf" / "__init__.py", "")
        write_file(tmp_path / f"{name}_conf" / "model" / "twice.yaml", "_target_: a.B\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(UsageError, match=rf"{entry_name}_one_conf.* and .*{entry_name}_two_conf"):
        list_options([])


@pytest.mark.parametrize(
    ("content", "expected"),
    [(None, "cannot be read"), ("raise OSError('out of tea')", "out of tea")],
)
def test_a_missing_or_broken_package_is_reported(tmp_path, monkeypatch, content, expected):
    name = f"bad{len(expected)}"
    write_entry_point(tmp_path, name, f"{name}_conf")
    if content:
        write_file(tmp_path / f"{name}_conf" / "__init__.py", content)
    monkeypatch.syspath_prepend(str(tmp_path))
    (message,) = usage_problems("model=rnn")
    assert f"plugin provider {name}" in message
    assert expected in message


def test_a_missing_dependency_leaves_the_plugin_listed(make_folder):
    make_folder("mine", card="{needs: [nosuch-pkg, rich]}")
    row = rows_of("model")["plain"]
    assert row["needs"] == ["nosuch-pkg", "rich"]
    assert row["missing"] == ["nosuch-pkg"]
    assert row["hint"] == "needs nosuch-pkg: pip install nosuch-pkg"


def test_a_required_version(make_folder):
    make_folder("mine", card="{needs: ['rich>=1', 'rich>=999']}")
    row = rows_of("model")["plain"]
    assert row["missing"] == ["rich>=999"]
    assert row["hint"] == "needs rich>=999: pip install 'rich>=999'"


@pytest.mark.parametrize("needs", ["3", "rich", "[1]", "['a b c']", "{rich: 1}", "['']"])
def test_needs_must_be_a_list_of_requirements(make_folder, needs):
    make_folder("mine", card=f"{{needs: {needs}}}")
    row = rows_of("model")["plain"]
    assert row["needs"] == row["missing"] == []
    assert row["hint"].startswith("card.needs must be a list of packages")


def test_a_yaml_that_cannot_be_read_does_not_hide_the_others(make_folder):
    path = make_folder("mine")
    write_file(path / "conf" / "model" / "broken.yaml", "_target_: [")
    rows = rows_of("model")
    assert rows["broken"]["about"].startswith("cannot be read")
    assert "plain" in rows


def test_each_option_knows_its_provider():
    with hydra_session() as known:
        assert set(known["hardware"].values()) == {"main"}
