"""The user's own recordings with transcripts in a table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from torch import Tensor

from quintain.contracts import DataSpec, Side, Split
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
from quintain.kit.own.listed import Asked, Listing, listed
from quintain.kit.own.splits import SHARES
from quintain.kit.text.spelling import Spelling, Symbols


class AudioTranscripts(OnDisk):
    """A table of file names and transcripts; x (samples,) in [-1, 1], ragged, y their symbols.

    Reads what LJSpeech has (`metadata.csv`, `id|text|normalised` without a header, `wavs/`), what
    Common Voice has (`train.tsv`, `dev.tsv`, `test.tsv` with `path` and `sentence`, `clips/`), and
    any table with such columns. What is inferred is said in `notes`.

    Args:
        path: a CSV, TSV, JSON lines or Parquet file, or the folder that holds it.
        audio: folder of the recordings; None: that of the table, or one beside it.
        file, text: columns of file names (an ending may be missing) and transcripts; None: by their
            usual names.
        symbols: `characters` or `words`; known from the train split.
        lower: make all letters small.
        vocabulary: number of symbols, the unknown one included.
        sample_rate, others: as for `audio_folder`.
        seconds: longer recordings are left out, since their transcript cannot be cut.
        group: a column (the speaker), or a regular expression searched in file names; rows of one
            group come into one split. None: those of one recording do.
        shares: of train, val and test, where no tables and no column `split` say it.
        bad_share: share of the rows that may lack a readable recording or a transcript.
        memory, workers: as in `quintain.kit.ondisk.OnDisk`.

    Raises:
        DataError: what is wrong with the table and the recordings, all of it in one message.
    """

    def __init__(
        self,
        path: str,
        audio: str | None = None,
        file: str | None = None,
        text: str | None = None,
        symbols: Symbols = "characters",
        lower: bool = True,
        vocabulary: int = 10_000,
        sample_rate: int | None = None,
        others: Others = "convert",
        seconds: float = 20.0,
        group: str | None = None,
        shares: Sequence[float] = SHARES,
        bad_share: float = 0.01,
        memory: float = 1024,
        workers: int = 2,
    ) -> None:
        problems = Problems()
        asked = Asked(
            files=audio, file=file, text=text, group=group, shares=shares, bad_share=bad_share
        )
        found = listed(path, SOUNDS, asked, problems, workers=workers)
        found, left_out = _short_enough(found, seconds, problems)
        facts = [line.seen.facts for line in found.lines]
        rate, on_rate = infer_rate(facts, sample_rate, others, problems)
        longest, on_length = infer_length(facts, rate, seconds, problems)
        problems.check()
        spelling = Spelling(found.texts("train"), symbols, lower=lower, most=vocabulary)
        super().__init__(_spec(found, spelling, rate, longest), memory=memory, workers=workers)
        self._found, self._spelling, self._rate, self._longest = found, spelling, rate, longest
        on_symbols = spelling.note(found.texts("val", "test"))
        self.notes = (*found.notes, *left_out, on_rate, on_length, on_symbols)

    def items(self) -> Mapping[Split, Sequence[Item]]:
        """The rows in the order of the table."""
        return self._found.items(
            self._spelling, lambda facts: steps(facts, self._rate, self._longest)
        )

    def read(self, item: Item) -> Tensor:
        """A recording as 16-bit samples (N,)."""
        return read_recording(item.path, self._rate, self._longest)

    def text(self, tokens: Sequence[int], side: Side) -> str:
        """The transcript of some symbols."""
        return self._spelling.decode(tokens)


def _short_enough(
    found: Listing, seconds: float, problems: Problems
) -> tuple[Listing, tuple[str, ...]]:
    """Less the rows whose recording lasts longer, and a note on those."""
    less, over = found.without(lambda facts: facts[2] / facts[0] > seconds)
    if not less.lines:
        problems.add(f"all recordings last longer than seconds={seconds:g}")
        problems.check()
    return less, (f"{over:,} recordings over {seconds:g} s left out",) if over else ()


def _spec(found: Listing, spelling: Spelling, rate: int, longest: int) -> DataSpec:
    return DataSpec(
        name="audio_transcripts",
        modality="speech",
        task="transcribe",
        shape=(longest,),
        sample_rate=rate,
        symbols=len(spelling),
        target_length=spelling.longest(line.text for line in found.lines),
        lexicon=spelling.lexicon(found.texts("train")),
        ragged=True,
    )
