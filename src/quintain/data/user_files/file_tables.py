"""Read tables with a file name and a text in each row: captions of images, transcripts of audio.

Examples of tables and their columns:

* `captions.csv`: file, caption
* `metadata.csv` of LJSpeech, without a header: file, text, normalised text
* `train.tsv`, `dev.tsv`, `test.tsv` of Common Voice: path, sentence; or one table with a `split`
"""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from quintain.contracts import Split
from quintain.data.files.problems import MAX_LISTED, Problems, abbreviate, short_repr
from quintain.data.on_disk import Item
from quintain.data.tables.columns import read_texts
from quintain.data.tables.table import Table, read_table
from quintain.data.text.tokenizers import SymbolCodec
from quintain.data.user_files.class_folders import walk_files
from quintain.data.user_files.scan import (
    FileKind,
    FileScan,
    Metadata,
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
from quintain.errors import DataError, nearest

FILE_COLUMNS = (
    *("file", "filename", "file_name", "path", "image", "image_path", "audio", "audio_path", "id"),
)
TEXT_COLUMNS = (
    *("caption", "sentence", "normalised", "normalized", "normalized_text"),
    *("transcript", "transcription", "text"),
)
SPLIT_COLUMNS = ("split", "set", "partition", "subset")
"""Usual names of columns, in lower case; the first that exists is used."""

TABLE_NAMES = ("metadata.csv", "metadata.jsonl", "metadata.tsv", "captions.csv", "validated.tsv")
TABLE_EXTENSIONS = (".tsv", ".csv", ".jsonl", ".parquet")
MEDIA_FOLDERS = ("", "wavs", "clips", "images", "audio")
"""Folders that may contain the files, relative to the table."""


@dataclass(frozen=True)
class TableRow:
    """A row with the name of a file and its text.

    `position` is the line or row of the table, for messages; `fault` is why the row cannot be used,
    "" if it can.
    """

    name: str
    text: str
    position: str
    group: str = ""
    split: Split | None = None
    path: Path = Path()
    scan: FileScan = FileScan("")  # noqa: RUF009 - immutable
    fault: str = ""


@dataclass(frozen=True)
class FileTable:
    """The usable rows of each split, in the order of the table, and notes."""

    splits: Mapping[Split, Sequence[TableRow]]
    notes: tuple[str, ...]

    @property
    def rows(self) -> list[TableRow]:
        return [row for split in SPLITS for row in self.splits[split]]

    @property
    def metadata(self) -> list[Metadata]:
        return [row.scan.metadata for row in self.rows]

    def texts(self, *splits: Split) -> list[str]:
        return [row.text for split in splits for row in self.splits[split]]

    def without(self, is_excluded: Callable[[Metadata], bool]) -> tuple[FileTable, int]:
        """Return the table without the rows of excluded files, and the number of these rows."""
        splits = {
            split: [row for row in rows if not is_excluded(row.scan.metadata)]
            for split, rows in self.splits.items()
        }
        remaining = replace(self, splits=splits)
        return remaining, len(self.rows) - len(remaining.rows)

    def items(
        self, codec: SymbolCodec, steps: Callable[[Metadata], int] = lambda metadata: 0
    ) -> dict[Split, list[Item]]:
        """Return the samples of each split; `steps` computes their length from the metadata."""
        return {
            split: [
                Item(row.path, codec.encode(row.text), steps(row.scan.metadata)) for row in rows
            ]
            for split, rows in self.splits.items()
        }


@dataclass(frozen=True, kw_only=True)
class TableSettings:
    """The user's settings of a table; None is inferred.

    Attributes:
        files: folder of the files.
        file, text: columns of file names and texts.
        group: column, or regular expression searched in file names; rows of one group are in the
            same split. None: rows of files with equal content are.
        shares: fractions of train, val and test, if the splits are not predefined.
        bad_share: largest share of unusable rows, which are left out.
    """

    files: str | None = None
    file: str | None = None
    text: str | None = None
    group: str | None = None
    shares: Sequence[float] = SHARES
    bad_share: float = 0.01


def read_file_table(
    path: str, kind: FileKind, settings: TableSettings, problems: Problems, *, workers: int = 2
) -> FileTable:
    """Read, scan and split the rows of the table at `path`, or of the tables in that folder.

    Problems are added to `problems`, which the caller raises; `workers` threads scan the files.

    Raises:
        DataError: no row can be used.
    """
    tables = _read_tables(Path(path).expanduser().absolute(), settings, problems)
    problems.raise_if_any()
    notes: list[str] = []
    rows: list[TableRow] = []
    for split, table in tables.items():
        rows += problems.catch(_read_rows, split, table, settings, notes) or []
    problems.raise_if_any()
    folder = next(iter(tables.values())).path.parent
    rows = _find_files(rows, folder, settings, kind, problems, notes)
    scans = scan_files(
        list(dict.fromkeys(row.path for row in rows if not row.fault)), kind, workers
    )
    rows = [
        replace(row, scan=scans[row.path], fault=scans[row.path].fault) if not row.fault else row
        for row in rows
    ]
    faults = [(f"{row.name} ({row.position})", row.fault) for row in rows if row.fault]
    notes += filter_unreadable(faults, len(rows), kind.name, settings.bad_share, problems)
    usable = [row for row in rows if not row.fault]
    if not usable:
        problems.add(f"{printable_name(path)} names no usable {kind.name}")
        problems.raise_if_any()
    return _split(usable, settings, problems, notes)


def _read_tables(
    path: Path, settings: TableSettings, problems: Problems
) -> dict[Split | None, Table]:
    """Return the table at `path`; if that is a folder, its table of each split or its only one."""
    if not path.is_dir():
        table = problems.catch(_read_table, path, settings)
        return {} if table is None else {None: table}
    names = {p.name.lower(): p for p in sorted(path.iterdir()) if p.is_file()}
    tables = {name: p for name, p in names.items() if Path(name).suffix in TABLE_EXTENSIONS}
    by_split = {
        SPLIT_NAMES[Path(name).stem]: file
        for name, file in tables.items()
        if Path(name).stem in SPLIT_NAMES
    }
    if {"train", "test"} <= by_split.keys():
        read = {s: problems.catch(_read_table, file, settings) for s, file in by_split.items()}
        return {split: table for split, table in read.items() if table is not None}
    candidates = [names[name] for name in TABLE_NAMES if name in names]
    if not by_split and len(tables) == 1:
        candidates += tables.values()
    if candidates:
        return _read_tables(candidates[0], settings, problems)
    problems.add(
        f"{printable_name(path)} has no table: expected {', '.join(TABLE_NAMES)}, or train and "
        f"test tables ({', '.join(TABLE_EXTENSIONS)}); else give the path of the table itself"
    )
    return {}


def _read_table(path: Path, settings: TableSettings) -> Table:
    """Read a table; without a header line, its columns are "1", "2", …."""
    plain = read_table(path, header=False)
    first_row = {str(values[0]).strip().lower() for values in plain.columns.values()}
    chosen = {n.lower() for n in (settings.file, settings.text) if n and not n.isdigit()}
    names = {*FILE_COLUMNS, *TEXT_COLUMNS, *chosen}
    # JSON lines and Parquet files always have names of columns.
    has_header = "1" not in plain.columns or bool(first_row & names)
    return read_table(path) if has_header else plain


def _read_rows(
    table_split: Split | None, table: Table, settings: TableSettings, notes: list[str]
) -> list[TableRow]:
    """Return the rows of a table; `table_split` is the split of all rows, None if they differ."""
    has_header = not {"1", "2"} <= table.columns.keys()
    first, last = ("", "") if has_header else ("1", max(table.columns, key=int))
    file_column = _choose_column(table, settings.file, FILE_COLUMNS, first, "file")
    text_column = _choose_column(table, settings.text, TEXT_COLUMNS, last, "text")
    names, texts = read_texts(table, file_column), read_texts(table, text_column)
    if last == "3" and settings.text is None:  # LJSpeech, where the normalised text may be empty
        originals = read_texts(table, "2")
        texts = [text or original for text, original in zip(texts, originals, strict=True)]
    groups = [""] * len(table)
    if settings.group in table.columns:
        groups = read_texts(table, str(settings.group))
    split_column = _find_column(table, SPLIT_COLUMNS)
    splits = [table_split] * len(table)
    if table_split is None and split_column is not None:
        splits = _read_split_column(table, split_column)
    if table_split in (None, "train"):
        columns = f"files from column {file_column!r}, texts from column {text_column!r}"
        notes.extend([*table.notes, columns])
    prefix = f"{printable_name(table.path.name)}, " if table_split else ""
    rows = []
    for k in range(len(table)):
        name, text = names[k].strip(), texts[k].strip()
        fault = "names no file" if not name else "has no text" if not text else ""
        position = f"{prefix}{table.position(k)}"
        rows.append(TableRow(name, text, position, groups[k], splits[k], fault=fault))
    return rows


def _find_column(table: Table, usual: Sequence[str]) -> str | None:
    by_lower = {name.lower(): name for name in table.columns}
    return next((by_lower[name] for name in usual if name in by_lower), None)


def _choose_column(
    table: Table, chosen: str | None, usual: Sequence[str], fallback: str, setting: str
) -> str:
    """Return the user's column, else the first usual name that exists, else `fallback`."""
    if chosen is not None:
        table.column(chosen)
        return chosen
    name = _find_column(table, usual) or fallback
    if not name:
        raise DataError(
            f"{table.path} has no column with a usual name for the {setting}; set {setting}=…"
            f"{nearest(repr(usual[0]), map(short_repr, table.columns), MAX_LISTED)}"
        )
    return name


def _read_split_column(table: Table, column: str) -> list[Split | None]:
    values = [value.strip().lower() for value in read_texts(table, column)]
    if unknown := sorted(set(values) - SPLIT_NAMES.keys()):
        raise DataError(
            f"{table.path}, column {column!r}: expected train, val or test; got "
            f"{', '.join(abbreviate(map(repr, unknown)))}"
        )
    return [SPLIT_NAMES[value] for value in values]


def _find_files(
    rows: Sequence[TableRow],
    table_folder: Path,
    settings: TableSettings,
    kind: FileKind,
    problems: Problems,
    notes: list[str],
) -> list[TableRow]:
    """Return the rows with their paths in the folder that contains most of the named files.

    Add a note on files of this folder without a row.
    """
    folders = [table_folder / name for name in MEDIA_FOLDERS]
    if settings.files:
        folders = [Path(settings.files).expanduser().absolute()]
    folders = [folder for folder in folders if folder.is_dir()]
    if not folders:
        problems.add(f"files={settings.files}: there is no such folder")
        problems.raise_if_any()
    files = {folder: _index_files(folder, kind, problems) for folder in folders}
    matches = {f: [_match_files(f, row.name, files[f]) for row in rows] for f in folders}
    best = max(folders, key=lambda folder: sum(map(bool, matches[folder])))
    used = {path for paths in matches[best] for path in paths}
    if unused := sorted({path for paths in files[best].values() for path in paths} - used):
        names = abbreviate((printable_name(path.relative_to(best)) for path in unused), shown=3)
        notes.append(f"{len(unused):,} {kind.name} without a text: {', '.join(names)}")
    return [_with_file(row, paths, best) for row, paths in zip(rows, matches[best], strict=True)]


def _index_files(folder: Path, kind: FileKind, problems: Problems) -> dict[str, list[Path]]:
    """Return the files by relative path, once with and once without the extension."""
    files = [p for p in walk_files(folder, problems) if p.suffix.lower() in kind.extensions]
    index = defaultdict(list)
    for path in files:
        index[path.relative_to(folder).with_suffix("").as_posix()].append(path)
    return index | {path.relative_to(folder).as_posix(): [path] for path in files}


def _match_files(folder: Path, name: str, index: Mapping[str, list[Path]]) -> Sequence[Path]:
    """Return the files with this name; it may be absolute or contain `..`, but not lead outside."""
    inside = os.path.relpath(os.path.normpath(folder / name), folder)
    return index.get(Path(inside).as_posix(), ())


def _with_file(row: TableRow, matches: Sequence[Path], folder: Path) -> TableRow:
    """Return the row with its path; it has a fault unless exactly one file matches."""
    row = replace(row, name=printable_name(row.name))
    if len(matches) == 1:
        return replace(row, path=matches[0])
    if row.fault:
        return row
    if not matches:
        return replace(row, fault=f"is not in {printable_name(folder)}")
    names = abbreviate((printable_name(path.relative_to(folder)) for path in matches), shown=5)
    return replace(
        row, fault=f"matches {len(matches)} files of {printable_name(folder)}: {', '.join(names)}"
    )


def _split(
    rows: Sequence[TableRow], settings: TableSettings, problems: Problems, notes: list[str]
) -> FileTable:
    keys: list[str] | None = [row.scan.sha256 for row in rows]
    if settings.group and any(row.group for row in rows):
        keys = [row.group for row in rows]
    elif settings.group:
        keys = match_groups([row.name for row in rows], settings.group, problems)
    method = f"by group ({settings.group})" if settings.group else "by the content of files"
    given = [row.split for row in rows]
    result = assign_splits(rows, given, keys, None, settings.shares, method, problems)
    if result is None:
        return FileTable({"train": rows, "val": (), "test": ()}, tuple(notes))
    splits, split_note = result
    leaks = leak_notes({split: [row.scan.sha256 for row in splits[split]] for split in SPLITS})
    return FileTable(splits, (*notes, split_note, *leaks))
