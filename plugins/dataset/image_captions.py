"""The user's own images with captions in a table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from torch import Tensor

from quintain.contracts import DataSpec, Side, Split
from quintain.kit.files.problems import Problems
from quintain.kit.media.pictures import IMAGES, picture_notes, read_image
from quintain.kit.ondisk import Item, OnDisk
from quintain.kit.own.listed import Asked, listed
from quintain.kit.own.splits import SHARES
from quintain.kit.text.spelling import Spelling, Symbols


class ImageCaptions(OnDisk):
    """A table of file names and captions; x (C, H, W) in bytes, y the caption's symbols.

    A row is a sample, so an image may have several captions; all come into one split. Images are
    treated as by `image_folder`. What is inferred is said in `notes`.

    Args:
        path: a CSV, TSV, JSON lines or Parquet file, or the folder that holds it.
        images: folder of the images; None: that of the table, or one beside it.
        file, text: columns of file names and captions; None: by their usual names.
        symbols: `words` (what stands between blanks) or `characters`; known from the train split.
        lower: make all letters small.
        vocabulary: number of symbols, the unknown one included.
        size, channels: as for `image_folder`.
        group: a column, or a regular expression searched in file names; rows of one group come
            into one split. None: those of one image do.
        shares: of train, val and test, where no tables and no column `split` say it.
        bad_share: share of the rows that may lack a readable image or a caption.
        memory, workers: as in `quintain.kit.ondisk.OnDisk`.

    Raises:
        DataError: what is wrong with the table and the images, all of it in one message.
    """

    def __init__(
        self,
        path: str,
        images: str | None = None,
        file: str | None = None,
        text: str | None = None,
        symbols: Symbols = "words",
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
        asked = Asked(
            files=images, file=file, text=text, group=group, shares=shares, bad_share=bad_share
        )
        found = listed(path, IMAGES, asked, problems, workers=workers)
        facts = [line.seen.facts for line in found.lines]
        shape, notes = picture_notes(facts, size, channels, problems)
        problems.check()
        spelling = Spelling(found.texts("train"), symbols, lower=lower, most=vocabulary)
        spec = DataSpec(
            name="image_captions",
            modality="image",
            task="generate",
            shape=shape,
            symbols=len(spelling),
            target_length=spelling.longest(line.text for line in found.lines),
        )
        super().__init__(spec, memory=memory, workers=workers)
        self._found, self._spelling = found, spelling
        self.notes = (*found.notes, *notes, spelling.note(found.texts("val", "test")))

    def items(self) -> Mapping[Split, Sequence[Item]]:
        """The rows in the order of the table."""
        return self._found.items(self._spelling)

    def read(self, item: Item) -> Tensor:
        """An image as bytes (C, H, W)."""
        channels, height, width = self.spec.shape
        return read_image(item.path, (height, width), channels)

    def text(self, tokens: Sequence[int], side: Side) -> str:
        """The caption of some symbols."""
        return self._spelling.decode(tokens)
