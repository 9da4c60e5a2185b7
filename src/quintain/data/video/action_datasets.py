"""Base class of UCF101 and HMDB51: videos of actions, with official train and test lists."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import ClassVar

from torch import Tensor

from quintain.contracts import DataSpec, Split
from quintain.data.files.download import data_folder
from quintain.data.files.problems import abbreviate
from quintain.data.on_disk import Item, OnDisk
from quintain.data.user_files.splits import split_by_key
from quintain.data.video.video_files import count_frames, middle_times, read_clip
from quintain.errors import DataError

_VALIDATION = 0.1  # fraction of the recordings of each class in the official train list
FOLDS = (1, 2, 3)


class ActionVideos(OnDisk):
    """Videos with official train and test lists; x uint8 (frames, 3, side, side).

    The frames are spread evenly over a video, scaled to cover the square, and cropped. Validation
    is a tenth of the recordings of each class in the train list, at least one; videos cut from one
    recording are in the same split. The files are in the folder `<data_dir>/<option>`.

    Args:
        data_dir: see `data_folder`.
        fold: official split: 1, 2 or 3.
        frames: number of frames of a sample.
        side: height and width of a frame.
        memory, workers: see `OnDisk`.

    Raises:
        ValueError: settings are invalid.
    """

    option: ClassVar[str]
    """Option of the group `dataset`, and name of the folder."""
    classes: ClassVar[tuple[str, ...]]
    """Names of the classes and of their folders."""
    layout: ClassVar[str]
    """Sentence on the expected files and their source, for messages."""

    def __init__(
        self,
        data_dir: str | None = None,
        *,
        fold: int = 1,
        frames: int = 16,
        side: int = 32,
        memory: float = 1024,
        workers: int = 2,
    ) -> None:
        _check_settings(fold, frames=frames, side=side)
        spec = DataSpec(
            name=self.option,
            modality="video",
            task="classify",
            shape=(frames, 3, side, side),
            classes=self.classes,
        )
        super().__init__(spec, memory=memory, workers=workers)
        self.folder, self.fold = data_folder(data_dir) / self.option, fold

    @abstractmethod
    def read_lists(self) -> Iterator[tuple[Path, str, bool]]:
        """Yield the path and class of each video of the fold, and whether it is a test video."""

    @abstractmethod
    def recording(self, path: Path) -> str:
        """Return the name of the recording from which a video was cut."""

    def prepare_data(self) -> None:
        """Check that lists and videos exist; nothing is downloaded."""
        self.items()

    def items(self) -> Mapping[Split, Sequence[Item]]:
        videos = sorted(set(self.read_lists()))
        if not videos:
            raise DataError(f"{self.folder} has no lists of videos: {self.layout}")
        if missing := [path.name for path, *_ in videos if not path.is_file()]:
            raise DataError(
                f"{self.folder} lacks {len(missing):,} of {len(videos):,} listed videos "
                f"({', '.join(abbreviate(missing, shown=3))}): {self.layout}"
            )
        train = [(path, label) for path, label, is_test in videos if not is_test]
        test = [(path, label) for path, label, is_test in videos if is_test]
        rows = split_by_key(
            [f"{label}/{self.recording(path)}" for path, label in train],
            [label for _, label in train],
            (1 - _VALIDATION, _VALIDATION, 0.0),
        )
        return {
            "train": self._make_items([train[row] for row in rows["train"]]),
            "val": self._make_items([train[row] for row in rows["val"]]),
            "test": self._make_items(test),
        }

    def read(self, item: Item) -> Tensor:
        frames, channels, height, width = self.spec.shape
        count, rate = count_frames(item.path)
        times = middle_times(count / rate, frames)
        return read_clip(item.path, times, (channels, height, width), as_shown=False)

    def read_list(self, path: Path) -> list[list[str]]:
        """Return the words of each non-empty line of a list; raise DataError if it is missing."""
        if not path.is_file():
            raise DataError(f"{path} is missing: {self.layout}")
        return [words for line in path.read_text("utf-8").splitlines() if (words := line.split())]

    def video_path(self, folder: Path, label: str, name: str) -> Path:
        """Return the path of a listed video; raise DataError unless it is in its class folder."""
        if label not in self.spec.classes or Path(name).name != name or name in ("", ".", ".."):
            raise DataError(
                f"a list of {self.spec.name} has {label}/{name}, which is not one of its videos: "
                f"{self.layout}"
            )
        return folder / label / name

    def _make_items(self, videos: Sequence[tuple[Path, str]]) -> list[Item]:
        indices = {label: index for index, label in enumerate(self.spec.classes)}
        return [Item(path, indices[label]) for path, label in videos]


def _check_settings(fold: int, **sizes: int) -> None:
    problems = [f"{name} must be at least 1, got {n}" for name, n in sizes.items() if n < 1]
    if fold not in FOLDS:
        problems.append(f"fold must be 1, 2 or 3, got {fold!r}")
    if problems:
        raise ValueError("; ".join(problems))
