"""A user's images, one folder for each class."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from torch import Tensor

from quintain.contracts import DataSpec, Split
from quintain.data.files.problems import Problems
from quintain.data.image.image_files import IMAGE_FILES, infer_image_format
from quintain.data.on_disk import Item, OnDisk
from quintain.data.user_files.class_folders import read_class_folders
from quintain.data.user_files.splits import SHARES


class ImageFolder(OnDisk):
    """x uint8 (C, H, W); files root/class/*.png, … or root/train/class/*.png, …

    Every image is scaled to cover the size and cropped to the centre; transparency becomes white.
    `notes` list the inferred settings.

    Args:
        path: root folder.
        size: side of a square, or [height, width]; None: the most common size, scaled down if a
            side is above 96 pixels.
        channels: 1 (grey) or 3 (RGB); None: grey if all images are.
        range: pixel values [black, white] of images with 8, 16 or 32 bits or floats in a channel;
            None: inferred from all images.
        group, shares, bad_share, min_per_class: see `read_class_folders`.

    Raises:
        DataError: one message with all problems of the folder.
    """

    def __init__(
        self,
        path: str,
        size: int | Sequence[int] | None = None,
        channels: int | None = None,
        range: Sequence[float] | None = None,
        group: str | None = None,
        shares: Sequence[float] = SHARES,
        bad_share: float = 0.01,
        min_per_class: int = 1,
        memory: float = 1024,
        workers: int = 2,
    ) -> None:
        problems = Problems()
        folders = read_class_folders(
            path, IMAGE_FILES, problems, group, shares, bad_share, min_per_class, workers
        )
        self._format, format_notes = infer_image_format(
            folders.metadata, size, channels, range, problems
        )
        problems.raise_if_any()
        spec = DataSpec(
            name="image_folder",
            modality="image",
            task="classify",
            shape=self._format.shape,
            classes=folders.classes,
        )
        super().__init__(spec, memory=memory, workers=workers)
        self._folders = folders
        self.notes = (*folders.notes, *format_notes)

    def items(self) -> Mapping[Split, Sequence[Item]]:
        return self._folders.items()

    def read(self, item: Item) -> Tensor:
        return self._format.read(item.path)
