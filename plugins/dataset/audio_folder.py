"""A user's recordings, one folder for each class."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from torch import Tensor

from quintain.contracts import DataSpec, Split
from quintain.data.audio.audio_files import AUDIO_FILES
from quintain.data.audio.audio_format import OtherFormats, infer_audio_format
from quintain.data.files.problems import Problems
from quintain.data.on_disk import Item, OnDisk
from quintain.data.user_files.class_folders import read_class_folders
from quintain.data.user_files.splits import SHARES


class AudioFolder(OnDisk):
    """x (samples,) in [-1, 1], ragged; files root/class/*.wav, … or root/train/class/*.wav, …

    Channels are averaged, other sample rates resampled. `notes` list the inferred settings.

    Args:
        path: root folder.
        sample_rate: Hz; None: the most common rate.
        others: `convert` or `refuse` recordings with another rate or several channels.
        seconds: longer recordings are cut; None: the length of the longest one, at most 10 s.
        range: value of floating-point files that becomes 1; None: 1, or what larger values suggest.
        group: see `read_class_folders`; for example a speaker.
        shares, bad_share, min_per_class: see `read_class_folders`.

    Raises:
        DataError: one message with all problems of the folder.
    """

    def __init__(
        self,
        path: str,
        sample_rate: int | None = None,
        others: OtherFormats = "convert",
        seconds: float | None = None,
        range: float | None = None,
        group: str | None = None,
        shares: Sequence[float] = SHARES,
        bad_share: float = 0.01,
        min_per_class: int = 1,
        memory: float = 1024,
        workers: int = 2,
    ) -> None:
        problems = Problems()
        folders = read_class_folders(
            path, AUDIO_FILES, problems, group, shares, bad_share, min_per_class, workers
        )
        audio_format = infer_audio_format(
            folders.metadata_by_path, sample_rate, others, seconds, range, problems
        )
        problems.raise_if_any()
        spec = DataSpec(
            name="audio_folder",
            modality="speech",
            task="classify",
            shape=(audio_format.longest,),
            classes=folders.classes,
            sample_rate=audio_format.rate,
            ragged=True,
        )
        super().__init__(spec, memory=memory, workers=workers)
        self._folders, self._format = folders, audio_format
        self._metadata = folders.metadata_by_path
        self.notes = (*folders.notes, *audio_format.notes)

    def items(self) -> Mapping[Split, Sequence[Item]]:
        return self._folders.items(self._format.length)

    def read(self, item: Item) -> Tensor:
        return self._format.read(item.path, self._metadata[item.path])
