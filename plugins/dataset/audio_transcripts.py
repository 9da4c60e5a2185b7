"""A user's recordings with transcripts in a table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from torch import Tensor

from quintain.contracts import DataSpec, Side, Split
from quintain.data.audio.audio_files import AUDIO_FILES
from quintain.data.audio.audio_format import AudioFormat, OtherFormats, infer_audio_format
from quintain.data.files.problems import Problems
from quintain.data.on_disk import Item, OnDisk
from quintain.data.text.tokenizers import SymbolCodec, SymbolUnit
from quintain.data.user_files.file_tables import FileTable, TableSettings, read_file_table
from quintain.data.user_files.splits import SHARES


class AudioTranscripts(OnDisk):
    """x (samples,) in [-1, 1], ragged, y the symbols of a transcript.

    Reads the layout of LJSpeech (`metadata.csv` without a header and `wavs/`), that of Common Voice
    (`train.tsv`, `dev.tsv`, `test.tsv` with `path` and `sentence`, and `clips/`), and any table
    with such columns. For settings that are not listed, see `AudioFolder`; `notes` list the
    inferred ones.

    Args:
        path: CSV, TSV, JSON lines or Parquet file, or the folder that contains it.
        audio: folder of the recordings; None: the table's folder, or a subfolder with a usual name.
        file, text: columns of file names (with or without extension) and transcripts; None: columns
            with usual names.
        symbols: `characters` or `words`, learned from the train split.
        lower: convert transcripts to lower case.
        vocabulary: maximum number of symbols including the unknown one.
        seconds: longer recordings are left out, because their transcripts cannot be cut.
        group, shares, bad_share, encoding: see `TableSettings`.

    Raises:
        DataError: one message with all problems of the table and the recordings.
    """

    def __init__(
        self,
        path: str,
        audio: str | None = None,
        file: str | None = None,
        text: str | None = None,
        symbols: SymbolUnit = "characters",
        lower: bool = True,
        vocabulary: int = 10_000,
        sample_rate: int | None = None,
        others: OtherFormats = "convert",
        seconds: float = 20.0,
        range: float | None = None,
        group: str | None = None,
        shares: Sequence[float] = SHARES,
        bad_share: float = 0.01,
        encoding: str | None = None,
        memory: float = 1024,
        workers: int = 2,
    ) -> None:
        problems = Problems()
        settings = TableSettings(
            files=audio, file=file, text=text, group=group, shares=shares, bad_share=bad_share,
            encoding=encoding,
        )  # fmt: skip
        table = read_file_table(path, AUDIO_FILES, settings, problems, workers=workers)
        table, long_notes = _drop_long(table, seconds, problems)
        audio_format = infer_audio_format(
            table.metadata_by_path, sample_rate, others, seconds, range, problems
        )
        problems.raise_if_any()
        codec = SymbolCodec(table.texts("train"), symbols, lower=lower, size=vocabulary)
        super().__init__(_make_spec(table, codec, audio_format), memory=memory, workers=workers)
        self._table, self._codec, self._format = table, codec, audio_format
        self._metadata = table.metadata_by_path
        symbol_notes = codec.notes(table.texts("train"), table.texts("val", "test"))
        self.notes = (*table.notes, *long_notes, *audio_format.notes, *symbol_notes)

    def items(self) -> Mapping[Split, Sequence[Item]]:
        return self._table.items(self._codec, self._format.length)

    def read(self, item: Item) -> Tensor:
        return self._format.read(item.path, self._metadata[item.path])

    def decode(self, tokens: Sequence[int], side: Side) -> str:
        return self._codec.decode(tokens)


def _duration(metadata: Sequence[int]) -> float:
    """Return the seconds of a recording."""
    rate, _, frames, *_ = metadata
    return frames / rate


def _drop_long(
    table: FileTable, seconds: float, problems: Problems
) -> tuple[FileTable, tuple[str, ...]]:
    """Return the table without rows of longer recordings, and a note on these."""
    short, count = table.without(lambda metadata: _duration(metadata) > seconds)
    if not short.rows:
        problems.add(f"all recordings last longer than seconds={seconds:g}")
        problems.raise_if_any()
    return short, (f"{count:,} recordings over {seconds:g} s left out",) if count else ()


def _make_spec(table: FileTable, codec: SymbolCodec, audio_format: AudioFormat) -> DataSpec:
    return DataSpec(
        name="audio_transcripts",
        modality="speech",
        task="transcribe",
        shape=(audio_format.longest,),
        sample_rate=audio_format.rate,
        symbols=len(codec),
        target_length=codec.longest(row.text for row in table.rows),
        lexicon=codec.lexicon(table.texts("train")),
        ragged=True,
    )
