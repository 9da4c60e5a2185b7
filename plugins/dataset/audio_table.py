"""A user's recordings with labels or numbers in a table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from torch import Tensor

from quintain.contracts import DataSpec, Split
from quintain.data.audio.audio_files import AUDIO_FILES
from quintain.data.audio.audio_format import OtherFormats, infer_audio_format
from quintain.data.files.problems import Problems
from quintain.data.on_disk import Item, OnDisk
from quintain.data.tables.targets import Columns, TargetColumns
from quintain.data.user_files.file_tables import TableSettings
from quintain.data.user_files.splits import SHARES
from quintain.data.user_files.target_tables import read_target_table


class AudioTable(OnDisk):
    """x (samples,) in [-1, 1], ragged; y a class, several labels, or numbers.

    Each row of the table is a sample. For settings that are not listed, see `AudioFolder`; `notes`
    list the inferred ones.

    Args:
        path: CSV, TSV, JSON lines or Parquet file, or the folder that contains it.
        audio: folder of the recordings; None: the table's folder, or a subfolder with a usual name.
        file: column of file names; None: a column with a usual name.
        label: column of a class; or of several labels (see `separator`); or columns of 0 and 1, one
            for each label (head=multilabel).
        separator: text between several labels, or its name: space, comma, semicolon, bar, tab.
        target: column or columns of numbers (head=regress), instead of label.
        group, shares, bad_share, min_per_class, encoding: see `TableSettings`.

    Raises:
        DataError: one message with all problems of the table and the recordings.
    """

    def __init__(
        self,
        path: str,
        audio: str | None = None,
        file: str | None = None,
        label: Columns = None,
        separator: str | None = None,
        target: Columns = None,
        sample_rate: int | None = None,
        others: OtherFormats = "convert",
        seconds: float | None = None,
        range: float | None = None,
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
            files=audio, file=file, targets=TargetColumns.from_settings(label, separator, target),
            group=group, shares=shares, bad_share=bad_share, min_per_class=min_per_class,
            encoding=encoding,
        )  # fmt: skip
        table = read_target_table(path, AUDIO_FILES, settings, problems, workers=workers)
        audio_format = infer_audio_format(
            table.metadata_by_path, sample_rate, others, seconds, range, problems
        )
        problems.raise_if_any()
        spec = DataSpec(
            name="audio_table", modality="speech", **table.encoder.spec_fields(),
            shape=(audio_format.longest,), sample_rate=audio_format.rate, ragged=True,
        )  # fmt: skip
        super().__init__(spec, memory=memory, workers=workers)
        self._table = table
        self._format, self._metadata = audio_format, table.metadata_by_path
        self.notes = (*table.notes, *audio_format.notes)

    def items(self) -> Mapping[Split, Sequence[Item]]:
        return self._table.items(self._format.length)

    def read(self, item: Item) -> Tensor:
        return self._format.read(item.path, self._metadata[item.path])

    def inverse_transform(self, y: Tensor) -> Tensor:
        return self._table.encoder.inverse_transform(y)
