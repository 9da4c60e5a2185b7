"""Read tables with a file name and a label, several labels or numbers in each row."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from quintain.contracts import Split
from quintain.data.files.problems import Problems, abbreviate, printable_name
from quintain.data.on_disk import Item
from quintain.data.tables.targets import Target, TargetEncoder
from quintain.data.user_files.file_tables import (
    FileTable,
    TableRow,
    TableSettings,
    read_file_table,
)
from quintain.data.user_files.scan import FileKind, Metadata
from quintain.data.user_files.splits import SPLITS


@dataclass(frozen=True)
class TargetTable:
    """The files of each split with their targets."""

    table: FileTable
    encoder: TargetEncoder

    @property
    def notes(self) -> tuple[str, ...]:
        return (*self.table.notes, *self.encoder.notes, *_contradiction_notes(self.table.rows))

    @property
    def metadata_by_path(self) -> dict[Path, Metadata]:
        return {row.path: row.scan.metadata for row in self.table.rows}

    def items(
        self, steps: Callable[[Metadata], int] = lambda metadata: 0
    ) -> dict[Split, list[Item]]:
        """Return the samples of each split; `steps` computes their length from the metadata."""
        return {split: self._items(rows, steps) for split, rows in self.table.splits.items()}

    def _items(self, rows: Sequence[TableRow], steps: Callable[[Metadata], int]) -> list[Item]:
        values = self.encoder.encode([row.target for row in rows]).tolist()
        return [
            Item(row.path, y, steps(row.scan.metadata), sha256=row.scan.sha256)
            for row, y in zip(rows, values, strict=True)
        ]


def read_target_table(
    path: str,
    kind: FileKind,
    settings: TableSettings,
    problems: Problems,
    *,
    workers: int = 2,
) -> TargetTable:
    """Read, scan and split the rows of the table at `path`, or of the tables in that folder.

    Args:
        path: table, or folder with a table (or one for each split).
        kind: kind of files.
        settings: settings of the table, with targets.
        problems: collects problems of the images, recordings or videos, which the caller raises.
        workers: number of threads that scan the files.

    Raises:
        DataError: with all problems of the table.
    """
    assert settings.targets is not None
    table = read_file_table(path, kind, settings, problems, workers=workers)
    problems.raise_if_any()
    targets: Mapping[Split, Sequence[Target]] = {
        split: [row.target for row in table.splits[split]] for split in SPLITS
    }
    return TargetTable(table, TargetEncoder(settings.targets, targets))


def _contradiction_notes(rows: Sequence[TableRow]) -> Iterator[str]:
    """Yield a note on files with the same content and different targets."""
    targets_of = defaultdict(set)
    for row in rows:
        targets_of[row.scan.sha256].add(row.target)
    names = [printable_name(row.name) for row in rows if len(targets_of[row.scan.sha256]) > 1]
    if names:
        different = ", ".join(abbreviate(dict.fromkeys(names)))
        yield f"{len(names):,} rows have the same file content and different targets: {different}"
