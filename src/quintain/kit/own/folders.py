"""A user's own folder of files, one folder a class: listed, looked into, and split.

    root/cat/*.png   root/dog/*.png            split by content, or by group
    root/train/cat/*.png  root/test/cat/…      split as the folders say

Hidden files and folders are nobody's data. Links may lead out of the folder, but not back into it.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from quintain.contracts import Split
from quintain.kit.files.problems import Problems, some
from quintain.kit.ondisk import Item
from quintain.kit.own.cut import SPLIT_NAMES, cut, groups
from quintain.kit.own.scan import Facts, Kind, Seen, copies, scan, shown, sift
from quintain.kit.own.splits import SHARES, SPLITS, leaks


@dataclass(frozen=True)
class Named:
    """A file of a class: where it lies, below which class folder, and what was seen in it.

    `given` is the split that its folder says, else None.
    """

    path: Path
    name: str
    label: str
    seen: Seen
    given: Split | None = None


@dataclass(frozen=True)
class Folder:
    """What a folder of classes holds.

    Attributes:
        classes: names in alphabetical order; a file's label is one of them.
        splits: the usable files, in the order of their names.
        notes: sentences on what was inferred or left out.
    """

    classes: tuple[str, ...]
    splits: Mapping[Split, Sequence[Named]]
    notes: tuple[str, ...]

    @property
    def files(self) -> list[Named]:
        """The files of all splits."""
        return [file for split in SPLITS for file in self.splits[split]]

    def items(self, steps: Callable[[Facts], int] = lambda facts: 0) -> dict[Split, list[Item]]:
        """The samples of each split; `steps` says from a file's facts how long it will be."""
        number = {label: n for n, label in enumerate(self.classes)}
        return {
            split: [Item(f.path, number[f.label], steps(f.seen.facts)) for f in self.splits[split]]
            for split in SPLITS
        }


def class_folder(
    path: str,
    kind: Kind,
    problems: Problems,
    *,
    group: str | None = None,
    shares: Sequence[float] = SHARES,
    bad_share: float = 0.01,
    workers: int = 2,
) -> Folder:
    """Everything below `path` that is of this kind, by class and split.

    Args:
        path: the folder.
        kind: of file.
        problems: collects what is wrong; the caller raises it with what it finds itself.
        group: a regular expression searched in each file's name (below its class folder); files
            with the same match (its first group, where it has one) come into one split.
        shares: of train, val and test, where no folders say it; stratified by class.
        bad_share: share of the files that may be unusable and are then left out.
        workers: threads that look into files.

    Raises:
        DataError: there is no usable file at all.
    """
    root = Path(path).expanduser().absolute()
    files = _listed(root, kind, problems, workers)
    wrong = [(f"{f.label}/{f.name}", f.seen.wrong) for f in files if f.seen.wrong]
    notes = [*sift(wrong, len(files), kind.name, bad_share, problems)]
    usable = [file for file in files if not file.seen.wrong]
    bare = [*_without_files(root, usable, kind)]
    if len({file.label for file in usable}) < 2:
        problems.add(*bare)
    if not usable:
        problems.add(f"{shown(path)} has no usable {kind.name}")
        problems.check()
    return _sorted(usable, kind, group, shares, problems, [*notes, *bare])


def walk(folder: Path, problems: Problems) -> Iterator[Path]:
    """Every file below a folder in the order of names, links followed; loops are problems."""
    yield from _walk(folder, (), problems)


def _walk(folder: Path, above: tuple[tuple[int, int], ...], problems: Problems) -> Iterator[Path]:
    about = folder.stat()
    mine = (about.st_dev, about.st_ino)
    if mine in above:
        problems.add(f"{shown(folder)} is a link to a folder that it lies in: remove it")
        return
    try:
        names = sorted(os.listdir(folder))
    except OSError as error:
        problems.add(f"{shown(folder)} cannot be listed ({error.strerror})")
        return
    for path in (folder / name for name in names if not name.startswith(".")):
        if path.is_dir():
            yield from _walk(path, (*above, mine), problems)
        else:
            yield path


def _listed(root: Path, kind: Kind, problems: Problems, workers: int) -> list[Named]:
    """Every file of this kind with what was seen in it; each problem with the folder is noted."""
    if not root.is_dir():
        what = "is a file" if root.exists() else "is not there"
        problems.add(f"{shown(root)} {what}; expected a folder with one folder a class")
        problems.check()
    tops = _tops(root)
    found = {top: [*_of_kind(top, kind, problems)] for top in tops}
    seen = scan([path for paths in found.values() for path in paths], kind, workers)
    return [
        Named(path, shown(Path(*inside)), shown(label), seen[path], tops[top])
        for top, paths in found.items()
        for path in paths
        for label, *inside in [path.relative_to(top).parts]
    ]


def _tops(root: Path) -> Mapping[Path, Split | None]:
    """The folders that hold class folders: one for each split, or the root for all."""
    inner = _folders(root)
    given = {p: SPLIT_NAMES[p.name.lower()] for p in inner if p.name.lower() in SPLIT_NAMES}
    return given if given and len(given) == len(inner) else {root: None}


def _folders(folder: Path) -> list[Path]:
    if not os.access(folder, os.R_OK | os.X_OK):
        return []  # `walk` says so
    return [p for p in sorted(folder.iterdir()) if p.is_dir() and not p.name.startswith(".")]


def _without_files(root: Path, files: Sequence[Named], kind: Kind) -> Iterator[str]:
    """Notes on class folders with no usable file, at all or in a split of their own."""
    known = {(file.label, file.given) for file in files}
    classes = {label for label, _ in known}
    lacking = [
        (shown(path.name), split)
        for top, split in _tops(root).items()
        for path in _folders(top)
        if (shown(path.name), split) not in known and not top.is_relative_to(path.resolve())
    ]
    if never := sorted({repr(label) for label, _ in lacking if label not in classes}):
        yield f"classes without usable {kind.name}, left out: {', '.join(some(never))}"
    for one in SPLITS:
        if names := [repr(label) for label, split in lacking if split == one and label in classes]:
            yield f"classes without usable {kind.name} in {one}: {', '.join(some(names))}"


def _of_kind(top: Path, kind: Kind, problems: Problems) -> Iterator[Path]:
    """Files of this kind in class folders; loose ones are a problem, and so is finding none."""
    others: Counter[str] = Counter()
    loose, found = [], False
    for path in walk(top, problems):
        if path.suffix.lower() not in kind.endings:
            others[path.suffix.lower() or "without an ending"] += 1
        elif path.parent == top:
            loose.append(shown(path.name))
        else:
            found = True
            yield path
    if loose:
        problems.add(
            f"{len(loose):,} {kind.name} lie in {shown(top)} itself ({', '.join(some(loose))}); "
            "expected them in class folders"
        )
    elif not found:
        saw = ", ".join(some(f"{n:,} {e}" for e, n in others.most_common())) or "nothing"
        problems.add(
            f"{shown(top)} has no {kind.name} ({', '.join(sorted(kind.endings))}); found {saw}"
        )


def _sorted(
    files: Sequence[Named],
    kind: Kind,
    group: str | None,
    shares: Sequence[float],
    problems: Problems,
    notes: Sequence[str],
) -> Folder:
    """The usable files by class and split; where a split fails, all are in train."""
    classes = tuple(sorted({file.label for file in files}))
    if len(classes) < 2:
        problems.add(f"there is one class folder ({classes[0]}); expected two or more")
    done = _split(files, group, shares, problems)
    if done is None:
        return Folder(classes, {"train": files, "val": (), "test": ()}, tuple(notes))
    splits, how = done
    problems.add(*_unseen(splits))
    about = f"{len(classes)} classes: {', '.join(some(classes))}"
    return Folder(classes, splits, (*notes, about, how, *_doubts(splits, kind)))


def _split(
    files: Sequence[Named], group: str | None, shares: Sequence[float], problems: Problems
) -> tuple[dict[Split, list[Named]], str] | None:
    """The files of each split and a note on it; None where there is a problem."""
    keys: list[str] | None = [file.seen.sha256 for file in files]
    if group is not None:
        keys = groups([file.name for file in files], group, problems)
    if keys is None:
        return None
    how = "by the content of files" if group is None else f"by group ({group})"
    given, labels = [file.given for file in files], [file.label for file in files]
    done = cut(given, keys, labels, shares, how, problems)
    return done and ({split: [files[n] for n in done[0][split]] for split in SPLITS}, done[1])


def _doubts(splits: Mapping[Split, Sequence[Named]], kind: Kind) -> Iterator[str]:
    """Notes on copies, within a split and across, and on those with two labels."""
    files = [file for split in SPLITS for file in splits[split]]
    yield from copies([file.seen.sha256 for file in files], kind.name)
    yield from leaks({split: [f.seen.sha256 for f in splits[split]] for split in SPLITS})
    pairs = {(file.seen.sha256, file.label) for file in files}
    twice = [content for content, n in Counter(c for c, _ in pairs).items() if n > 1]
    if twice:
        names = [f"{f.label}/{f.name}" for f in files if f.seen.sha256 in twice]
        yield (
            f"{len(twice):,} {kind.name} lie in several classes with the same content: "
            f"{', '.join(some(names))}"
        )


def _unseen(splits: Mapping[Split, Sequence[Named]]) -> Iterator[str]:
    trained = {file.label for file in splits["train"]}
    for split in SPLITS[1:]:
        if new := sorted({file.label for file in splits[split]} - trained):
            yield f"classes of {split} that train lacks: {', '.join(some(new))}"
