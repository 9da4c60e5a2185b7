"""A user's images with captions in a table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from torch import Tensor

from quintain.contracts import DataSpec, Side, Split
from quintain.data.files.problems import Problems
from quintain.data.image.image_files import IMAGE_FILES, infer_image_shape, read_image
from quintain.data.on_disk import Item, OnDisk
from quintain.data.text.tokenizers import SymbolCodec, SymbolUnit
from quintain.data.user_files.file_tables import TableSettings, read_file_table
from quintain.data.user_files.splits import SHARES


class ImageCaptions(OnDisk):
    """x uint8 (C, H, W), y the symbols of a caption; each row of the table is a sample.

    An image may have several captions, all in the same split. For settings that are not listed,
    see `ImageFolder`; `notes` list the inferred ones.

    Args:
        path: CSV, TSV, JSON lines or Parquet file, or the folder that contains it.
        images: folder of the images; None: the table's folder, or a subfolder with a usual name.
        file, text: columns of file names and captions; None: columns with usual names.
        symbols: `words` (separated by white space) or `characters`, learned from the train split.
        lower: convert captions to lower case.
        vocabulary: maximum number of symbols including the unknown one.
        group, shares, bad_share: see `TableSettings`.

    Raises:
        DataError: one message with all problems of the table and the images.
    """

    def __init__(
        self,
        path: str,
        images: str | None = None,
        file: str | None = None,
        text: str | None = None,
        symbols: SymbolUnit = "words",
        lower: bool = True,
        vocabulary: int = 10_000,
        size: int | Sequence[int] | None = None,
        channels: int | None = None,
        group: str | None = None,
        shares: Sequence[float] = SHARES,
        bad_share: float = 0.01,
        memory: float = 1024,
        workers: int = 2,
    ) -> None:
        problems = Problems()
        settings = TableSettings(
            files=images, file=file, text=text, group=group, shares=shares, bad_share=bad_share
        )
        table = read_file_table(path, IMAGE_FILES, settings, problems, workers=workers)
        shape, shape_notes = infer_image_shape(table.metadata, size, channels, problems)
        problems.raise_if_any()
        codec = SymbolCodec(table.texts("train"), symbols, lower=lower, size=vocabulary)
        spec = DataSpec(
            name="image_captions",
            modality="image",
            task="generate",
            shape=shape,
            symbols=len(codec),
            target_length=codec.longest(row.text for row in table.rows),
        )
        super().__init__(spec, memory=memory, workers=workers)
        self._table, self._codec = table, codec
        self.notes = (*table.notes, *shape_notes, codec.note(table.texts("val", "test")))

    def items(self) -> Mapping[Split, Sequence[Item]]:
        return self._table.items(self._codec)

    def read(self, item: Item) -> Tensor:
        channels, height, width = self.spec.shape
        return read_image(item.path, (height, width), channels)

    def decode(self, tokens: Sequence[int], side: Side) -> str:
        return self._codec.decode(tokens)
