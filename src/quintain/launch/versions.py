"""Another version of the code: a folder or a commit, and how Python runs from it."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from quintain.compose.errors import UsageError


@dataclass(frozen=True)
class Version:
    """Where a version runs, with which Python and which environment beside our own."""

    name: str
    folder: Path
    python: str = sys.executable
    environment: dict[str, str] = field(default_factory=dict)


def present() -> Version:
    """The code that is running."""
    return Version("this code", Path.cwd())


@contextmanager
def version(named: str) -> Iterator[Version]:
    """The version of a folder or a commit; a commit has a worktree until the block ends.

    The folder may be a checkout of Quintain, one of plugins, or a virtual environment. Its own
    `.venv` is used, where it has one. One without any code, a store of results named like a branch
    for instance, is no version: it would be timed with the present code, and pass whatever changed.

    Raises:
        UsageError: there is no such folder with code, and no such commit.
    """
    if _has_code(Path(named).expanduser()):
        with _in(Path(named).expanduser().resolve(), named, Path.cwd()) as found:
            yield found
        return
    with worktree(named) as folder:
        ours = Path(git(Path.cwd(), "rev-parse", "--show-toplevel"))
        with _in(folder, named, ours) as found:
            yield found


@contextmanager
def worktree(commit: str) -> Iterator[Path]:
    """A checkout of a commit beside the repository's own, removed at the end.

    Raises:
        UsageError: the commit is unknown here.
    """
    folder = "a folder with code" if Path(commit).is_dir() else "a folder"
    top = git(Path.cwd(), "rev-parse", "--show-toplevel", why=f"{commit} is not {folder}")
    known = git(Path(top), "rev-parse", "--verify", "--quiet", f"{commit}^{{commit}}",
                why=f"{commit} is neither {folder} nor a commit of {top}")  # fmt: skip
    with tempfile.TemporaryDirectory(prefix="quintain-") as place:
        tree = Path(place, "tree")
        git(Path(top), "worktree", "add", "--detach", "--quiet", str(tree), known)
        try:
            yield tree
        finally:
            git(Path(top), "worktree", "remove", "--force", str(tree))


def _has_code(folder: Path) -> bool:
    found = (folder / "conf").is_dir() or any(path.is_file() for path in _pythons(folder))
    return found or next(folder.rglob("*.py"), None) is not None


def git(folder: Path, *words: str, why: str = "") -> str:
    """What git says.

    Raises:
        UsageError: git failed; `why` comes before what it said.
    """
    try:
        done = subprocess.run(["git", *words], cwd=folder, capture_output=True, text=True)
    except OSError as error:
        raise UsageError(f"git cannot be run: {error.strerror}") from error
    if done.returncode:
        said = done.stderr.strip().splitlines()
        raise UsageError(": ".join(filter(None, (why, said[0] if said else ""))) or "git failed")
    return done.stdout.strip()


@contextmanager
def _in(folder: Path, name: str, ours: Path) -> Iterator[Version]:
    """The version in a folder that stands for `ours`: plugins in ours are taken from it."""
    python = next((str(p) for p in _pythons(folder) if p.is_file()), sys.executable)
    place = folder / Path.cwd().relative_to(ours)
    environment = {"QUINTAIN_PLUGINS": _moved(os.environ.get("QUINTAIN_PLUGINS", ""), ours, folder)}
    source = folder / "src" / "quintain"
    if not source.is_dir():
        yield Version(name, place if place.is_dir() else folder, python, environment)
        return
    if not (source / "launch" / "burst.py").is_file():  # an editable install would lend its own
        raise UsageError(
            f"{name} cannot train in bursts: it has no quintain.launch.burst, so it is older than"
            " the gate; compare stores instead (--baseline)"
        )
    with tempfile.TemporaryDirectory(prefix="quintain-") as beside:
        _overlay(source, folder, Path(beside, "quintain"))
        environment["PYTHONPATH"] = beside
        yield Version(name, place if place.is_dir() else folder, python, environment)


def _moved(paths: str, ours: Path, theirs: Path) -> str:
    """A list of folders, those in `ours` by their places in `theirs`."""
    found = [Path(path).absolute() for path in paths.split(os.pathsep) if path]
    return os.pathsep.join(
        str(theirs / path.relative_to(ours) if path.is_relative_to(ours) else path)
        for path in found
    )


def _pythons(folder: Path) -> list[Path]:
    return [folder / ".venv" / "bin" / "python", folder / "bin" / "python"]


def _overlay(source: Path, top: Path, package: Path) -> None:
    """A package of links: the wheel's layout, with `conf` and `plugins` inside."""
    package.mkdir()
    inside = {path.name: path for path in source.iterdir()}
    inside |= {name: top / name for name in ("conf", "plugins") if (top / name).is_dir()}
    for name, path in inside.items():
        os.symlink(path, package / name)
