"""The rules of the house, read from the source: arrows, sizes, names."""

import ast
import re
import subprocess
import sys
import tomllib

import pytest
import yaml
from words import ROOT

from quintain.compose.bind import locate
from quintain.compose.config import composer
from quintain.compose.providers import GROUPS

SOURCES = sorted([*(ROOT / "src").rglob("*.py"), *(ROOT / "plugins").rglob("*.py")])
WINGS = ("compose", "launch", "run", "records", "stats", "report", "testing", "kit")
MAY_IMPORT = {
    "contracts": set(),
    "stats": {"stats"},
    "kit": {"kit", "contracts"},
    "records": {"records", "contracts"},
    "report": {"report", "stats", "records", "contracts"},
    "plugins": {"contracts", "kit"},
    "compose": {"compose", "contracts", "kit"},
    "run": {"run", "compose", "records", "kit", "contracts"},
    "launch": {"launch", "run", "compose", "records", "kit", "contracts"},
    "testing": {"testing", "compose", "kit", "contracts"},
}
"""The arrows of docs/architecture.md."""


def name_of(path):
    """quintain.records.store, quintain.plugins.model.cnn."""
    if path.is_relative_to(ROOT / "plugins"):
        parts = ("quintain", *path.relative_to(ROOT).with_suffix("").parts)
    else:
        parts = path.relative_to(ROOT / "src").with_suffix("").parts
    return ".".join(part for part in parts if part != "__init__")


def imports(tree, *, top_only=False):
    """Modules that a file imports; with `top_only`, those that importing it imports."""
    for node in ast.walk(tree):
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            node.body = []  # never runs
        if top_only and isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            node.body = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "relative imports hide an arrow"
            yield node.module


def wing(module):
    parts = module.split(".")
    return parts[1] if parts[0] == "quintain" and len(parts) > 1 else None


@pytest.mark.parametrize("path", SOURCES, ids=name_of)
def test_arrows_point_one_way(path):
    mine = wing(name_of(path))
    if mine in (
        None,
        "cli",
        "commands",
        "__main__",
        "doctor",
        "gate",
        "bisection",
    ):  # the shell sees all
        return
    seen = {found for module in imports(ast.parse(path.read_text())) if (found := wing(module))}
    assert seen <= MAY_IMPORT[mine], f"{name_of(path)} imports {seen - MAY_IMPORT[mine]}"


@pytest.mark.parametrize("path", SOURCES, ids=name_of)
def test_sizes(path):
    text = path.read_text()
    assert text.count("\n") <= 400
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            assert node.end_lineno - node.lineno < 40, f"{node.name} has over 40 lines"


LIGHT = ("records", "stats", "report", "cli", "contracts", "compose")
HEAVY = {"torch", "pytorch_lightning", "torchaudio", "torchmetrics", "wandb", "sklearn"}


def test_what_must_be_light_imports_nothing_heavy():
    """Really imported, in a fresh process; compose.build is preflight's last step."""
    light = [name_of(p) for p in SOURCES if wing(name_of(p)) in LIGHT]
    light = [name for name in light if name != "quintain.compose.build"]
    code = f"import sys, {', '.join(light)}; print(*sorted(set(sys.modules) & {HEAVY!r}))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []


@pytest.mark.parametrize(
    "words", [["--help"], ["list"], ["run", "--help"], ["run", "model=lstn", "budget.steps=0"]]
)
def test_commands_that_must_leave_torch_alone(words, tmp_path):
    code = (
        "import sys; from quintain.cli import main\n"
        "try: main()\n"
        "except SystemExit: pass\n"
        f"print(*set(sys.modules) & {HEAVY!r}, file=sys.stderr)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, *words], capture_output=True, text=True, cwd=tmp_path
    )
    assert done.stderr.splitlines()[-1] == ""
    assert list(tmp_path.iterdir()) == []


def test_each_yaml_has_its_plugin_and_each_plugin_its_yaml():
    """A plugin file may serve several options (`recurrent`); an option has one file."""
    named = set()
    for path in (ROOT / "conf").glob("*/*.yaml"):
        text = yaml.safe_load(path.read_text())
        inner = text.get(path.parent.name)  # a global YAML has its part under its group's name
        node = inner if isinstance(inner, dict) else text
        target = node.get("_target_", "")
        if target.startswith("quintain.plugins."):
            assert target.split(".")[2] == path.parent.name
            named.add(target.rpartition(".")[0])
    files = {name_of(p) for p in (ROOT / "plugins").glob("*/*.py") if p.stem != "__init__"}
    assert files == named


def test_groups_are_the_folders_of_conf():
    assert {p.name for p in (ROOT / "conf").iterdir() if p.is_dir() and p.name[0] != "_"} == set(
        GROUPS
    )


def test_packages_are_the_folders():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    listed = project["tool"]["setuptools"]["packages"]
    found = {name_of(path) for path in SOURCES if path.name == "__init__.py"} | {"quintain.conf"}
    assert set(listed) == found
    assert len(listed) == len(found)


def test_the_extra_for_developers_is_pinned():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    asked = [*project["dependencies"], *project["optional-dependencies"]["dev"]]
    names = {re.split(r"[<>=\[ ]", text)[0].lower().replace("_", "-") for text in asked}
    text = (ROOT / "constraints.txt").read_text()
    pinned = {line.split("==")[0].lower().replace("_", "-") for line in text.splitlines()}
    assert names <= pinned
    assert "@" not in text and "/" not in text


@pytest.mark.parametrize("head", sorted(p.stem for p in (ROOT / "conf" / "head").glob("*.yaml")))
def test_a_heads_card_names_its_references(head):
    card = yaml.safe_load((ROOT / "conf" / "head" / f"{head}.yaml").read_text())
    assert card["card"]["references"] == list(locate(card["_target_"]).references)


def test_no_machine_paths_in_tracked_files():
    done = subprocess.run(
        ["git", "grep", "-InE", r"(^|[^\w.~$}])/(work|home|root|Users)/\w"],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    if done.returncode > 1:
        pytest.skip("not a git checkout")
    assert done.stdout == ""


def test_our_own_options_come_from_one_provider():
    with composer() as known:
        assert set(known) == set(GROUPS)
        assert {"digits", "sunspots", "pydoc"} <= set(known["dataset"])


@pytest.mark.parametrize("file", sorted((ROOT / "plugins").glob("*/*.py")), ids=lambda f: f.stem)
def test_a_plugin_file_has_one_public_class(file):
    tree = ast.parse(file.read_text())
    public = [n.name for n in tree.body if isinstance(n, ast.ClassDef) and n.name[0] != "_"]
    assert len(public) == (0 if file.stem == "__init__" else 1), public


def test_the_constraints_fit_the_ranges():
    """Else a new machine cannot install what this one has."""
    from packaging.requirements import Requirement

    lines = (ROOT / "constraints.txt").read_text().split()
    pins = dict(line.lower().replace("_", "-").split("==") for line in lines)
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    asked = project["dependencies"] + project["optional-dependencies"]["dev"]
    for requirement in map(Requirement, asked):
        pin = pins[requirement.name.lower().replace("_", "-")]
        assert requirement.specifier.contains(pin), f"{requirement} does not allow {pin}"
