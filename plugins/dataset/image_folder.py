"""The user's own images, one folder a class."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from torch import Tensor

from quintain.contracts import DataSpec, Split
from quintain.kit.files.problems import Problems
from quintain.kit.media.pictures import IMAGES, picture_notes, read_image
from quintain.kit.ondisk import Item, OnDisk
from quintain.kit.own.folders import class_folder
from quintain.kit.own.splits import SHARES


class ImageFolder(OnDisk):
    """root/class/*.png, jpg, …, or root/train/class/…; x (C, H, W) in bytes.

    Every image is scaled to cover the size, and its middle cut out; transparent parts become
    white. What is inferred is said in `notes`.

    Args:
        path: the folder.
        size: a side of a square, or [height, width]; None: the size most images have, brought down
            to 96 pixels where it is larger.
        channels: 1 (grey) or 3 (RGB); None: grey where all images are.
        group: a regular expression searched in file names; files with the same match (its first
            group, where it has one) come into one split. None: files of equal content do.
        shares: of train, val and test, by class, where no folders say it.
        bad_share: share of the images that may be unreadable and are then left out.
        memory, workers: as in `quintain.kit.ondisk.OnDisk`.

    Raises:
        DataError: what is wrong with the folder, all of it in one message.
    """

    def __init__(
        self,
        path: str,
        size: int | Sequence[int] | None = None,
        channels: int | None = None,
        group: str | None = None,
        shares: Sequence[float] = SHARES,
        bad_share: float = 0.01,
        memory: float = 1024,
        workers: int = 2,
    ) -> None:
        problems = Problems()
        found = class_folder(
            path, IMAGES, problems, group=group, shares=shares, bad_share=bad_share, workers=workers
        )
        facts = [file.seen.facts for file in found.files]
        shape, notes = picture_notes(facts, size, channels, problems)
        problems.check()
        spec = DataSpec(
            name="image_folder",
            modality="image",
            task="classify",
            shape=shape,
            classes=found.classes,
        )
        super().__init__(spec, memory=memory, workers=workers)
        self._found = found
        self.notes = (*found.notes, *notes)

    def items(self) -> Mapping[Split, Sequence[Item]]:
        """The images in the order of their names, with the number of their class."""
        return self._found.items()

    def read(self, item: Item) -> Tensor:
        """An image as bytes (C, H, W)."""
        channels, height, width = self.spec.shape
        return read_image(item.path, (height, width), channels)
