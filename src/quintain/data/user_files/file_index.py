"""Find the files that a table names."""

from __future__ import annotations

import os
import re
import unicodedata
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from quintain.data.files.folder_listing import list_files
from quintain.data.files.problems import Problems
from quintain.data.user_files.scan import FileKind

TEXT_NUMBER = re.compile(r"#\d+$")  # of a text of a file, in Flickr8k


@dataclass(frozen=True)
class FileIndex:
    """The files of a folder: those of one kind, and all of them by their relative paths in NFC.

    Files of the kind are also found without their extension.
    """

    files: Sequence[Path]
    by_name: Mapping[str, Sequence[Path]]
    notes: Sequence[str]


def index_files(folder: Path, kind: FileKind, problems: Problems) -> FileIndex:
    listing = list_files(folder)
    problems.add(*listing.problems)
    files, _ = kind.select(listing.files)
    by_name = defaultdict(list)
    for path in listing.files:
        by_name[_to_key(path.relative_to(folder))].append(path)
    exact = dict(by_name)
    for path in files:
        by_name[_to_key(path.relative_to(folder).with_suffix(""))].append(path)
    return FileIndex(files, by_name | exact, [*listing.notes(folder)])


def _to_key(name: Path) -> str:
    return unicodedata.normalize("NFC", name.as_posix())


def match_files(folder: Path, name: str, index: FileIndex) -> Sequence[Path]:
    """Return the files with this name; it may be absolute or contain `..`, but not lead outside.

    Of two files whose names differ only in their Unicode form, the one with the very name counts.
    `a.jpg#0` is the first text of `a.jpg`, as in Flickr8k, unless there is such a file.
    """
    inside = Path(os.path.relpath(os.path.normpath(folder / name), folder))
    if matches := index.by_name.get(_to_key(inside), ()):
        return [path for path in matches if path == folder / inside] or matches
    file = TEXT_NUMBER.sub("", name)
    return match_files(folder, file, index) if file != name else ()
