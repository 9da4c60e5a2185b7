"""Files and their texts, named by a table: captions of images, transcripts of recordings.

captions.csv     file,caption                   beside the images, or a folder of them
metadata.csv     LJ001-0001|text|normalised     without a header, as LJSpeech has it
train.tsv, dev.tsv, test.tsv   path, sentence   as Common Voice has it; or one table with a
                                                column `split`
"""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from quintain.contracts import Split
from quintain.kit.files.download import DataError
from quintain.kit.files.problems import Problems, nearest, some
from quintain.kit.ondisk import Item
from quintain.kit.own.cut import SPLIT_NAMES, cut, groups
from quintain.kit.own.folders import walk
from quintain.kit.own.scan import Facts, Kind, Seen, scan, shown, sift
from quintain.kit.own.splits import SHARES, SPLITS, leaks
from quintain.kit.tables.columns import texts
from quintain.kit.tables.table import Table, read_table
from quintain.kit.text.spelling import Spelling

FILE = ("file", "filename", "file_name", "path", "image", "image_path", "audio", "audio_path", "id")
TEXT = (
    *("caption", "sentence", "normalised", "normalized", "normalized_text"),
    *("transcript", "transcription", "text"),
)
SPLIT = ("split", "set", "partition", "subset")
"""Names that columns have, in small letters, the likeliest first."""

WHOLE = ("metadata.csv", "metadata.jsonl", "metadata.tsv", "captions.csv", "validated.tsv")
TABLES = (".tsv", ".csv", ".jsonl", ".parquet")
BESIDE = ("", "wavs", "clips", "images", "audio")
"""Where the files lie, seen from the table."""

UNSEEN = Seen("")


@dataclass(frozen=True)
class Line:
    """A row of a table: the file it names and its text; where the row is silent, "" or None.

    `place` is where the row stands, for people; `wrong` is why it cannot be used.
    """

    name: str
    text: str
    place: str
    group: str = ""
    given: Split | None = None
    path: Path = Path()
    seen: Seen = UNSEEN
    wrong: str = ""


@dataclass(frozen=True)
class Listing:
    """The usable rows by split, in the order of the table, and notes."""

    splits: Mapping[Split, Sequence[Line]]
    notes: tuple[str, ...]

    @property
    def lines(self) -> list[Line]:
        """The rows of all splits."""
        return [line for split in SPLITS for line in self.splits[split]]

    def texts(self, *splits: Split) -> list[str]:
        """The texts of some splits."""
        return [line.text for split in splits for line in self.splits[split]]

    def without(self, unfit: Callable[[Facts], bool]) -> tuple[Listing, int]:
        """Less the rows whose file's facts are unfit, and how many those are."""
        kept = {
            split: [line for line in lines if not unfit(line.seen.facts)]
            for split, lines in self.splits.items()
        }
        less = replace(self, splits=kept)
        return less, len(self.lines) - len(less.lines)

    def items(
        self, spelling: Spelling, steps: Callable[[Facts], int] = lambda facts: 0
    ) -> dict[Split, list[Item]]:
        """The samples of each split; `steps` says from a file's facts how long it will be."""
        return {
            split: [
                Item(line.path, spelling.encode(line.text), steps(line.seen.facts))
                for line in self.splits[split]
            ]
            for split in SPLITS
        }


@dataclass(frozen=True, kw_only=True)
class Asked:
    """What a user may say of the table; None is inferred, see the fields' namesakes above."""

    files: str | None = None
    file: str | None = None
    text: str | None = None
    group: str | None = None
    shares: Sequence[float] = SHARES
    bad_share: float = 0.01


def listed(path: str, kind: Kind, asked: Asked, problems: Problems, *, workers: int = 2) -> Listing:
    """The rows of a table, or of a folder of tables, with the files that they name.

    Args:
        path: the table, or the folder that holds it.
        kind: of the files.
        asked: `files`, the folder of the files; `file` and `text`, columns; `group`, a column, or a
            regular expression searched in file names, of what has to come into one split.
        problems: collects what is wrong; the caller raises it with what it finds itself.
        workers: threads that look into files.

    Raises:
        DataError: there is no usable row at all.
    """
    tables = _tables(Path(path).expanduser().absolute(), asked, problems)
    problems.check()
    notes: list[str] = []
    read = [problems.ask(_lines, *pair, asked, notes) or [] for pair in tables.items()]
    problems.check()
    lines = [line for some_lines in read for line in some_lines]
    lines = _with_paths(lines, [t.path for t in tables.values()], asked, kind, problems, notes)
    seen = scan(list(dict.fromkeys(line.path for line in lines if not line.wrong)), kind, workers)
    lines = [replace(line, seen=seen.get(line.path, UNSEEN)) for line in lines]
    lines = [replace(line, wrong=line.wrong or line.seen.wrong) for line in lines]
    wrong = [(f"{line.name} ({line.place})", line.wrong) for line in lines if line.wrong]
    notes += sift(wrong, len(lines), kind.name, asked.bad_share, problems)
    usable = [line for line in lines if not line.wrong]
    if not usable:
        problems.add(f"{shown(path)} names no usable {kind.name}")
        problems.check()
    return _split(usable, asked, problems, notes)


def _tables(path: Path, asked: Asked, problems: Problems) -> dict[Split | None, Table]:
    """The table at `path`, or in that folder the one of all splits, or one for each."""
    if not path.is_dir():
        found = problems.ask(_read, path, asked)
        return {} if found is None else {None: found}
    names = {p.name.lower(): p for p in sorted(path.iterdir()) if p.is_file()}
    each = {
        SPLIT_NAMES[Path(name).stem]: file
        for name, file in names.items()
        if Path(name).suffix in TABLES and Path(name).stem in SPLIT_NAMES
    }
    whole = [names[name] for name in WHOLE if name in names]
    if not each and len(only := [p for n, p in names.items() if Path(n).suffix in TABLES]) == 1:
        whole = whole or only
    if "train" in each and "test" in each:
        read = {split: problems.ask(_read, file, asked) for split, file in each.items()}
        return {split: table for split, table in read.items() if table is not None}
    if whole:
        return _tables(whole[0], asked, problems)
    problems.add(
        f"{shown(path)} has no table: expected {', '.join(WHOLE)}, or train and test tables "
        f"({', '.join(TABLES)}); else give the table itself"
    )
    return {}


def _read(path: Path, asked: Asked) -> Table:
    """A table whose first line names columns, or else data; then columns are "1", "2", …."""
    plain = read_table(path, header=False)
    first = {str(values[0]).strip().lower() for values in plain.columns.values()}
    named = {name.lower() for name in (asked.file, asked.text) if name and not name.isdigit()}
    known = {*FILE, *TEXT, *named}
    # Values of the first row of a format that names its columns elsewhere are no names.
    headed = "1" not in plain.columns or bool(first & known)
    return read_table(path) if headed else plain


def _lines(given: Split | None, table: Table, asked: Asked, notes: list[str]) -> list[Line]:
    """Rows with what their columns say."""
    lower = {name.lower(): name for name in table.columns}
    bare = "1" in table.columns and "2" in table.columns
    file = _column(table, asked.file, FILE, lower, "1" if bare else "", "file")
    last = max(table.columns, key=int) if bare else ""
    text = _column(table, asked.text, TEXT, lower, last, "text")
    split = next((lower[name] for name in SPLIT if name in lower), None)
    group = asked.group if asked.group in table.columns else None
    values = [texts(table, name) if name else [""] * len(table) for name in (file, text, group)]
    if bare and last == "3" and asked.text is None:  # LJSpeech: where nothing was normalised
        pairs = zip(texts(table, "2"), values[1], strict=True)
        values[1] = [third or second for second, third in pairs]
    splits = [given] * len(table) if given or not split else _given(table, split)
    notes.extend(table.notes if given in (None, "train") else ())
    if given in (None, "train"):
        notes.append(f"files from column {file!r}, texts from column {text!r}")
    table_is = f"{shown(table.path.name)}, " if given else ""
    places = [f"{table_is}{table.unit} {place}" for place in table.places]
    return [
        Line(name.strip(), words.strip(), place, one, split, wrong=_silent(name, words))
        for name, words, one, place, split in zip(*values, places, splits, strict=True)
    ]


def _silent(name: str, words: str) -> str:
    if not name.strip():
        return "names no file"
    return "" if words.strip() else "has no text"


def _column(
    table: Table,
    asked: str | None,
    known: Sequence[str],
    lower: Mapping[str, str],
    else_: str,
    setting: str,
) -> str:
    """A column as asked for, or the likeliest of the names that there are."""
    if asked is not None:
        table.column(asked)
        return asked
    found = next((lower[name] for name in known if name in lower), else_)
    if not found:
        raise DataError(
            f"{table.path} has no column that seems to be the {setting}; name it by {setting}=…"
            f"{nearest(known[0], table.columns)}"
        )
    return found


def _given(table: Table, column: str) -> list[Split | None]:
    values = [value.strip().lower() for value in texts(table, column)]
    if strange := sorted({value for value in values if value not in SPLIT_NAMES}):
        raise DataError(
            f"{table.path}, column {column!r}: expected train, val or test; came "
            f"{', '.join(some(map(repr, strange)))}"
        )
    return [SPLIT_NAMES[value] for value in values]


def _with_paths(
    lines: Sequence[Line],
    tables: Sequence[Path],
    asked: Asked,
    kind: Kind,
    problems: Problems,
    notes: list[str],
) -> list[Line]:
    """The file of each line, found in a folder; what has no file is wrong, what no line, noted."""
    beside = [tables[0].parent / name for name in BESIDE]
    folders = [Path(asked.files).expanduser().absolute()] if asked.files else beside
    folders = [folder for folder in folders if folder.is_dir()]
    if not folders:
        problems.add(f"files={asked.files}: there is no such folder")
        problems.check()
    known = {folder: _known(folder, kind, problems) for folder in folders}
    found = {f: [_fitting(f, line.name, known[f]) for line in lines] for f in folders}
    best = max(folders, key=lambda f: sum(map(bool, found[f])))
    used = {path for paths in found[best] for path in paths}
    if unused := sorted({path for paths in known[best].values() for path in paths} - used):
        names = some((shown(path.relative_to(best)) for path in unused), shown=3)
        notes.append(f"{len(unused):,} {kind.name} without a text: {', '.join(names)}")
    return [_placed(*pair, best) for pair in zip(lines, found[best], strict=True)]


def _known(folder: Path, kind: Kind, problems: Problems) -> dict[str, list[Path]]:
    """Name below the folder, with its ending (one file) and without (often one) → files."""
    files = [p for p in walk(folder, problems) if p.suffix.lower() in kind.endings]
    known = defaultdict(list)
    for path in files:
        known[path.relative_to(folder).with_suffix("").as_posix()].append(path)
    return known | {path.relative_to(folder).as_posix(): [path] for path in files}


def _fitting(folder: Path, name: str, known: Mapping[str, list[Path]]) -> Sequence[Path]:
    """The files of that name; an absolute one has to lie in the folder, and so has one with ..."""
    inside = os.path.relpath(os.path.normpath(folder / name), folder)
    return known.get(Path(inside).as_posix(), ())


def _placed(line: Line, fitting: Sequence[Path], folder: Path) -> Line:
    """The line with its file; wrong where none fits, or several do."""
    line = replace(line, name=shown(line.name))
    if len(fitting) == 1:
        return replace(line, path=fitting[0])
    if line.wrong:
        return line
    if not fitting:
        return replace(line, wrong=f"is not in {shown(folder)}")
    names = some((shown(path.relative_to(folder)) for path in fitting), shown=5)
    return replace(line, wrong=f"fits {len(fitting)} files of {shown(folder)}: {', '.join(names)}")


def _split(lines: Sequence[Line], asked: Asked, problems: Problems, notes: list[str]) -> Listing:
    keys: list[str] | None = [line.seen.sha256 for line in lines]
    if asked.group and any(line.group for line in lines):
        keys = [line.group for line in lines]
    elif asked.group:
        keys = groups([line.name for line in lines], asked.group, problems)
    how = f"by group ({asked.group})" if asked.group else "by the content of files"
    given = [line.given for line in lines]
    done = keys and cut(given, keys, None, asked.shares, how, problems)
    if not done:
        return Listing({"train": lines, "val": (), "test": ()}, tuple(notes))
    splits = {split: [lines[n] for n in done[0][split]] for split in SPLITS}
    doubts = leaks({split: [line.seen.sha256 for line in splits[split]] for split in SPLITS})
    return Listing(splits, (*notes, done[1], *doubts))
