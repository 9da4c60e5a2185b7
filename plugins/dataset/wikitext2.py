"""WikiText-2: the next word of Wikipedia's good and featured articles."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from quintain.contracts import DataSpec, Side, Split
from quintain.kit.files.download import DataError, Remote, data_folder
from quintain.kit.files.packed import fetch_packed, read_packed
from quintain.kit.text.stream import TokenStream
from quintain.kit.text.words import Vocabulary

_ROOT = (
    "https://raw.githubusercontent.com/pytorch/examples/main/word_language_model/data/wikitext-2"
)
_FILES: dict[Split, Remote] = {
    split: Remote(url=f"{_ROOT}/{name}.txt", sha256=sha256)
    for split, name, sha256 in (
        ("train", "train", "9e9fa1ad55b1c2c95b08e37dd8e653f638fac2c6de904b79e813611eefbc985f"),
        ("val", "valid", "f0737ed31fc1329026e95cb8b98e19c2a182c39c240ab909dc31abf2f8af58e8"),
        ("test", "test", "d790b833ef8cf03a90db7bf1271b7520b83c45ce07ba3c1a9699df81e239eca0"),
    )
}
_END = "\n"  # of a line: a word of its own, as in every published number
_UNKNOWN = "<unk>"
_VOCABULARY = 33_278


class Wikitext2(TokenStream):
    """2,088,628 / 217,646 / 245,569 words of 33,278 kinds; x and y long (context,), a word ahead.

    The text is cut into words as published: rare ones are `<unk>`, which is a word like any other,
    and so is the end of a line. `perplexity` is by word, as published; `bits_per_character` is by
    character of the file, spaces and line ends included. Published models carry their state from
    window to window; here a word is predicted from its own window only, which costs some
    perplexity, the less the longer the context.

    The output layer alone has 33,278 weights for each unit of width, so no model meets the usual
    budgets of parameters: give it a width (`model.width=128 budget.params=null`).

    Args:
        context: words of a window.
        stride: words between the starts of two training windows.
        data_dir: where `wikitext2/train.txt`, `valid.txt`, `test.txt` (or `.txt.gz`) lie or are
            downloaded to; None as in `data_folder`.
    """

    def __init__(self, context: int = 35, stride: int = 35, data_dir: str | None = None) -> None:
        spec = DataSpec(
            name="wikitext2",
            modality="text",
            task="next_token",
            shape=(context,),
            vocabulary=_VOCABULARY,
            separator=" ",
        )
        super().__init__(spec, stride)
        self._folder = data_folder(data_dir) / "wikitext2"

    def prepare_data(self) -> None:
        """Download where missing, and verify.

        Raises:
            DataError: a file cannot be had, or is another.
        """
        for remote in _FILES.values():
            fetch_packed(self._folder / remote.url.rpartition("/")[2], remote)

    def streams(self) -> dict[Split, Tensor]:
        """Words as tokens, numbered by their frequency in train.

        Raises:
            DataError: a file is missing, or has a word that train does not have.
        """
        words = {split: self._words(remote) for split, remote in _FILES.items()}
        train = [word for word in words["train"] if word != _UNKNOWN]
        self._vocabulary = Vocabulary([train], _VOCABULARY, unknown=_UNKNOWN)
        if strange := {*words["val"], *words["test"]} - {*self._vocabulary.words}:
            raise DataError(
                f"{len(strange)} words of valid.txt and test.txt are not in train.txt, such as "
                f"{min(strange)!r}: the files are not of one set; remove them, and they are "
                "downloaded again"
            )
        return {split: torch.tensor(self._vocabulary.encode(some)) for split, some in words.items()}

    def text(self, tokens: Sequence[int], side: Side) -> str:
        """Words with spaces between them."""
        return " ".join(self._vocabulary.decode(tokens))

    def _words(self, remote: Remote) -> list[str]:
        content = read_packed(self._folder / remote.url.rpartition("/")[2])
        lines = content.decode("utf-8", "replace").split("\n")
        if not lines[-1]:  # what stands behind the last line's end is no line
            lines.pop()
        return [word for line in lines for word in (*line.split(), _END)]
