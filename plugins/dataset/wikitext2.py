"""WikiText-2: next-word prediction on good and featured articles of Wikipedia."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from quintain.contracts import DataSpec, Side, Split
from quintain.data.files.download import (
    RemoteFile,
    data_folder,
    fetch_plain_or_gzip,
    read_plain_or_gzip,
)
from quintain.data.text.token_windows import TokenStream
from quintain.data.text.vocabulary import Vocabulary
from quintain.errors import DataError

_ROOT = (
    "https://raw.githubusercontent.com/pytorch/examples/main/word_language_model/data/wikitext-2"
)
_FILES: dict[Split, RemoteFile] = {
    split: RemoteFile(url=f"{_ROOT}/{name}.txt", sha256=sha256)
    for split, name, sha256 in (
        ("train", "train", "9e9fa1ad55b1c2c95b08e37dd8e653f638fac2c6de904b79e813611eefbc985f"),
        ("val", "valid", "f0737ed31fc1329026e95cb8b98e19c2a182c39c240ab909dc31abf2f8af58e8"),
        ("test", "test", "d790b833ef8cf03a90db7bf1271b7520b83c45ce07ba3c1a9699df81e239eca0"),
    )
}
_END = "\n"  # the end of a line is a word, as in all published numbers
_UNKNOWN = "<unk>"
_VOCABULARY = 33_278


class Wikitext2(TokenStream):
    """2,088,628 / 217,646 / 245,569 words, 33,278 different ones; x and y int64 (context,).

    The words are as published: the end of a line is a word, and so is `<unk>`, which replaces rare
    words. `perplexity` is per word, as published; `bits_per_character` is per character of the
    file, including spaces and line ends. Published models pass their state from window to window;
    here a word is predicted from its own window only, which increases perplexity, less with a
    longer context.

    The output layer has 33,278 weights for each unit of width, so no model fits the default budgets
    of parameters: set the width instead (`model.width=128 budget.params=null`).

    The files are `<data_dir>/wikitext2/train.txt`, `valid.txt` and `test.txt`, plain or gzipped.

    Args:
        context: words in a window.
        stride: words between the starts of two train windows.
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
        for remote in _FILES.values():
            fetch_plain_or_gzip(self._folder / remote.name, remote)

    def read_tokens(self) -> dict[Split, Tensor]:
        words = {split: self._words(remote) for split, remote in _FILES.items()}
        train = [word for word in words["train"] if word != _UNKNOWN]
        self._vocabulary = Vocabulary([train], _VOCABULARY, unknown=_UNKNOWN)
        if unknown := {*words["val"], *words["test"]} - {*self._vocabulary.words}:
            raise DataError(
                f"{len(unknown)} words of valid.txt and test.txt are not in train.txt, such as "
                f"{min(unknown)!r}: the files do not belong together; remove them, and they "
                "are downloaded again"
            )
        return {split: torch.tensor(self._vocabulary.encode(text)) for split, text in words.items()}

    def decode(self, tokens: Sequence[int], side: Side) -> str:
        return " ".join(self._vocabulary.decode(tokens))

    def _words(self, remote: RemoteFile) -> list[str]:
        content = read_plain_or_gzip(self._folder / remote.name)
        lines = content.decode("utf-8", "replace").split("\n")
        if not lines[-1]:  # nothing follows the end of the last line
            lines.pop()
        return [word for line in lines for word in (*line.split(), _END)]
