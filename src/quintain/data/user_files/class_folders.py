"""Read, scan and split the files of a user's folder with one subfolder for each class.

`folder_layout` explains which layouts are understood, `folder_listing` what is not data.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from quintain.contracts import Split
from quintain.data.files.folder_listing import list_files
from quintain.data.files.problems import Problems, abbreviate, printable_name
from quintain.data.on_disk import Item
from quintain.data.user_files.class_counts import (
    find_small_classes,
    missing_class_notes,
    similar_name_notes,
)
from quintain.data.user_files.folder_layout import FolderLayout, find_layout
from quintain.data.user_files.scan import (
    FileKind,
    FileScan,
    Metadata,
    duplicate_notes,
    filter_unreadable,
    scan_files,
)
from quintain.data.user_files.splits import (
    SHARES,
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
            split: [
                Item(
                    file.path,
                    indices[file.label],
                    steps(file.scan.metadata),
                    sha256=file.scan.sha256,
                )
                for file in files
            ]
            for split, files in self.splits.items()
        }


def read_class_folders(
    path: str,
    kind: FileKind,
    problems: Problems,
    group: str | None = None,
    shares: Sequence[float] = SHARES,
    bad_share: float = 0.01,
    min_per_class: int = 1,
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
        min_per_class: classes with fewer different files (or groups) in train are left out.
        workers: number of threads that scan files.

    Raises:
        DataError: no file can be used.
    """
    root = Path(path).expanduser().absolute()
    layout, notes = _find_files(root, kind, problems)
    scans = scan_files([placed.path for placed in layout.files], kind, root, workers)
    files = [
        ClassFile(placed.path, placed.name, placed.label, scans[placed.path], placed.split)
        for placed in layout.files
    ]
    faults = [(f"{file.label}/{file.name}", file.scan.fault) for file in files if file.scan.fault]
    notes += filter_unreadable(faults, len(files), kind.name, bad_share, problems)
    usable = [file for file in files if not file.scan.fault]
    if not usable:
        problems.add(f"{printable_name(path)} has no usable {kind.name}")
        problems.raise_if_any()
    class_notes = _empty_class_notes(layout.empty, files, kind)
    keys = _split_keys(usable, group, problems)
    if keys is not None:
        usable, keys, small_notes = _leave_out_small(usable, keys, min_per_class, problems)
        class_notes += small_notes
    classes = tuple(sorted({file.label for file in usable}))
    if len(classes) < 2:
        found = f"one class folder ({classes[0]})" if classes else "no class folder"
        problems.add(*class_notes, f"there is {found}; expected two or more")
    if not usable:
        problems.raise_if_any()
    method = "by the content of files" if group is None else f"by group ({group})"
    splits, split_notes = _split(usable, keys, shares, method, problems)
    notes += [*class_notes, f"{len(classes)} classes: {', '.join(abbreviate(classes))}"]
    return ClassFolders(classes, splits, (*notes, *split_notes, *_copy_notes(splits, kind)))


def _find_files(root: Path, kind: FileKind, problems: Problems) -> tuple[FolderLayout, list[str]]:
    """Return the files of this kind with their classes, and notes on all that is left out."""
    if not root.is_dir():
        state = "is a file" if root.exists() else "does not exist"
        problems.add(
            f"{printable_name(root)} {state}; expected a folder with one folder for each class"
        )
        problems.raise_if_any()
    listing = list_files(root)
    problems.add(*listing.problems)
    files, notes = kind.select(listing.files)
    if not files:
        found = notes[-1].removeprefix("passed over: ") if notes else "nothing"
        problems.add(f"{printable_name(root)} has no {kind.name}; found {found}")
    layout = find_layout(root, files, listing.folders, kind.name, problems)
    return layout, [*layout.notes, *notes, *listing.notes(root)]


def _empty_class_notes(
    empty: Sequence[str], files: Sequence[ClassFile], kind: FileKind
) -> list[str]:
    """Return notes on class folders without a usable file.

    Args:
        empty: class folders without a file of this kind.
        files: all files of this kind.
        kind: of the files.
    """
    classes = {file.label for file in files if not file.scan.fault}
    labels = {*empty, *(file.label for file in files)}
    if unusable := sorted(map(repr, labels - classes)):
        names = ", ".join(abbreviate(unusable))
        return [f"classes without usable {kind.name}, left out: {names}"]
    return []


def _split_keys(
    files: Sequence[ClassFile], group: str | None, problems: Problems
) -> list[str] | None:
    """Return the key of each file (see `split_by_key`); None if a problem was added."""
    if group is None:
        return [file.scan.sha256 for file in files]
    return match_groups([file.name for file in files], group, problems)


def _leave_out_small(
    files: Sequence[ClassFile], keys: Sequence[str], min_per_class: int, problems: Problems
) -> tuple[list[ClassFile], list[str], list[str]]:
    """Return files and keys without the classes that are too small in train, and a note."""
    pairs = list(zip(files, keys, strict=True))
    train = [(file, key) for file, key in pairs if file.split in (None, "train")]
    labels = [file.label for file, _ in train]
    small, notes = find_small_classes(labels, [key for _, key in train], min_per_class, problems)
    kept = [(file, key) for file, key in pairs if file.label not in small]
    return [file for file, _ in kept], [key for _, key in kept], notes


def _split(
    files: Sequence[ClassFile],
    keys: Sequence[str] | None,
    shares: Sequence[float],
    method: str,
    problems: Problems,
) -> tuple[Mapping[Split, Sequence[ClassFile]], list[str]]:
    """Return the files of each split, and notes; after a problem, all files are in train."""
    given, labels = [file.split for file in files], [file.label for file in files]
    result = assign_splits(files, given, keys, labels, shares, method, problems)
    if result is None:
        return {"train": files, "val": (), "test": ()}, []
    splits, note = result
    by_split = {split: [file.label for file in splits[split]] for split in SPLITS}
    for split in SPLITS[1:]:
        if unknown := sorted(set(by_split[split]) - set(by_split["train"])):
            problems.add(f"classes of {split} that train lacks: {', '.join(abbreviate(unknown))}")
    return splits, [note, *similar_name_notes(labels), *missing_class_notes(by_split)]


def _copy_notes(splits: Mapping[Split, Sequence[ClassFile]], kind: FileKind) -> Iterator[str]:
    """Yield notes on files that are or may be copies, within and across splits and classes."""
    files = [file for split in SPLITS for file in splits[split]]
    yield from duplicate_notes([file.scan.sha256 for file in files], kind.name)
    yield from leak_notes({split: [f.scan.sha256 for f in splits[split]] for split in SPLITS})
    counts = Counter(f"{file.label}/{Path(file.name).with_suffix('')}" for file in files)
    if several := sorted(name for name, count in counts.items() if count > 1):
        yield (
            f"{len(several):,} names occur with several endings, perhaps of copies "
            f"({', '.join(abbreviate(several, shown=3))}): dataset.group='(.*)[.]' keeps these in "
            "one split"
        )
    pairs = {(file.scan.sha256, file.label) for file in files}
    ambiguous = {sha256 for sha256, n in Counter(sha256 for sha256, _ in pairs).items() if n > 1}
    if ambiguous:
        names = [f"{f.label}/{f.name}" for f in files if f.scan.sha256 in ambiguous]
        yield (
            f"{len(ambiguous):,} {kind.name} are in several classes with the same content: "
            f"{', '.join(abbreviate(names))}"
        )
