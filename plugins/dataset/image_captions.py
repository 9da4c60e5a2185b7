"""A user's images with captions in a table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from torch import Tensor

from quintain.contracts import DataSpec, Side, Split
from quintain.data.files.problems import Problems
from quintain.data.image.image_files import IMAGE_FILES, infer_image_format
from quintain.data.on_disk import Item, OnDisk
from quintain.data.text.tokenizers import TokenizerSettings, TokenUnit
from quintain.data.user_files.captions import Captions
from quintain.data.user_files.file_tables import TableSettings, read_file_table
from quintain.data.user_files.splits import SHARES


class ImageCaptions(OnDisk):
    """x uint8 (C, H, W), y the symbols of a caption.

    An image may have several captions, all in the same split. In train each is a sample; in val and
    test each image is one, and its answer is scored against all its captions. For settings that
    are not listed, see `ImageFolder`; `notes` list the inferred ones.

    Args:
        path: CSV, TSV, JSON lines or Parquet file, or the folder that contains it.
        images: folder of the images; None: the table's folder, or a subfolder with a usual name.
        file, text: columns of file names and captions; None: columns with usual names.
        symbols: words, characters or subwords from train; see `TokenizerSettings`.
        lower: convert captions to lower case.
        vocabulary: maximum number of symbols including the unknown one.
        group, shares, bad_share, encoding: see `TableSettings`.

    Raises:
        DataError: one message with all problems of the table and the images.
    """

    def __init__(
        self,
        path: str,
        images: str | None = None,
        file: str | None = None,
        text: str | None = None,
        symbols: TokenUnit = "words",
        lower: bool = True,
        vocabulary: int = 10_000,
        size: int | Sequence[int] | None = None,
        channels: int | None = None,
        range: Sequence[float] | None = None,
        group: str | None = None,
        shares: Sequence[float] = SHARES,
        bad_share: float = 0.01,
        encoding: str | None = None,
        memory: float = 1024,
        workers: int = 2,
    ) -> None:
        problems = Problems()
        tokens = TokenizerSettings(symbols, vocabulary, min_count=1, lower=lower)
        settings = TableSettings(
            files=images, file=file, text=text, group=group, shares=shares, bad_share=bad_share,
            encoding=encoding,
        )  # fmt: skip
        table = read_file_table(path, IMAGE_FILES, settings, problems, workers=workers)
        self._format, format_notes = infer_image_format(
            table.metadata, size, channels, range, problems
        )
        problems.raise_if_any()
        self._captions = captions = Captions(table, tokens)
        spec = DataSpec(
            name="image_captions",
            modality="image",
            task="generate",
            shape=self._format.shape,
            **captions.spec_fields(),
        )
        super().__init__(spec, memory=memory, workers=workers)
        self.notes = (*table.notes, *format_notes, *captions.notes)

    def items(self) -> Mapping[Split, Sequence[Item]]:
        return self._captions.items()

    def read(self, item: Item) -> Tensor:
        return self._format.read(item.path)

    def decode(self, tokens: Sequence[int], side: Side) -> str:
        return self._captions.tokenizer.decode(tokens)
