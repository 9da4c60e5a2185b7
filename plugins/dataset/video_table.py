"""A user's videos with labels or numbers in a table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from torch import Tensor

from quintain.contracts import DataSpec, Split
from quintain.data.files.problems import Problems
from quintain.data.image.image_files import infer_image_shape
from quintain.data.on_disk import Item, OnDisk
from quintain.data.tables.targets import Columns, TargetColumns
from quintain.data.user_files.file_tables import TableSettings
from quintain.data.user_files.splits import SHARES
from quintain.data.user_files.target_tables import read_target_table
from quintain.data.video.video_files import VIDEO_FILES, FrameSampling, read_clip

MAX_INFERRED_SIDE = 48  # pixels


class VideoTable(OnDisk):
    """x uint8 (T, C, H, W); y a class, several labels, or numbers.

    Each row of the table is a sample. For settings that are not listed, see `VideoFolder`; `notes`
    list the inferred ones.

    Args:
        path: CSV, TSV, JSON lines or Parquet file, or the folder that contains it.
        videos: folder of the videos; None: the table's folder, or a subfolder with a usual name.
        file: column of file names; None: a column with a usual name.
        label: column of a class; or of several labels (see `separator`); or columns of 0 and 1, one
            for each label (head=multilabel).
        separator: text between several labels, or its name: space, comma, semicolon, bar, tab.
        target: column or columns of numbers (head=regress), instead of label.
        group, shares, bad_share, min_per_class, encoding: see `TableSettings`.

    Raises:
        DataError: one message with all problems of the table and the videos.
    """

    def __init__(
        self,
        path: str,
        videos: str | None = None,
        file: str | None = None,
        label: Columns = None,
        separator: str | None = None,
        target: Columns = None,
        frames: int = 12,
        fps: float | None = None,
        size: int | Sequence[int] | None = None,
        channels: int | None = None,
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
            files=videos, file=file, targets=TargetColumns.from_settings(label, separator, target),
            group=group, shares=shares, bad_share=bad_share, min_per_class=min_per_class,
            encoding=encoding,
        )  # fmt: skip
        table = read_target_table(path, VIDEO_FILES, settings, problems, workers=workers)
        found, side = [*table.metadata_by_path.values()], MAX_INFERRED_SIDE
        shape, shape_notes = infer_image_shape(found, size, channels, problems, max_side=side)
        sampling = FrameSampling(frames, fps)
        sampling_notes = sampling.find_notes(table.metadata_by_path, problems)
        problems.raise_if_any()
        spec = DataSpec(
            name="video_table", modality="video", **table.encoder.spec_fields(),
            shape=(frames, *shape), ragged=fps is not None,
        )  # fmt: skip
        super().__init__(spec, memory=memory, workers=workers)
        self._table, self._sampling, self._metadata = table, sampling, table.metadata_by_path
        self.notes = (*table.notes, *shape_notes, *sampling_notes)

    def items(self) -> Mapping[Split, Sequence[Item]]:
        return self._table.items(lambda metadata: len(self._sampling.times(metadata)))

    def read(self, item: Item) -> Tensor:
        _, channels, height, width = self.spec.shape
        times = self._sampling.times(self._metadata[item.path])
        return read_clip(item.path, times, (channels, height, width))

    def inverse_transform(self, y: Tensor) -> Tensor:
        return self._table.encoder.inverse_transform(y)
