"""What UCF101 and HMDB51 share: films of actions in class folders, and lists of their splits."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import ClassVar

from torch import Tensor

from quintain.contracts import DataSpec, Split
from quintain.kit.files.download import DataError, data_folder
from quintain.kit.files.problems import some
from quintain.kit.media.clips import Sampling, probe, read_clip
from quintain.kit.ondisk import Item, OnDisk
from quintain.kit.own.splits import split_by_key

_VALIDATION = 0.1  # of each class' sources in the official train list
FOLDS = (1, 2, 3)


class ActionFilms(OnDisk):
    """Films listed for training and test; x (frames, 3, side, side) in bytes.

    Frames are spread evenly over a film, scaled to cover the square, and the middle is cut out.
    The lists have no validation: of each class a tenth of the sources in the train list (films cut
    from one recording stay together) is taken for it, at least one.

    A dataset of this kind gives its name, classes and layout, and says how its lists are read.

    Args:
        data_dir: where a folder of the dataset's name lies. None as in `data_folder`.
        fold: which of the three official splits.
        frames, side: size of a sample.
        memory, workers: as in `quintain.kit.ondisk.OnDisk`.
    """

    option: ClassVar[str]
    """Name of the dataset and of its folder."""
    classes: ClassVar[tuple[str, ...]]
    """Also the names of the folders."""
    layout: ClassVar[str]
    """Where films and lists have to lie and whence they come, for messages."""

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
        _check(fold, frames=frames, side=side)
        spec = DataSpec(
            name=self.option,
            modality="video",
            task="classify",
            shape=(frames, 3, side, side),
            classes=self.classes,
        )
        super().__init__(spec, memory=memory, workers=workers)
        self.folder, self.fold = data_folder(data_dir) / self.option, fold
        self._sampling = Sampling(frames)

    @abstractmethod
    def listed(self) -> Iterator[tuple[Path, str, bool]]:
        """The films of the fold: path, class, and whether the film is for the test."""

    @abstractmethod
    def source(self, path: Path) -> str:
        """The recording that a film was cut from."""

    def prepare_data(self) -> None:
        """See that lists and films are there; there is no download.

        Raises:
            DataError: something is missing, with the layout that is expected.
        """
        self.items()

    def items(self) -> Mapping[Split, Sequence[Item]]:
        """Films in the order of their names.

        Raises:
            DataError: no lists, or films that they name are missing.
        """
        films = sorted(set(self.listed()))
        if not films:
            raise DataError(f"{self.folder} has no lists of films: {self.layout}")
        if gone := [path for path, *_ in films if not path.is_file()]:
            names = ", ".join(some((path.name for path in gone), shown=3))
            raise DataError(
                f"{self.folder} lacks {len(gone):,} of {len(films):,} listed films ({names}): "
                f"{self.layout}"
            )
        train = [(path, label) for path, label, is_test in films if not is_test]
        test = [(path, label) for path, label, is_test in films if is_test]
        rows = split_by_key(
            [f"{label}/{self.source(path)}" for path, label in train],
            [label for _, label in train],
            (1 - _VALIDATION, _VALIDATION, 0.0),
        )
        return {
            "train": self._items_of([train[row] for row in rows["train"]]),
            "val": self._items_of([train[row] for row in rows["val"]]),
            "test": self._items_of(test),
        }

    def read(self, item: Item) -> Tensor:
        """Frames of a film as bytes, (T, 3, side, side)."""
        _, channels, height, width = self.spec.shape
        return read_clip(
            item.path, self._sampling.wanted(probe(item.path)), (channels, height, width)
        )

    def lines(self, path: Path) -> list[list[str]]:
        """The words of each line of a list that has some.

        Raises:
            DataError: the list is missing.
        """
        if not path.is_file():
            raise DataError(f"{path} is missing: {self.layout}")
        return [words for line in path.read_text("utf-8").splitlines() if (words := line.split())]

    def film(self, folder: Path, label: str, name: str) -> Path:
        """A film that a list names, which must not lead out of its class' folder."""
        if label not in self.spec.classes or Path(name).name != name or name in ("", ".", ".."):
            raise DataError(
                f"a list of {self.spec.name} names {label}/{name}, which is none of its films: "
                f"{self.layout}"
            )
        return folder / label / name

    def _items_of(self, films: Sequence[tuple[Path, str]]) -> list[Item]:
        number = {label: place for place, label in enumerate(self.spec.classes)}
        return [Item(path, number[label]) for path, label in films]


def _check(fold: int, **sizes: int) -> None:
    """Raise ValueError with everything that is wrong."""
    wrong = [f"{name} must be at least 1, came {size}" for name, size in sizes.items() if size < 1]
    if fold not in FOLDS:
        wrong.append(f"fold must be 1, 2 or 3, came {fold!r}")
    if wrong:
        raise ValueError("; ".join(wrong))
