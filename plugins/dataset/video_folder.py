"""A user's video clips, one folder for each class."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from torch import Tensor

from quintain.contracts import DataSpec, Split
from quintain.data.files.problems import Problems
from quintain.data.image.image_files import infer_image_shape
from quintain.data.on_disk import Item, OnDisk
from quintain.data.user_files.class_folders import read_class_folders
from quintain.data.user_files.splits import SHARES
from quintain.data.video.video_files import VIDEO_FILES, FrameSampling, read_clip

_MAX_INFERRED_SIDE = 48  # pixels


class VideoFolder(OnDisk):
    """x uint8 (T, C, H, W); files root/class/*.mp4, … or root/train/class/*.mp4, …

    Frames are scaled to cover the size and cropped to the centre. `notes` list the inferred
    settings.

    Args:
        path: root folder.
        frames: T, spread evenly over each clip; with `fps`, the maximum.
        fps: frames per second from the start of a clip; samples of short clips are then shorter
            (ragged).
        size: side of a square, or [height, width]; None: the most common size, scaled down if a
            side is above 48 pixels.
        channels: 1 (grey) or 3 (RGB); None: grey if all clips are.
        group, shares, bad_share, min_per_class: see `read_class_folders`.

    Raises:
        DataError: one message with all problems of the folder.
    """

    def __init__(
        self,
        path: str,
        frames: int = 12,
        fps: float | None = None,
        size: int | Sequence[int] | None = None,
        channels: int | None = None,
        group: str | None = None,
        shares: Sequence[float] = SHARES,
        bad_share: float = 0.01,
        min_per_class: int = 1,
        memory: float = 1024,
        workers: int = 2,
    ) -> None:
        problems = Problems()
        folders = read_class_folders(
            path, VIDEO_FILES, problems, group, shares, bad_share, min_per_class, workers
        )
        shape, shape_notes = infer_image_shape(
            folders.metadata, size, channels, problems, max_side=_MAX_INFERRED_SIDE
        )
        sampling = FrameSampling(frames, fps)
        sampling_notes = sampling.find_notes(folders.metadata_by_path, problems)
        problems.raise_if_any()
        spec = DataSpec(
            name="video_folder",
            modality="video",
            task="classify",
            shape=(frames, *shape),
            classes=folders.classes,
            ragged=fps is not None,
        )
        super().__init__(spec, memory=memory, workers=workers)
        self._folders, self._sampling = folders, sampling
        self._metadata = folders.metadata_by_path
        self.notes = (*folders.notes, *shape_notes, *sampling_notes)

    def items(self) -> Mapping[Split, Sequence[Item]]:
        return self._folders.items(lambda metadata: len(self._sampling.times(metadata)))

    def read(self, item: Item) -> Tensor:
        _, channels, height, width = self.spec.shape
        times = self._sampling.times(self._metadata[item.path])
        return read_clip(item.path, times, (channels, height, width))
