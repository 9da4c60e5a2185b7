"""List, scan and split the files of a user's folder with one subfolder for each class.

    root/cat/*.png  root/dog/*.png              split by content or by group
    root/train/cat/*.png  root/test/cat/*.png   predefined splits

Hidden files and folders are ignored. Links to other folders are followed; a link to a folder that
contains it is an error.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from quintain.contracts import Split
from quintain.data.files.problems import Problems, abbreviate
from quintain.data.on_disk import Item
from quintain.data.user_files.scan import (
    FileKind,
    FileScan,
    Metadata,
    duplicate_notes,
    filter_unreadable,
    printable_name,
    scan_files,
)
from quintain.data.user_files.splits import (
    SHARES,
    SPLIT_NAMES,
    SPLITS,
    assign_splits,
    leak_notes,
    match_groups,
)


@dataclass(frozen=True)
class ClassFile:
    """A file; `name` is relative to its class folder, `split` None if it is not predefined."""

    path: Path
    name: str
    label: str
    scan: FileScan
    split: Split | None = None


@dataclass(frozen=True)
class ClassFolders:
    """The classes in alphabetical order, and the usable files of each split in order of names."""

    classes: tuple[str, ...]
    splits: Mapping[Split, Sequence[ClassFile]]
    notes: tuple[str, ...]

    @property
    def metadata(self) -> list[Metadata]:
        return list(self.metadata_by_path.values())

    @property
    def metadata_by_path(self) -> dict[Path, Metadata]:
        return {file.path: file.scan.metadata for split in SPLITS for file in self.splits[split]}

    def items(
        self, steps: Callable[[Metadata], int] = lambda metadata: 0
    ) -> dict[Split, list[Item]]:
        """Return the samples of each split; `steps` computes their length from metadata."""
        indices = {label: index for index, label in enumerate(self.classes)}
        return {
            split: [Item(f.path, indices[f.label], steps(f.scan.metadata)) for f in files]
            for split, files in self.splits.items()
        }


def read_class_folders(
    path: str,
    kind: FileKind,
    problems: Problems,
    group: str | None = None,
    shares: Sequence[float] = SHARES,
    bad_share: float = 0.01,
    workers: int = 2,
) -> ClassFolders:
    """Scan and split all files of one kind below a folder.

    Args:
        path: root folder.
        kind: kind of files.
        problems: collects problems, which the caller raises.
        group: regular expression searched in `ClassFile.name`; files with the same match (or first
            group of the match) are in the same split. None: files with equal content are.
        shares: fractions of train, val and test, stratified by class, if there are no split
            folders.
        bad_share: largest share of unusable files, which are left out.
        workers: number of threads that scan files.

    Raises:
        DataError: no file can be used.
    """
    root = Path(path).expanduser().absolute()
    files = _list_files(root, kind, problems, workers)
    faults = [(f"{file.label}/{file.name}", file.scan.fault) for file in files if file.scan.fault]
    notes = filter_unreadable(faults, len(files), kind.name, bad_share, problems)
    usable = [file for file in files if not file.scan.fault]
    empty_notes = _empty_class_notes(root, usable, kind)
    classes = tuple(sorted({file.label for file in usable}))
    if len(classes) < 2:
        problems.add(*empty_notes)
    if not usable:
        problems.add(f"{printable_name(path)} has no usable {kind.name}")
        problems.raise_if_any()
    if len(classes) == 1:
        problems.add(f"there is one class folder ({classes[0]}); expected two or more")
    notes += empty_notes
    if (result := _split(usable, group, shares, problems)) is None:
        return ClassFolders(classes, {"train": usable, "val": (), "test": ()}, tuple(notes))
    splits, split_note = result
    train_labels = {file.label for file in splits["train"]}
    for split in SPLITS[1:]:
        if unknown := sorted({file.label for file in splits[split]} - train_labels):
            problems.add(f"classes of {split} that train lacks: {', '.join(abbreviate(unknown))}")
    notes += [f"{len(classes)} classes: {', '.join(abbreviate(classes))}", split_note]
    return ClassFolders(classes, splits, (*notes, *_copy_notes(splits, kind)))


def walk_files(
    folder: Path, problems: Problems, ancestors: tuple[tuple[int, int], ...] = ()
) -> Iterator[Path]:
    """Yield every file below a folder in the order of names, and follow links.

    Loops and folders that cannot be listed are added to `problems`. `ancestors` holds device and
    inode of the folders above, to detect loops.
    """
    status = folder.stat()
    identity = (status.st_dev, status.st_ino)
    if identity in ancestors:
        problems.add(f"{printable_name(folder)} is a link to a folder that contains it: remove it")
        return
    try:
        names = sorted(os.listdir(folder))
    except OSError as error:
        problems.add(f"{printable_name(folder)} cannot be listed ({error.strerror})")
        return
    for path in (folder / name for name in names if not name.startswith(".")):
        if path.is_dir():
            yield from walk_files(path, problems, (*ancestors, identity))
        else:
            yield path


def _list_files(root: Path, kind: FileKind, problems: Problems, workers: int) -> list[ClassFile]:
    if not root.is_dir():
        state = "is a file" if root.exists() else "does not exist"
        problems.add(
            f"{printable_name(root)} {state}; expected a folder with one folder for each class"
        )
        problems.raise_if_any()
    split_of = _split_folders(root)
    paths = {folder: [*_files_of_kind(folder, kind, problems)] for folder in split_of}
    scans = scan_files([path for group in paths.values() for path in group], kind, workers)
    return [
        ClassFile(path, printable_name(Path(*below)), printable_name(label), scans[path], split)
        for folder, split in split_of.items()
        for path in paths[folder]
        for label, *below in [path.relative_to(folder).parts]
    ]


def _split_folders(root: Path) -> Mapping[Path, Split | None]:
    """Return the folders that contain class folders: one for each split, or only the root."""
    folders = _subfolders(root)
    split_of = {p: SPLIT_NAMES[p.name.lower()] for p in folders if p.name.lower() in SPLIT_NAMES}
    return split_of if split_of and len(split_of) == len(folders) else {root: None}


def _subfolders(folder: Path) -> list[Path]:
    if not os.access(folder, os.R_OK | os.X_OK):
        return []  # `walk_files` reports it
    return [p for p in sorted(folder.iterdir()) if p.is_dir() and not p.name.startswith(".")]


def _empty_class_notes(root: Path, files: Sequence[ClassFile], kind: FileKind) -> list[str]:
    """Return notes on class folders without a usable file, in all splits or in one of them."""
    known = {(file.label, file.split) for file in files}
    classes = {label for label, _ in known}
    empty = [
        (printable_name(path.name), split)
        for folder, split in _split_folders(root).items()
        for path in _subfolders(folder)
        if (printable_name(path.name), split) not in known
        and not folder.is_relative_to(path.resolve())
    ]
    notes = []
    if unknown := sorted({repr(label) for label, _ in empty if label not in classes}):
        notes.append(
            f"classes without usable {kind.name}, left out: {', '.join(abbreviate(unknown))}"
        )
    for split in SPLITS:
        if labels := [repr(label) for label, s in empty if s == split and label in classes]:
            names = ", ".join(abbreviate(labels))
            notes.append(f"classes without usable {kind.name} in {split}: {names}")
    return notes


def _files_of_kind(top: Path, kind: FileKind, problems: Problems) -> Iterator[Path]:
    """Yield the files in class folders; add problems for files outside them and if none exist."""
    other_extensions: Counter[str] = Counter()
    outside, has_files = [], False
    for path in walk_files(top, problems):
        if path.suffix.lower() not in kind.extensions:
            other_extensions[path.suffix.lower() or "without an extension"] += 1
        elif path.parent == top:
            outside.append(printable_name(path.name))
        else:
            has_files = True
            yield path
    if outside:
        problems.add(
            f"{len(outside):,} {kind.name} are in {printable_name(top)} itself "
            f"({', '.join(abbreviate(outside))}); expected them in class folders"
        )
    elif not has_files:
        counts = abbreviate(f"{n:,} {name}" for name, n in other_extensions.most_common())
        problems.add(
            f"{printable_name(top)} has no {kind.name} ({', '.join(sorted(kind.extensions))}); "
            f"found {', '.join(counts) or 'nothing'}"
        )


def _split(
    files: Sequence[ClassFile], group: str | None, shares: Sequence[float], problems: Problems
) -> tuple[dict[Split, list[ClassFile]], str] | None:
    """Return the files of each split and a note; None if a problem was added."""
    keys: list[str] | None = [file.scan.sha256 for file in files]
    if group is not None:
        keys = match_groups([file.name for file in files], group, problems)
    method = "by the content of files" if group is None else f"by group ({group})"
    given, labels = [file.split for file in files], [file.label for file in files]
    return assign_splits(files, given, keys, labels, shares, method, problems)


def _copy_notes(splits: Mapping[Split, Sequence[ClassFile]], kind: FileKind) -> Iterator[str]:
    """Yield notes on files with equal content, within and across splits and classes."""
    files = [file for split in SPLITS for file in splits[split]]
    yield from duplicate_notes([file.scan.sha256 for file in files], kind.name)
    yield from leak_notes({split: [f.scan.sha256 for f in splits[split]] for split in SPLITS})
    pairs = {(file.scan.sha256, file.label) for file in files}
    ambiguous = {sha256 for sha256, n in Counter(sha256 for sha256, _ in pairs).items() if n > 1}
    if ambiguous:
        names = [f"{f.label}/{f.name}" for f in files if f.scan.sha256 in ambiguous]
        yield (
            f"{len(ambiguous):,} {kind.name} are in several classes with the same content: "
            f"{', '.join(abbreviate(names))}"
        )
