"""The user's own video clips, one folder a class."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from torch import Tensor

from quintain.contracts import DataSpec, Split
from quintain.kit.files.problems import Problems
from quintain.kit.media.clips import VIDEOS, Sampling, read_clip
from quintain.kit.media.pictures import picture_notes
from quintain.kit.ondisk import Item, OnDisk
from quintain.kit.own.folders import class_folder
from quintain.kit.own.splits import SHARES

_LARGEST = 48  # pixels of the longer side of an inferred size


class VideoFolder(OnDisk):
    """root/class/*.mp4, avi, …, or root/train/class/…; x (T, C, H, W) in bytes.

    Frames are scaled to cover the size, and their middle cut out. What is inferred is said in
    `notes`.

    Args:
        path: the folder.
        frames: T; without `fps` that many are spread evenly over each clip, whatever it lasts.
        fps: frames a second from the beginning, at most `frames` of them; shorter clips are then
            shorter (ragged).
        size: a side of a square, or [height, width]; None: the size most clips have, brought down
            to 48 pixels where it is larger.
        channels: 1 (grey) or 3 (RGB); None: grey where all clips are.
        group: a regular expression searched in file names; files with the same match (its first
            group, where it has one) come into one split. None: files of equal content do.
        shares: of train, val and test, by class, where no folders say it.
        bad_share: share of the clips that may be unreadable and are then left out.
        memory, workers: as in `quintain.kit.ondisk.OnDisk`.

    Raises:
        DataError: what is wrong with the folder, all of it in one message.
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
        memory: float = 1024,
        workers: int = 2,
    ) -> None:
        problems = Problems()
        found = class_folder(
            path, VIDEOS, problems, group=group, shares=shares, bad_share=bad_share, workers=workers
        )
        facts = [file.seen.facts for file in found.files]
        shape, notes = picture_notes(facts, size, channels, problems, largest=_LARGEST)
        sampling = Sampling(frames, fps)
        on_frames = sampling.check(facts, problems)
        problems.check()
        spec = DataSpec(
            name="video_folder",
            modality="video",
            task="classify",
            shape=(frames, *shape),
            classes=found.classes,
            ragged=fps is not None,
        )
        super().__init__(spec, memory=memory, workers=workers)
        self._found, self._sampling = found, sampling
        self._facts = {file.path: file.seen.facts for file in found.files}
        self.notes = (*found.notes, *notes, on_frames)

    def items(self) -> Mapping[Split, Sequence[Item]]:
        """The clips in the order of their names, with the number of their class."""
        return self._found.items(lambda facts: len(self._sampling.wanted(facts)))

    def read(self, item: Item) -> Tensor:
        """Frames of a clip as bytes (T, C, H, W)."""
        _, channels, height, width = self.spec.shape
        wanted = self._sampling.wanted(self._facts[item.path])
        return read_clip(item.path, wanted, (channels, height, width))
