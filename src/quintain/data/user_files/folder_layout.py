"""Find out which folders of a user are splits and which are classes, from the files in them.

    cat/*.png  dog/*.png                     classes; the splits are made from the content
    train/cat/*.png  test/cat/*.png          splits given
    cat/train/*.png  cat/test/*.png          splits given, inside each class
    data/train/cat/*.png                     found one or more levels down, and said

A folder with the name of a split is never a class. Folders beside the splits are left out and
named.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from quintain.contracts import Split
from quintain.data.files.problems import Problems, abbreviate, printable_name
from quintain.data.user_files.splits import SPLIT_NAMES

_FILLERS = frozenset(
    [
        "set",
        "data",
        "dataset",
        "split",
        "folder",
        "files",
        "images",
        "image",
        "imgs",
        "img",
        "pictures",
        "photos",
        "audio",
        "wav",
        "wavs",
        "clips",
        "videos",
        "video",
        "recordings",
        "samples",
    ]
)
"""Words beside the name of a split that do not change its meaning: `train_images`, `TestSet`."""
_JOINED = {f"{name}{end}": s for name, s in SPLIT_NAMES.items() for end in ("set", "data")}
_WORD = re.compile(r"[^\W\d_]+")
_CAPITAL = re.compile(r"(?<=[a-z])(?=[A-Z])")


@dataclass(frozen=True)
class PlacedFile:
    """A file with its class and, if it is given, its split; `name` is relative to the class."""

    path: Path
    label: str
    name: str
    split: Split | None = None


@dataclass
class FolderLayout:
    """The files of all classes.

    Attributes:
        files: in the order of the listing.
        notes: which folders were left out, and where classes were found below the root.
        empty: class folders without a file of the kind.
    """

    files: list[PlacedFile] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    empty: list[str] = field(default_factory=list)


@dataclass
class _Folder:
    """A folder and its files of the kind: those in it (`loose`), and those in its subfolders.

    `others` are the names of subfolders without such files.
    """

    path: Path
    loose: list[Path] = field(default_factory=list)
    folders: dict[str, _Folder] = field(default_factory=dict)
    others: list[str] = field(default_factory=list)

    @property
    def files(self) -> list[Path]:
        return [*self.loose, *(file for folder in self.folders.values() for file in folder.files)]


def find_layout(
    root: Path, files: Sequence[Path], folders: Sequence[Path], kind: str, problems: Problems
) -> FolderLayout:
    """Return the class, and the split if given, of each file.

    Args:
        root: the user's folder.
        files: of one kind, below `root`.
        folders: all folders below `root`, also empty ones.
        kind: plural, for messages ("images").
        problems: collects what is wrong with the layout.

    Raises:
        DataError: classes and splits cannot be told apart.
    """
    layout = FolderLayout()
    top = _descend(_build_tree(root, files, folders), layout)
    split_of = parse_split_names([*top.folders, *top.others])
    if _has_given_splits(top, split_of, kind, problems, layout):
        _place_splits(top, split_of, kind, problems, layout)
    elif _has_splits_in_classes(top):
        _report_loose(top, kind, problems)
        for label, folder in top.folders.items():
            for name, split in parse_split_names(folder.folders).items():
                _place_class(folder.folders[name], label, split, layout)
        layout.notes.append("the splits are folders inside the class folders")
    else:
        _refuse_inner_splits(top, problems)
        _report_loose(top, kind, problems)
        _place_classes(top, None, layout)
    order = {file: number for number, file in enumerate(files)}
    layout.files.sort(key=lambda placed: order[placed.path])
    return layout


def parse_split_names(names: Iterable[str]) -> dict[str, Split]:
    """Return the names that stand for a split.

    `Train`, `train_images`, `train2017` and `TestSet` do. So do names that share other words,
    `seg_train` and `seg_test`, if one of them is train.
    """
    by_rest: dict[tuple[str, ...], dict[str, Split]] = defaultdict(dict)
    for name in names:
        words = _WORD.findall(_CAPITAL.sub(" ", printable_name(name)).casefold())
        known = [SPLIT_NAMES.get(word) or _JOINED.get(word) for word in words]
        splits = [split for split in known if split]
        rest = (w for w, split in zip(words, known, strict=True) if not split)
        if len(splits) == 1:
            by_rest[tuple(word for word in rest if word not in _FILLERS)][name] = splits[0]
    plain = by_rest.pop((), {})
    shared = [group for group in by_rest.values() if {"train"} < set(group.values())]
    return plain or next(iter(shared), {})


def _build_tree(root: Path, files: Sequence[Path], folders: Sequence[Path]) -> _Folder:
    top = _Folder(root)
    for file in files:
        folder = top
        for name in file.relative_to(root).parts[:-1]:
            folder = folder.folders.setdefault(name, _Folder(folder.path / name))
        folder.loose.append(file)
    by_path = {top.path: top}
    for path in folders:  # parents come first
        if (parent := by_path.get(path.parent)) is not None:
            if path.name in parent.folders:
                by_path[path] = parent.folders[path.name]
            else:
                parent.others.append(path.name)
    return top


def _descend(top: _Folder, layout: FolderLayout) -> _Folder:
    """Return the folder of the class or split folders, which may lie in folders of one folder."""
    folder = top
    while len(folder.folders) == 1 and not folder.loose and not parse_split_names(folder.folders):
        (folder,) = folder.folders.values()
    if folder is top or not folder.folders:  # a single class
        return top
    below = folder.path.relative_to(top.path)
    layout.notes.append(f"the class folders were found in {printable_name(below)}/, not in path")
    return folder


def _has_given_splits(
    top: _Folder,
    split_of: Mapping[str, Split],
    kind: str,
    problems: Problems,
    layout: FolderLayout,
) -> bool:
    """Whether some folders are splits; refuse what could be either a split or a class.

    A folder `train` is a class if its files are not in class folders and no other folder has the
    name of a split: trains are a class of many sets of photographs.
    """
    present = {name: top.folders[name] for name in split_of if name in top.folders}
    with_classes = [name for name, folder in present.items() if folder.folders]
    if not present or any(split_of[name] == "train" for name in with_classes):
        return bool(present)
    names = ", ".join(map(printable_name, present))
    others = [name for name in top.folders if name not in present]
    if with_classes:
        moved = f"move {', '.join(abbreviate(map(printable_name, others), shown=3))} into train/"
        problems.add(
            f"there are folders of splits ({names}), but none for train: "
            f"{moved if others else 'expected class folders in train/'}"
        )
    elif others and [name.casefold() for name in present] == ["train"]:
        layout.notes.append(
            f"'train' is read as a class, because its {kind} are not in class folders"
        )
        return False
    else:
        problems.add(
            f"{names}: named like splits, but their {kind} are not in class folders, so their "
            f"classes are unknown: sort them into train/CLASS/, test/CLASS/; if it is a class, "
            "rename the folder"
        )
    problems.raise_if_any()
    return True


def _place_splits(
    top: _Folder,
    split_of: Mapping[str, Split],
    kind: str,
    problems: Problems,
    layout: FolderLayout,
) -> None:
    """Place the files of split folders; note what lies beside them."""
    for name, split in split_of.items():
        if name not in top.folders:
            layout.notes.append(f"folder {printable_name(name)!r} has no {kind}")
            continue
        folder = _descend_split(top.folders[name], split)
        if folder.folders:
            _report_loose(folder, kind, problems)
            _place_classes(folder, split, layout)
        else:
            problems.add(
                f"{len(folder.loose):,} {kind} of {printable_name(name)} are not in class folders, "
                f"so their classes are unknown: sort them into {printable_name(name)}/CLASS/, or "
                f"move this folder away; then {split} is taken from train"
            )
    for split, count in Counter(split_of[name] for name in split_of if name in top.folders).items():
        if count > 1:
            names = ", ".join(printable_name(n) for n, s in split_of.items() if s == split)
            layout.notes.append(f"{split} is read from {count} folders: {names}")
    strays = [
        f"{printable_name(name)} ({len(top.folders[name].files) if name in top.folders else 0:,})"
        for name in (*top.folders, *top.others)
        if name not in split_of
    ]
    strays += [f"the folder itself ({len(top.loose):,})"] if top.loose else []
    if strays:
        layout.notes.append(f"{kind} outside of the splits, left out: {', '.join(strays)}")


def _descend_split(folder: _Folder, split: Split) -> _Folder:
    """Return the folder of the class folders; some archives have `seg_train/seg_train/CLASS/`."""
    while len(folder.folders) == 1 and not folder.loose:
        (inner,) = folder.folders.values()
        is_split = [*parse_split_names(folder.folders).values()] == [split]
        if not is_split and inner.path.name != folder.path.name:
            break
        folder = inner
    return folder


def _has_splits_in_classes(top: _Folder) -> bool:
    """Whether every class folder has only split folders, among them train."""
    split_names = [parse_split_names(folder.folders) for folder in top.folders.values()]
    return len(split_names) > 1 and all(
        "train" in names.values()
        and len(names) == len(folder.folders)
        and not folder.loose
        and not any(inner.folders for inner in folder.folders.values())
        for names, folder in zip(split_names, top.folders.values(), strict=True)
    )


def _refuse_inner_splits(top: _Folder, problems: Problems) -> None:
    """Refuse folders with splits of their own beside other folders.

    Raises:
        DataError: there are some.
    """
    inner = [
        printable_name(name)
        for name, folder in top.folders.items()
        if {"train"} < set(parse_split_names(folder.folders).values())
    ]
    if inner:
        problems.add(
            f"folders with splits of their own: {', '.join(abbreviate(inner))}; give one of them "
            "as path, or use train/CLASS/, test/CLASS/ for all"
        )
        problems.raise_if_any()


def _report_loose(folder: _Folder, kind: str, problems: Problems) -> None:
    if folder.loose:
        names = ", ".join(abbreviate(printable_name(file.name) for file in folder.loose))
        problems.add(
            f"{len(folder.loose):,} {kind} are in {printable_name(folder.path)} itself ({names}); "
            "expected them in class folders"
        )


def _place_classes(folder: _Folder, split: Split | None, layout: FolderLayout) -> None:
    forms = Counter(map(printable_name, folder.folders))
    if twice := [repr(name) for name, count in forms.items() if count > 1]:
        layout.notes.append(
            f"folders of equal names in different Unicode forms are one class: {', '.join(twice)}"
        )
    for label, inner in folder.folders.items():
        _place_class(inner, label, split, layout)
    layout.empty += [name for name in map(printable_name, folder.others) if name not in forms]


def _place_class(folder: _Folder, label: str, split: Split | None, layout: FolderLayout) -> None:
    layout.files += [
        PlacedFile(
            file, printable_name(label), printable_name(file.relative_to(folder.path)), split
        )
        for file in folder.files
    ]
