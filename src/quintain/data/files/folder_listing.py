"""List the data files below a user's folder: the same files for cell keys and for datasets.

What lies beside the data but is none is left out: hidden files, files of the operating system,
virtual environments, plugin folders, and outputs of Quintain, W&B, Hydra and Lightning. Links are
followed; a link to a folder that contains it is a problem.

This module is imported by planning, so it must not import torch.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from quintain.data.files.problems import abbreviate, printable_name

SYSTEM_NAMES = frozenset(
    {"__macosx", "@eadir", "#recycle", "$recycle.bin", "system volume information", "lost+found"}
    | {"thumbs.db", "ehthumbs.db", "desktop.ini", "__pycache__"}
)
"""Files and folders of macOS, Windows, file servers and Python, in lower case."""

STORE_FOLDERS = frozenset(
    {"records", "claims", "samples", "logs", "plans", "checkpoints", "corrupt", "running", "index"}
    | {"mirror", "wandb", "outbox", "tune", "slurm"}
)
_STORE_FILES = (
    *("records/??/*.json", "claims/*.lock", "samples/*/samples.json", "logs/*.log"),
    *("checkpoints/*/*.pt", "corrupt/*.json", "running/*.json"),
    *("scans/*.json", "hashes/*.json"),  # of Quintain's cache
)
"""Files by which a store is recognised, if they or their folder are named like a cell's key."""
_KEY = re.compile(r"[0-9a-f]{32}(?![0-9a-f])")
_WANDB_RUN = re.compile(r"(offline-)?run-\d{8}_\d{6}-.+")
_BOARDS = {
    ".html": re.compile(rb".*<title>Quintain leaderboard</title>", re.DOTALL),
    ".csv": re.compile(rb"dataset,modality,task,generated,metric,direction,unit,"),
    ".json": re.compile(rb'\{\s*"version": \d+,\s*"rows": \['),
    ".md": re.compile(rb"### .*\n\n\|[^|\n]+\| model \|"),
    ".tex": re.compile(rb"% needs .*\{booktabs\}\s*\\begin\{table\}"),
}
"""How a leaderboard in each format begins."""
_HEAD = 4096  # bytes of a file that are compared


@dataclass
class FolderListing:
    """The files below a folder, and what was left out.

    Attributes:
        files: in the order of names, folder by folder.
        folders: that contain them or nothing, without the root.
        left_out: what is no data, and why ("a store of results").
        problems: loops of links, and folders that cannot be listed.
    """

    files: list[Path] = field(default_factory=list)
    folders: list[Path] = field(default_factory=list)
    left_out: dict[Path, str] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)

    def notes(self, root: Path) -> Iterator[str]:
        """Yield a note on what is no data, if there is any; names are relative to `root`."""
        names = [
            f"{printable_name(path.relative_to(root))} ({reason})"
            for path, reason in self.left_out.items()
        ]
        if names:
            yield f"no data, left out: {', '.join(abbreviate(names))}"


def list_files(root: Path) -> FolderListing:
    """Return every data file below a folder; links are followed.

    Broken links and special files (pipes, sockets) are listed too, so that the reader names them.
    If `root` is itself a store or a plugin folder, its own folders are left out.
    """
    listing = FolderListing()
    names = _list_names(root)
    own: dict[str, str] = {}
    if _is_store(root, names):
        own = dict.fromkeys(STORE_FOLDERS, "of the store of results")
    elif _is_plugin_folder(root, names):
        own = dict.fromkeys(("conf", "plugins"), "of the plugin folder")
    listing.left_out = {root / name: own[name] for name in sorted(own) if name in names}
    _add_files(root, (), listing)
    return listing


def is_data_file(file: Path) -> bool:
    """Whether a file, which is not hidden, may be data."""
    return not _explain_file(file)


def _add_files(
    folder: Path, ancestors: tuple[tuple[int, int], ...], listing: FolderListing
) -> None:
    """Add the files below a folder; `ancestors` are device and inode of the folders above it."""
    try:
        status = folder.stat()
        names = sorted(name for name in os.listdir(folder) if not name.startswith("."))
    except OSError as error:
        listing.problems.append(f"{printable_name(folder)} cannot be listed ({error.strerror})")
        return
    identity = (status.st_dev, status.st_ino)
    if identity in ancestors:
        listing.problems.append(
            f"{printable_name(folder)} is a link to a folder that contains it: remove it"
        )
        return
    for path in (folder / name for name in names):
        if path in listing.left_out:
            continue
        is_folder = path.is_dir()
        if reason := _explain_folder(path) if is_folder else _explain_file(path):
            listing.left_out[path] = reason
        elif is_folder:
            listing.folders.append(path)
            _add_files(path, (*ancestors, identity), listing)
        else:
            listing.files.append(path)


def _explain_file(file: Path) -> str:
    """Return why a file is no data, "" if it may be."""
    if file.name.lower() in SYSTEM_NAMES:
        return "of the operating system"
    if file.suffix == ".qb":
        return "a bundle of records"
    if file.name == "nohup.out":
        return "a log"
    pattern = _BOARDS.get(file.suffix.lower())
    if pattern is not None and file.is_file() and os.access(file, os.R_OK):
        with file.open("rb") as handle:
            return "a leaderboard" if pattern.match(handle.read(_HEAD)) else ""
    return ""


def _explain_folder(folder: Path) -> str:
    """Return why a folder has no data, "" if it may have."""
    names = _list_names(folder)
    if folder.name.lower() in SYSTEM_NAMES:
        return "of the operating system"
    if "pyvenv.cfg" in names:
        return "a virtual environment"
    if _is_store(folder, names):
        return "a store of results"
    if any(map(_WANDB_RUN.fullmatch, names)):
        return "outputs of W&B"
    if {".hydra", "multirun.yaml"} & names:
        return "outputs of Hydra"
    if folder.name == "lightning_logs" and any(name.startswith("version_") for name in names):
        return "outputs of Lightning"
    return "a plugin folder" if _is_plugin_folder(folder, names) else ""


def _list_names(folder: Path) -> set[str]:
    try:
        return set(os.listdir(folder))
    except OSError:
        return set()  # `_add_files` reports it


def _is_store(folder: Path, names: set[str]) -> bool:
    """Whether a folder is a store: a sweep creates `claims/write.lock` before any other file."""
    return any(
        path.suffix == ".lock" or _KEY.match(path.name) or _KEY.match(path.parent.name)
        for pattern in _STORE_FILES
        if pattern.split("/")[0] in names
        for path in folder.glob(pattern)
    )


def _is_plugin_folder(folder: Path, names: set[str]) -> bool:
    has_both = {"conf", "plugins"} <= names
    return has_both and any(folder.glob("conf/*/*.yaml")) and any(folder.glob("plugins/*/*.py"))
