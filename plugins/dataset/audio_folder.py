"""The user's own recordings, one folder a class."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from torch import Tensor

from quintain.contracts import DataSpec, Split
from quintain.kit.files.problems import Problems
from quintain.kit.media.recordings import (
    SOUNDS,
    Others,
    infer_length,
    infer_rate,
    read_recording,
    steps,
)
from quintain.kit.ondisk import Item, OnDisk
from quintain.kit.own.folders import class_folder
from quintain.kit.own.splits import SHARES


class AudioFolder(OnDisk):
    """root/class/*.wav, flac, ogg, …, or root/train/class/…; x (samples,) in [-1, 1], ragged.

    Channels are averaged, other sample rates resampled. What is inferred is said in `notes`.

    Args:
        path: the folder.
        sample_rate: Hz; None: the rate most recordings have.
        others: what to do with recordings of another rate or of several channels: `convert` or
            `refuse`.
        seconds: what is behind them is cut off; None: the longest recording, at most 10 s.
        group: a regular expression searched in file names; files with the same match (its first
            group, where it has one), a speaker's for example, come into one split. None: files of
            equal content do.
        shares: of train, val and test, by class, where no folders say it.
        bad_share: share of the recordings that may be unreadable and are then left out.
        memory, workers: as in `quintain.kit.ondisk.OnDisk`.

    Raises:
        DataError: what is wrong with the folder, all of it in one message.
    """

    def __init__(
        self,
        path: str,
        sample_rate: int | None = None,
        others: Others = "convert",
        seconds: float | None = None,
        group: str | None = None,
        shares: Sequence[float] = SHARES,
        bad_share: float = 0.01,
        memory: float = 1024,
        workers: int = 2,
    ) -> None:
        problems = Problems()
        found = class_folder(
            path, SOUNDS, problems, group=group, shares=shares, bad_share=bad_share, workers=workers
        )
        facts = [file.seen.facts for file in found.files]
        rate, on_rate = infer_rate(facts, sample_rate, others, problems)
        longest, on_length = infer_length(facts, rate, seconds, problems)
        problems.check()
        spec = DataSpec(
            name="audio_folder",
            modality="speech",
            task="classify",
            shape=(longest,),
            classes=found.classes,
            sample_rate=rate,
            ragged=True,
        )
        super().__init__(spec, memory=memory, workers=workers)
        self._found, self._rate, self._longest = found, rate, longest
        self.notes = (*found.notes, on_rate, on_length)

    def items(self) -> Mapping[Split, Sequence[Item]]:
        """The recordings in the order of their names, with the number of their class."""
        return self._found.items(lambda facts: steps(facts, self._rate, self._longest))

    def read(self, item: Item) -> Tensor:
        """A recording as 16-bit samples (N,)."""
        return read_recording(item.path, self._rate, self._longest)
