"""`quintain.plugin_api` has what plugin authors need, and templates import nothing else."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest
from helpers.paths import ROOT

from quintain import plugin_api

TEMPLATES = sorted((ROOT / "src" / "quintain" / "cli" / "templates").glob("*.py.txt"))


def imported_names() -> set[str]:
    """Return the names that plugin_api imports for type checkers; `*` stands for the contracts."""
    tree = ast.parse(Path(plugin_api.__file__).read_text())
    (block,) = (
        node for node in tree.body
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
    )  # fmt: skip
    return {alias.name for node in block.body for alias in node.names}


@pytest.mark.parametrize("name", plugin_api.__all__)
def test_every_name_exists_and_is_described(name: str) -> None:
    assert getattr(plugin_api, name) is not None
    assert f"`{name}`" in plugin_api.__doc__


def test_names_for_type_checkers_are_those_of_the_module() -> None:
    from quintain import contracts

    names = imported_names() - {"*"}
    assert names <= set(plugin_api.__all__)
    assert all(hasattr(contracts, name) for name in set(plugin_api.__all__) - names)


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'Batches'"):
        plugin_api.Batches  # noqa: B018


@pytest.mark.parametrize("template", TEMPLATES, ids=lambda path: path.name)
def test_templates_import_only_the_plugin_api(template: Path) -> None:
    tree = ast.parse(template.read_text().replace("$", ""))
    modules = {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    assert {name for name in modules if name.startswith("quintain")} == {"quintain.plugin_api"}


def test_names_for_hardware_import_no_torch() -> None:
    code = (
        "from quintain.plugin_api import AbsentMeter, HostMemory, Meter, cpu_meters, cuda_meters\n"
        "from quintain.plugin_api import missing_gpus\n"
        "import sys; print('torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
