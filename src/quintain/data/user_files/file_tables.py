"""Read tables with a file name and a text in each row: captions of images, transcripts of audio.

Examples of tables and their columns:

* `captions.csv`: file, caption; a file may have several rows, or a list of captions
* `Flickr8k.token.txt`, without a header: file#number, caption
* `metadata.csv` of LJSpeech, without a header: file, text, normalised text
* `train.tsv`, `dev.tsv`, `test.tsv` of Common Voice: path, sentence; or one table with a `split`
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from quintain.contracts import Split
from quintain.data.files.problems import Problems, abbreviate, printable_name
from quintain.data.on_disk import Item
from quintain.data.tables.columns import read_texts
from quintain.data.tables.outside import refuse_answers_to_questions
from quintain.data.tables.table import Table
from quintain.data.tables.targets import Target, TargetColumns
from quintain.data.text.tokenizers import SymbolCodec
from quintain.data.user_files.class_counts import find_small_classes
from quintain.data.user_files.file_index import TEXT_NUMBER, index_files, match_files
from quintain.data.user_files.scan import (
    FileKind,
    FileScan,
    Metadata,
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
from quintain.data.user_files.table_files import read_tables
from quintain.data.user_files.usual_columns import (
    FILE_COLUMNS,
    SPLIT_COLUMNS,
    TEXT_COLUMNS,
    choose_column,
    find_column,
    read_split_column,
    repeat_listed,
)

MEDIA_FOLDERS = ("", "wavs", "clips", "images", "audio", "videos")
"""Folders that may contain the files, relative to the table."""


@dataclass(frozen=True)
class TableRow:
    """A row with the name of a file, and its text or its target.

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
    target: Target = Target()  # noqa: RUF009 - immutable


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

    @property
    def metadata_by_path(self) -> dict[Path, Metadata]:
        return {row.path: row.scan.metadata for row in self.rows}

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
                Item(
                    row.path,
                    codec.encode(row.text),
                    steps(row.scan.metadata),
                    sha256=row.scan.sha256,
                    references=(codec.normalize(row.text),),
                    name=f"{row.name} ({row.position})",
                )
                for row in rows
            ]
            for split, rows in self.splits.items()
        }


@dataclass(frozen=True, kw_only=True)
class TableSettings:
    """The user's settings of a table; None is inferred.

    Attributes:
        files: folder of the files.
        file, text: columns of file names and texts.
        targets: columns of labels or numbers, instead of the text.
        group: column, or regular expression searched in file names; rows of one group are in the
            same split. None: rows of files with equal content are.
        shares: fractions of train, val and test, if the splits are not predefined.
        bad_share: largest share of unusable rows, which are left out.
        min_per_class: classes with fewer different files in train are left out.
        encoding: of a text file; see `read_table`.
    """

    files: str | None = None
    file: str | None = None
    text: str | None = None
    targets: TargetColumns | None = None
    group: str | None = None
    shares: Sequence[float] = SHARES
    bad_share: float = 0.01
    min_per_class: int = 1
    encoding: str | None = None

    @property
    def columns(self) -> list[str]:
        """The columns that are set."""
        targets = self.targets.names if self.targets else []
        return [name for name in (self.file, self.text, *targets) if name]


def read_file_table(
    path: str, kind: FileKind, settings: TableSettings, problems: Problems, *, workers: int = 2
) -> FileTable:
    """Read, scan and split the rows of the table at `path`, or of the tables in that folder.

    Problems are added to `problems`, which the caller raises; `workers` threads scan the files.

    Raises:
        DataError: no row can be used.
    """
    root = Path(path).expanduser().absolute()
    tables = read_tables(root, settings.columns, settings.encoding, problems)
    problems.raise_if_any()
    notes: list[str] = []
    rows: list[TableRow] = []
    for split, table in tables.items():
        rows += problems.catch(_read_rows, split, table, settings, notes) or []
    problems.raise_if_any()
    folder = next(iter(tables.values())).path.parent
    rows = _find_files(rows, folder, settings, kind, problems, notes)
    paths = list(dict.fromkeys(row.path for row in rows if not row.fault))
    scans = scan_files(paths, kind, folder, workers)
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


def _read_rows(
    table_split: Split | None, table: Table, settings: TableSettings, notes: list[str]
) -> list[TableRow]:
    """Return the rows of a table; `table_split` is the split of all rows, None if they differ."""
    has_header = not {"1", "2"} <= table.columns.keys()
    first, last = ("", "") if has_header else ("1", max(table.columns, key=int))
    file_column = choose_column(table, settings.file, FILE_COLUMNS, first, "file")
    if settings.targets is None:
        table, texts, text_column = _read_text_column(table, settings, last)
        targets, source = [Target()] * len(table), f"texts from column {text_column!r}"
    else:
        texts, targets = [""] * len(table), settings.targets.read(table)
        source = f"targets from {', '.join(abbreviate(map(repr, settings.targets.names)))}"
    used = settings.columns if settings.targets else [text_column]
    refuse_answers_to_questions(table, used)
    names = read_texts(table, file_column)
    groups = [""] * len(table)
    if settings.group in table.columns:
        groups = read_texts(table, str(settings.group))
    split_column = find_column(table, SPLIT_COLUMNS)
    splits = [table_split] * len(table)
    if table_split is None and split_column is not None and split_column not in used:
        splits = read_split_column(table, split_column)
    if table_split in (None, "train"):
        notes.extend([*table.notes, f"files from column {file_column!r}, {source}"])
        notes.extend(settings.targets.number_notes(table) if settings.targets else ())
    prefix = f"{printable_name(table.path.name)}, " if table_split else ""
    rows = []
    for k in range(len(table)):
        name, text = names[k].strip(), texts[k].strip()
        lacks = targets[k].lacks if settings.targets else "" if text else "a text"
        fault = "names no file" if not name else f"has no {lacks[2:]}" if lacks else ""
        position = f"{prefix}{table.position(k)}"
        row = TableRow(name, text, position, groups[k], splits[k], fault=fault, target=targets[k])
        rows.append(row)
    return rows


def _read_text_column(
    table: Table, settings: TableSettings, last: str
) -> tuple[Table, list[str], str]:
    """Return the table with a row for each text, the texts, and their column.

    `last` is the last column of a table without a header, which is used by default; else "".
    """
    column = choose_column(table, settings.text, TEXT_COLUMNS, last, "text")
    table = repeat_listed(table, column)
    texts = read_texts(table, column)
    if last == "3" and settings.text is None:  # LJSpeech, where the normalised text may be empty
        originals = read_texts(table, "2")
        texts = [text or original for text, original in zip(texts, originals, strict=True)]
    return table, texts, column


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
    indices = {folder: index_files(folder, kind, problems) for folder in folders}
    matches = {f: [match_files(f, row.name, indices[f]) for row in rows] for f in folders}
    best = max(folders, key=lambda folder: sum(map(bool, matches[folder])))
    used = {path for paths in matches[best] for path in paths}
    if unused := [path for path in indices[best].files if path not in used]:
        names = abbreviate((printable_name(path.relative_to(best)) for path in unused), shown=3)
        what = "text" if settings.targets is None else "row"
        notes.append(f"{len(unused):,} {kind.name} without a {what}: {', '.join(names)}")
    if numbered := [row.name for row in rows if TEXT_NUMBER.search(row.name)]:
        notes.append(f"file names with # and the number of a text: {len(numbered):,}")
    notes += indices[best].notes
    return [_with_file(row, paths, best) for row, paths in zip(rows, matches[best], strict=True)]


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
    if settings.targets and settings.targets.task == "classify":
        rows, keys = _drop_small_classes(rows, keys, settings, problems, notes)
    given, strata = [row.split for row in rows], None
    if settings.targets and keys:
        strata = settings.targets.strata([row.target for row in rows], keys)
    result = assign_splits(rows, given, keys, strata, settings.shares, method, problems)
    if result is None:
        return FileTable({"train": rows, "val": (), "test": ()}, tuple(notes))
    splits, split_note = result
    hashes = {split: [row.scan.sha256 for row in splits[split]] for split in SPLITS}
    counts = [len(set(hashes[split])) for split in SPLITS]
    if sum(counts) < len(rows):
        train, val, test = counts
        split_note += f"; different files: {train:,}, {val:,} and {test:,}"
    leaks = leak_notes(hashes)
    return FileTable(splits, (*notes, split_note, *leaks))


def _drop_small_classes(
    rows: Sequence[TableRow],
    keys: list[str] | None,
    settings: TableSettings,
    problems: Problems,
    notes: list[str],
) -> tuple[Sequence[TableRow], list[str] | None]:
    """Return rows and keys without the classes that have fewer samples than `min_per_class`."""
    if keys is None:
        return rows, None
    free = [k for k, row in enumerate(rows) if row.split in (None, "train")]
    labels = [rows[k].target.labels[0] for k in free]
    small, small_notes = find_small_classes(
        labels, [keys[k] for k in free], settings.min_per_class, problems
    )
    notes += small_notes
    kept = [k for k, row in enumerate(rows) if row.target.labels[0] not in small]
    return [rows[k] for k in kept], [keys[k] for k in kept]
