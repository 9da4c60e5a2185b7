"""`quintain new`: the two files of a plugin, working from the first minute."""

from __future__ import annotations

import keyword
import os
import re
from pathlib import Path
from string import Template

from rich.console import Console
from rich.text import Text

from quintain.compose.config import composer
from quintain.compose.errors import UsageError
from quintain.compose.providers import folders, use_folder

DEFAULT_FOLDER = "quintain_plugins"
READ_AS_VALUES = frozenset(
    ["true", "false", "null", "none", "yes", "no", "on", "off", "nan", "inf", "y", "n"]
)
TEMPLATES = Path(__file__).parent / "templates"


def write_plugin(kind: str, name: str, into: Path | None, console: Console) -> list[Path]:
    """Write `plugins/<kind>/<name>.py` and `conf/<kind>/<name>.yaml` into a plugin folder.

    Raises:
        UsageError: the name is no identifier, or is taken (nothing is overwritten), or the folder
            cannot be written.
    """
    if (
        not re.fullmatch(r"[a-z][a-z0-9_]*", name)
        or keyword.iskeyword(name)
        or name in READ_AS_VALUES
    ):
        raise UsageError(f"{name!r} is no plugin name; expected lower case, as in my_{kind}")
    root = into or next(iter(folders()), Path(DEFAULT_FOLDER))
    with composer() as known:
        if name in known[kind]:
            raise UsageError(f"{kind}={name} exists already; choose another name")
    files = {
        root / "plugins" / kind / f"{name}.py": _filled(f"{kind}.py", kind, name),
        root / "conf" / kind / f"{name}.yaml": _filled(f"{kind}.yaml", kind, name),
    }
    taken = [str(file) for file in files if file.exists()]
    if taken:
        raise UsageError(f"{file} exists already" for file in taken)
    for file, text in files.items():
        _write(file, text)
        console.print(Text(f"wrote {file}"), soft_wrap=True)
    _next_steps(kind, name, root, console)
    return list(files)


def _write(file: Path, text: str) -> None:
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    except OSError as error:
        raise UsageError(f"cannot write {file}: {error.strerror or error}") from error


def _filled(template: str, kind: str, name: str) -> str:
    text = (TEMPLATES / f"{template}.txt").read_text()
    return Template(text).substitute(kind=kind, name=name, class_name=_class_name(name))


def _class_name(name: str) -> str:
    return "".join(part.capitalize() for part in name.split("_"))


def _next_steps(kind: str, name: str, root: Path, console: Console) -> None:
    known = root.resolve() in folders()
    place = "" if known else f" plugins_dir={os.path.relpath(root)}"
    use_folder(str(root))
    if kind == "hardware":
        console.print(Text(f"try it: quintain run hardware={name}{place}"), soft_wrap=True)
        return
    console.print(Text(f"check it: quintain check {kind}={name}{place}"), soft_wrap=True)
    other = "dataset=digits" if kind == "model" else "model=cnn"
    console.print(Text(f"run it:   quintain run {kind}={name} {other}{place}"), soft_wrap=True)
