"""Write the two files of a new, working plugin from templates."""

from __future__ import annotations

import keyword
import os
import re
from pathlib import Path
from string import Template

from rich.console import Console
from rich.text import Text

from quintain.compose.config import hydra_session
from quintain.compose.plugin_providers import add_plugin_folder, plugin_folders
from quintain.errors import UsageError

DEFAULT_FOLDER = "quintain_plugins"
YAML_VALUES = frozenset(
    ["true", "false", "null", "none", "yes", "no", "on", "off", "nan", "inf", "y", "n"]
)
"""Names that YAML or Hydra would read as values."""
TEMPLATES = Path(__file__).parent / "templates"


def write_plugin(kind: str, name: str, into: Path | None, console: Console) -> list[Path]:
    """Write `plugins/<kind>/<name>.py` and `conf/<kind>/<name>.yaml` into a plugin folder.

    Prints the next steps and returns the written files.

    Args:
        kind: dataset, model or hardware.
        name: name of the new option.
        into: the plugin folder; None: the first registered one, else `quintain_plugins`.

    Raises:
        UsageError: the name is not an identifier or is in use, or the folder cannot be written.
            Nothing is overwritten.
    """
    _check_name(kind, name)
    folder = into or next(iter(plugin_folders()), Path(DEFAULT_FOLDER))
    files = {
        folder / "plugins" / kind / f"{name}.py": _fill_template(f"{kind}.py", kind, name),
        folder / "conf" / kind / f"{name}.yaml": _fill_template(f"{kind}.yaml", kind, name),
    }
    if existing := [file for file in files if file.exists()]:
        raise UsageError(f"{file} exists already" for file in existing)
    for file, text in files.items():
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text)
        except OSError as error:
            raise UsageError(f"cannot write {file}: {error.strerror or error}") from error
        console.print(Text(f"wrote {file}"), soft_wrap=True)
    _print_next_steps(kind, name, folder, console)
    return list(files)


def _check_name(kind: str, name: str) -> None:
    is_identifier = re.fullmatch(r"[a-z][a-z0-9_]*", name)
    if not is_identifier or keyword.iskeyword(name) or name in YAML_VALUES:
        raise UsageError(f"{name!r} is not a plugin name; expected lower case, as in my_{kind}")
    with hydra_session() as known:
        if name in known[kind]:
            raise UsageError(f"{kind}={name} exists already; choose another name")


def _fill_template(template: str, kind: str, name: str) -> str:
    text = (TEMPLATES / f"{template}.txt").read_text()
    class_name = "".join(part.capitalize() for part in name.split("_"))
    return Template(text).substitute(kind=kind, name=name, class_name=class_name)


def _print_next_steps(kind: str, name: str, folder: Path, console: Console) -> None:
    is_known = folder.resolve() in plugin_folders()
    setting = "" if is_known else f" plugins_dir={os.path.relpath(folder)}"
    add_plugin_folder(str(folder))
    partner = {"model": " dataset=digits", "dataset": " model=cnn", "hardware": ""}[kind]
    if kind != "hardware":
        console.print(Text(f"check it: quintain check {kind}={name}{setting}"), soft_wrap=True)
    console.print(Text(f"run it:   quintain run {kind}={name}{partner}{setting}"), soft_wrap=True)
