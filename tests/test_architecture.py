"""The rules of the house, read from the source: arrows, sizes, names."""

import ast
import graphlib
import re
import subprocess
import sys
import tomllib

import pytest
import yaml
from helpers.paths import ROOT

from quintain.compose.config import hydra_session
from quintain.compose.instantiate import locate
from quintain.compose.plugin_providers import GROUPS

SOURCES = sorted([*(ROOT / "src").rglob("*.py"), *(ROOT / "plugins").rglob("*.py")])
MAY_IMPORT = {
    "_version": set(),
    "errors": set(),
    "contracts": set(),
    "stats": set(),
    "nn": {"contracts"},
    "meters": {"contracts"},
    "metrics": {"contracts", "nn"},
    "data": {"contracts", "errors"},
    "baselines": {"contracts", "data", "metrics", "nn"},
    "records": {"_version", "contracts", "errors"},
    "report": {"_version", "contracts", "errors", "records", "stats"},
    "wandb_mirror": {"errors", "records", "report"},
    "compose": {"contracts", "data", "errors", "meters", "records"},
    "model": {"compose", "contracts", "errors", "nn"},
    "plan": {"_version", "compose", "contracts", "data", "errors", "model", "nn", "records"},
    "run": {
        "_version", "compose", "contracts", "data", "errors", "meters", "model", "multi_process",
        "nn", "plan", "records",
    },
    "launch": {"compose", "contracts", "errors", "plan", "records", "run", "wandb_mirror"},
    "tuning": {"compose", "contracts", "errors", "launch", "plan", "records", "run"},
    "gate": {"compose", "errors", "launch", "plan", "records", "report", "stats"},
    "testing": {
        "baselines", "compose", "contracts", "data", "errors", "model", "nn", "plan", "plugin_api",
    },
    "plugin_api": {"baselines", "contracts", "data", "errors", "meters", "metrics", "nn"},
    "plugins": {
        "baselines", "contracts", "data", "errors", "meters", "metrics", "multi_process", "nn",
        "plugin_api",
    },
    "multi_process": {"contracts", "meters"},
}  # fmt: skip
"""The arrows of docs/architecture.md. A room may import itself; the command line may import all.

Deferred imports and imports for types alone count. "root" is the package `quintain` itself.
"""
EVERYTHING = ("cli", "api", "root", "__main__")
"""Rooms that may import every other one."""
EXCEPTIONS = {
    ("quintain.launch.fork_server_preload", room)
    for room in ("baselines", "data", "meters", "metrics", "nn", "plugin_api")
}
"""The fork server imports what runs will need, so that they start quickly."""


def name_of(path):
    """quintain.records.store, quintain.plugins.model.cnn."""
    if path.is_relative_to(ROOT / "plugins"):
        parts = ("quintain", *path.relative_to(ROOT).with_suffix("").parts)
    else:
        parts = path.relative_to(ROOT / "src").with_suffix("").parts
    return ".".join(part for part in parts if part != "__init__")


MODULES = {name_of(path): path for path in SOURCES}


def imports(path):
    """Modules of Quintain that a file names in any import, wherever it stands in the file."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name.startswith("quintain"))
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "relative imports hide an arrow"
            if node.module.split(".")[0] == "quintain":
                for alias in node.names:
                    full = f"{node.module}.{alias.name}"
                    yield full if full in MODULES else node.module


def room_of(module):
    parts = module.split(".")
    return parts[1] if len(parts) > 1 else "root"


@pytest.mark.parametrize("path", SOURCES, ids=name_of)
def test_arrows_point_one_way(path):
    module = name_of(path)
    room = room_of(module)
    if room in EVERYTHING:
        return
    targets = {room_of(target) for target in imports(path)} - {room}
    forbidden = {t for t in targets - MAY_IMPORT[room] if (module, t) not in EXCEPTIONS}
    assert not forbidden, f"{module} imports {sorted(forbidden)}"


def test_the_arrows_between_rooms_form_no_circle():
    order = graphlib.TopologicalSorter(MAY_IMPORT)
    order.prepare()  # raises CycleError and names the circle


def test_no_import_circle_between_modules():
    """Deferred imports and imports for types alone count too."""
    graph = {module: set(imports(path)) - {module} for module, path in MODULES.items()}
    graphlib.TopologicalSorter(graph).prepare()  # raises CycleError and names the circle


def contract_names():
    """Every attribute that a protocol of `contracts.py` declares."""
    tree = ast.parse((ROOT / "src" / "quintain" / "contracts.py").read_text())
    for node in ast.walk(tree):
        if isinstance(node, ast.ClassDef):
            for item in node.body:
                if isinstance(item, ast.FunctionDef):
                    yield item.name
                elif isinstance(item, ast.AnnAssign):
                    yield item.target.id


PLUGIN_OBJECTS = {"dataset", "hardware", "stem", "core", "head", "model", "meter", "m"}


@pytest.mark.parametrize("path", SOURCES, ids=name_of)
def test_what_the_engine_reads_from_a_plugin_stands_in_the_contracts(path):
    """An optional attribute is read by `getattr` with its name; the contracts must declare it."""
    known = set(contract_names())
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Call) and ast.unparse(node.func) in ("getattr", "hasattr"):
            owner = ast.unparse(node.args[0]).split(".")[-1]
            if owner in PLUGIN_OBJECTS and isinstance(node.args[1], ast.Constant):
                assert node.args[1].value in known, f"{node.args[1].value} is read from a plugin"


TEST_FILES = sorted((ROOT / "tests").rglob("*.py"))


@pytest.mark.parametrize("path", TEST_FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_test_file_imports_another(path):
    tests = {file.stem for file in TEST_FILES if file.stem.startswith("test_")}
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import | ast.ImportFrom):
            names = [a.name for a in node.names] + [getattr(node, "module", None) or ""]
            assert not tests & {part for name in names for part in name.split(".")}


@pytest.mark.parametrize("path", SOURCES, ids=name_of)
def test_sizes(path):
    """A file has at most 350 lines; a function at most 40, not counting its docstring."""
    text = path.read_text()
    assert text.count("\n") <= 350
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            lines = node.end_lineno - node.lineno + 1
            if ast.get_docstring(node) is not None:
                lines -= node.body[0].end_lineno - node.body[0].lineno + 1
            assert lines <= 40, f"{node.name} has {lines} lines"


LIGHT = ("records", "stats", "report", "cli", "contracts", "compose", "plan", "gate")
HEAVY = {"torch", "pytorch_lightning", "torchaudio", "torchmetrics", "wandb", "sklearn"}


def test_what_must_be_light_imports_nothing_heavy():
    """Really imported, in a fresh process, in a fresh process."""
    light = [name_of(p) for p in SOURCES if room_of(name_of(p)) in LIGHT]
    light = [name for name in light if name not in ("quintain.model", "quintain.cli.plugin_checks")]
    code = f"import sys, {', '.join(light)}; print(*sorted(set(sys.modules) & {HEAVY!r}))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []


@pytest.mark.parametrize(
    "words", [["--help"], ["list"], ["run", "--help"], ["run", "model=lstn", "budget.steps=0"]]
)
def test_commands_that_must_leave_torch_alone(words, tmp_path):
    code = (
        "import sys; from quintain.cli.main import main\n"
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
    assert list(card["card"]["baselines"]) == list(locate(card["_target_"]).baselines)


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
    with hydra_session() as known:
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
