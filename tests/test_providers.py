"""Plugins by others: a package that pip installs, a plain folder, and what can go wrong."""

import json
import subprocess
import sys

import pytest
from words import QUIET, quintain, told, write

from quintain.compose.config import composer
from quintain.compose.errors import UsageError
from quintain.compose.listing import list_options

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
    reads = "sequence"

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
from quintain.kit.dataset import InMemory


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
def acme(tmp_path_factory):
    """The site folder of a plugin package that pip has built and installed, without network."""
    source = tmp_path_factory.mktemp("acme")
    write(source / "pyproject.toml", PROJECT)
    package = source / "acme_quintain"
    for folder in (package, package / "conf"):
        write(folder / "__init__.py", "")
    write(package / "last.py", MODEL)
    write(package / "waves.py", DATASET)
    write(package / "conf" / "model" / "last.yaml", MODEL_YAML)
    write(package / "conf" / "dataset" / "waves.yaml", DATASET_YAML)
    return pip_install(source, tmp_path_factory.mktemp("site"))


def pip_install(source, site):
    words = ["install", "-q", "--no-deps", "--no-build-isolation", "--no-index", "--target"]
    words = [sys.executable, "-m", "pip", *words, str(site), str(source)]
    done = subprocess.run(words, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return str(site)


def test_an_installed_package_is_listed_checked_and_swept(acme, tmp_path):
    code, out, _ = quintain("list", "--format", "json", cwd=tmp_path, PYTHONPATH=acme)
    rows = {(row["group"], row["option"]): row for row in json.loads(out)}
    assert code == 0
    assert rows["model", "last"]["about"] == "the last state"
    assert rows["model", "last"]["provider"] == "acme-quintain (acme_quintain.conf)"
    assert rows["dataset", "waves"]["provider"] == rows["model", "last"]["provider"]
    assert rows["model", "lstm"]["provider"] == "quintain"

    words = ("model=glob([last,mlp])", "dataset=waves", "store=store", *QUIET)
    code, out, err = quintain("sweep", *words, cwd=tmp_path, PYTHONPATH=acme)
    assert code == 0, out + err
    code, out, _ = quintain("leaderboard", "--format", "json", "store=store", cwd=tmp_path)
    rows = json.loads(out)["rows"]
    pairs = {(row["dataset"], row["model"]) for row in rows if not row["reference"]}
    assert pairs == {("waves", "last"), ("waves", "mlp")}
    assert {"majority", "linear"} <= {row["model"] for row in rows if row["reference"]}


def test_an_installed_package_passes_check(acme, tmp_path):
    code, out, err = quintain("check", "model=last", "dataset=waves", cwd=tmp_path, PYTHONPATH=acme)
    assert code == 0, out + err
    assert "✓ dataset=waves: card_complete" in out
    assert "✓ model=last on example_ragged_text: overfits" in out


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Makes a plain plugin folder with one model, and uses it."""

    def make(name, option="plain", card="{}", use=True):
        target = f"_target_: quintain_local.model.{option}.Last\nwidth: null\ncard: {card}\n"
        write(tmp_path / name / "conf" / "model" / f"{option}.yaml", target)
        write(tmp_path / name / "plugins" / "model" / f"{option}.py", MODEL)
        if use:
            monkeypatch.setenv("QUINTAIN_PLUGINS", str(tmp_path / name))
        return tmp_path / name

    return make


def rows_of(group):
    return {row["option"]: row for row in list_options([group])}


def test_a_plain_folder_by_environment(folder):
    path = folder("mine")
    assert rows_of("model")["plain"]["provider"] == str(path)


def test_a_plain_folder_by_setting(folder, tmp_path):
    path = folder("mine", use=False)
    words = ("sweep", "--dry-run", "dataset=sunspots", "model=glob(p*)", f"plugins_dir={path}")
    code, out, err = quintain(*words, cwd=tmp_path)
    assert code == 0, err
    assert "sunspots/plain/cpu/s1" in out


def test_a_folder_that_is_not_there(monkeypatch, tmp_path):
    monkeypatch.setenv("QUINTAIN_PLUGINS", str(tmp_path / "nowhere"))
    with pytest.raises(UsageError, match="nowhere is not a folder"):
        list_options([])


def test_two_providers_of_one_name_are_named(folder, tmp_path, monkeypatch):
    first, second = folder("first"), folder("second")
    monkeypatch.setenv("QUINTAIN_PLUGINS", f"{first}:{second}")
    with pytest.raises(UsageError) as error:
        list_options([])
    (sentence,) = error.value.problems
    assert sentence.startswith("model=plain is claimed by two plugin providers")
    assert str(first) in sentence
    assert str(second) in sentence


def test_a_name_that_quintain_has_is_claimed_by_two(folder):
    path = folder("mine", option="lstm")
    (sentence,) = told("model=rnn")
    assert "model=lstm is claimed" in sentence
    assert "quintain and" in sentence
    assert str(path) in sentence


def entry_point(site, name, target, point=None):
    information = site / f"{name}-1.0.dist-info"
    write(information / "METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    write(information / "entry_points.txt", f"[quintain.plugins]\n{point or name} = {target}\n")


@pytest.mark.parametrize("point", ["same", "main", "hydra"])
def test_two_packages_of_one_entry_point_are_told_apart(tmp_path, monkeypatch, point):
    for name in (f"{point}_one", f"{point}_two"):
        entry_point(tmp_path, name, f"{name}_conf", point)
        write(tmp_path / f"{name}_conf" / "__init__.py", "")
        write(tmp_path / f"{name}_conf" / "model" / "twice.yaml", "_target_: a.B\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(UsageError, match=rf"{point}_one_conf.* and .*{point}_two_conf"):
        list_options([])


@pytest.mark.parametrize(
    ("content", "says"),
    [(None, "cannot be read"), ("raise OSError('out of tea')", "out of tea")],
)
def test_a_package_that_is_missing_or_broken(tmp_path, monkeypatch, content, says):
    name = f"bad{len(says)}"
    entry_point(tmp_path, name, f"{name}_conf")
    if content:
        write(tmp_path / f"{name}_conf" / "__init__.py", content)
    monkeypatch.syspath_prepend(str(tmp_path))
    (sentence,) = told("model=rnn")
    assert f"plugin provider {name}" in sentence
    assert says in sentence


def test_a_missing_dependency_leaves_the_plugin_listed(folder):
    folder("mine", card="{needs: [nosuch-pkg, rich]}")
    row = rows_of("model")["plain"]
    assert row["needs"] == ["nosuch-pkg", "rich"]
    assert row["missing"] == ["nosuch-pkg"]
    assert row["hint"] == "needs nosuch-pkg: pip install nosuch-pkg"


def test_a_needed_version(folder):
    folder("mine", card="{needs: ['rich>=1', 'rich>=999']}")
    row = rows_of("model")["plain"]
    assert row["missing"] == ["rich>=999"]
    assert row["hint"] == "needs rich>=999: pip install 'rich>=999'"


@pytest.mark.parametrize("needs", ["3", "rich", "[1]", "['a b c']", "{rich: 1}", "['']"])
def test_needs_that_are_none(folder, needs):
    folder("mine", card=f"{{needs: {needs}}}")
    row = rows_of("model")["plain"]
    assert row["needs"] == row["missing"] == []
    assert row["hint"].startswith("card.needs must be a list of packages")


def test_a_yaml_that_cannot_be_read_does_not_hide_the_others(folder):
    path = folder("mine")
    write(path / "conf" / "model" / "broken.yaml", "_target_: [")
    rows = rows_of("model")
    assert rows["broken"]["about"].startswith("cannot be read")
    assert "plain" in rows


def test_each_option_knows_its_provider():
    with composer() as known:
        assert set(known["hardware"].values()) == {"main"}
