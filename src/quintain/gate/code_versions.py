"""Other versions of the code: a folder or a commit, and how to run Python with it."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from quintain.errors import UsageError


@dataclass(frozen=True)
class Version:
    """A version of the code, and how to run it."""

    name: str
    folder: Path  # the working folder of its processes
    python: str = sys.executable
    environment: dict[str, str] = field(default_factory=dict)  # added to that of this process


@contextmanager
def open_version(name: str) -> Iterator[Version]:
    """Yield the version in a folder, or of a commit, which is checked out until the block ends.

    The folder may be a checkout of Quintain or of plugins, or a virtual environment; its `.venv`
    is used if it has one. A folder without code, such as a store named like a branch, is not
    accepted as a version: the current code would be timed against itself, and pass.

    Raises:
        UsageError: there is no such folder with code, and no such commit.
    """
    folder = Path(name).expanduser()
    if _has_code(folder):
        with _open_folder(folder.resolve(), name, Path.cwd()) as version:
            yield version
        return
    with open_worktree(name) as worktree:
        top = Path(run_git(Path.cwd(), "rev-parse", "--show-toplevel"))
        with _open_folder(worktree, name, top) as version:
            yield version


@contextmanager
def open_worktree(commit: str) -> Iterator[Path]:
    """Yield a temporary checkout of a commit, apart from the repository's own.

    Raises:
        UsageError: the commit is unknown in this repository.
    """
    folder = "a folder with code" if Path(commit).is_dir() else "a folder"
    context = f"{commit} is not {folder}"
    top = Path(run_git(Path.cwd(), "rev-parse", "--show-toplevel", context=context))
    commit_hash = run_git(
        top, "rev-parse", "--verify", "--quiet", f"{commit}^{{commit}}",
        context=f"{commit} is neither {folder} nor a commit of {top}",
    )  # fmt: skip
    with tempfile.TemporaryDirectory(prefix="quintain-") as parent:
        worktree = Path(parent, "tree")
        run_git(top, "worktree", "add", "--detach", "--quiet", str(worktree), commit_hash)
        try:
            yield worktree
        finally:
            run_git(top, "worktree", "remove", "--force", str(worktree))


def run_git(folder: Path, *arguments: str, context: str = "") -> str:
    """Run git and return its output.

    Raises:
        UsageError: git failed; the message is `context` and git's own first line.
    """
    try:
        done = subprocess.run(["git", *arguments], cwd=folder, capture_output=True, text=True)
    except OSError as error:
        raise UsageError(f"git cannot be run: {error.strerror}") from error
    if done.returncode:
        first_line = next(iter(done.stderr.strip().splitlines()), "")
        raise UsageError(": ".join(filter(None, (context, first_line))) or "git failed")
    return done.stdout.strip()


def _has_code(folder: Path) -> bool:
    if (folder / "conf").is_dir() or _find_python(folder):
        return True
    return next(folder.rglob("*.py"), None) is not None


def _find_python(folder: Path) -> str | None:
    """Return the interpreter of the virtual environment in a folder, or None."""
    paths = folder / ".venv" / "bin" / "python", folder / "bin" / "python"
    return next((str(path) for path in paths if path.is_file()), None)


@contextmanager
def _open_folder(folder: Path, name: str, top: Path) -> Iterator[Version]:
    """Yield the version in a folder; plugin folders inside `top` are replaced by its own."""
    python = _find_python(folder) or sys.executable
    working_folder = folder / Path.cwd().relative_to(top)
    if not working_folder.is_dir():
        working_folder = folder
    plugins = os.environ.get("QUINTAIN_PLUGINS", "").split(os.pathsep)
    paths = [Path(plugin).absolute() for plugin in plugins if plugin]
    paths = [folder / p.relative_to(top) if p.is_relative_to(top) else p for p in paths]
    environment = {"QUINTAIN_PLUGINS": os.pathsep.join(map(str, paths))}
    source = folder / "src" / "quintain"
    if not source.is_dir():
        yield Version(name, working_folder, python, environment)
        return
    # Without this check an editable install of the current code would be imported instead.
    if not (source / "launch" / "burst.py").is_file():
        raise UsageError(
            f"{name} cannot train in bursts: it has no quintain.launch.burst, so it is older"
            " than the gate; compare stores instead (--baseline)"
        )
    with tempfile.TemporaryDirectory(prefix="quintain-") as path:
        _link_package(source, folder, Path(path, "quintain"))
        yield Version(name, working_folder, python, environment | {"PYTHONPATH": path})


def _link_package(source: Path, top: Path, package: Path) -> None:
    """Build a package of links with the layout of the wheel, which contains conf and plugins."""
    package.mkdir()
    targets = {path.name: path for path in source.iterdir()}
    targets |= {name: top / name for name in ("conf", "plugins") if (top / name).is_dir()}
    for name, target in targets.items():
        os.symlink(target, package / name)
