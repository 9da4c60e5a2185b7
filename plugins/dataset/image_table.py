"""A user's images with labels or numbers in a table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from torch import Tensor

from quintain.contracts import DataSpec, Split
from quintain.data.files.problems import Problems
from quintain.data.image.image_files import IMAGE_FILES, infer_image_format
from quintain.data.on_disk import Item, OnDisk
from quintain.data.tables.targets import Columns, TargetColumns
from quintain.data.user_files.file_tables import TableSettings
from quintain.data.user_files.splits import SHARES
from quintain.data.user_files.target_tables import read_target_table


class ImageTable(OnDisk):
    """x uint8 (C, H, W); y a class, several labels, or numbers.

    Each row of the table is a sample. For settings that are not listed, see `ImageFolder`; `notes`
    list the inferred ones.

    Args:
        path: CSV, TSV, JSON lines or Parquet file, or the folder that contains it.
        images: folder of the images; None: the table's folder, or a subfolder with a usual name.
        file: column of file names; None: a column with a usual name.
        label: column of a class; or of several labels (see `separator`); or columns of 0 and 1, one
            for each label (head=multilabel).
        separator: text between several labels, or its name: space, comma, semicolon, bar, tab.
        target: column or columns of numbers (head=regress), instead of label.
        group, shares, bad_share, min_per_class, encoding: see `TableSettings`.

    Raises:
        DataError: one message with all problems of the table and the images.
    """

    def __init__(
        self,
        path: str,
        images: str | None = None,
        file: str | None = None,
        label: Columns = None,
        separator: str | None = None,
        target: Columns = None,
        size: int | Sequence[int] | None = None,
        channels: int | None = None,
        range: Sequence[float] | None = None,
        group: str | None = None,
        shares: Sequence[float] = SHARES,
        bad_share: float = 0.01,
        encoding: str | None = None,
        min_per_class: int = 1,
        memory: float = 1024,
        workers: int = 2,
    ) -> None:
        problems = Problems()
        settings = TableSettings(
            files=images, file=file, targets=TargetColumns.from_settings(label, separator, target),
            group=group, shares=shares, bad_share=bad_share, min_per_class=min_per_class,
            encoding=encoding,
        )  # fmt: skip
        table = read_target_table(path, IMAGE_FILES, settings, problems, workers=workers)
        metadata = [*table.metadata_by_path.values()]
        self._format, format_notes = infer_image_format(metadata, size, channels, range, problems)
        problems.raise_if_any()
        spec = DataSpec(
            name="image_table", modality="image", **table.encoder.spec_fields(),
            shape=self._format.shape,
        )  # fmt: skip
        super().__init__(spec, memory=memory, workers=workers)
        self._table = table
        self.notes = (*table.notes, *format_notes)

    def items(self) -> Mapping[Split, Sequence[Item]]:
        return self._table.items()

    def read(self, item: Item) -> Tensor:
        return self._format.read(item.path)

    def inverse_transform(self, y: Tensor) -> Tensor:
        return self._table.encoder.inverse_transform(y)
