"""The next character of Shakespeare: the text that small language models are shown on."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, get_args

import torch
from torch import Tensor

from quintain.contracts import DataSpec, Side, Split
from quintain.kit.files.download import DataError, Remote, data_folder
from quintain.kit.files.packed import fetch_packed, read_packed
from quintain.kit.text.stream import TokenStream

Validation = Literal["half", "whole"]

_FILE = Remote(
    url="https://raw.githubusercontent.com/karpathy/char-rnn/master/data/tinyshakespeare/input.txt",
    sha256="86c4e6aa9db7c042ec79f339dcb96d42b0075e16b8fc2e86bf0ca57e2dc565ed",
)
_LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_SYMBOLS = "\n !$&',-.3:;?" + _LETTERS  # all 65, in the order of their codes


class TinyShakespeare(TokenStream):
    """1,115,394 characters of 65 kinds; x and y long (context,), y one character ahead.

    The first 90 % are for training. The last 10 % are what others validate on and have no test
    split beside; here their first half is for validation and the second for the test.

    With `validation="whole"`, validation *and* test are all of the last 10 %, as nanoGPT has it.
    The loss is then comparable with nanoGPT's, but it is a validation loss under both names: the
    weights were chosen on the same text. nanoGPT estimates it from random windows; here it is the
    mean over every character of windows side by side, in which a character stands, as there, behind
    0 to `context` - 1 others of its window.

    Args:
        context: characters of a window.
        stride: characters between the starts of two training windows; 1 as in nanoGPT.
        validation: "half" or "whole".
        data_dir: where `tinyshakespeare/input.txt` lies or is downloaded to; None as in
            `data_folder`.
    """

    def __init__(
        self,
        context: int = 64,
        stride: int = 16,
        validation: Validation = "half",
        data_dir: str | None = None,
    ) -> None:
        spec = DataSpec(
            name="tiny_shakespeare",
            modality="text",
            task="next_token",
            shape=(context,),
            vocabulary=len(_SYMBOLS),
        )
        super().__init__(spec, stride)
        if validation not in get_args(Validation):
            raise ValueError(f"validation must be half or whole, came {validation!r}")
        self._validation = validation
        self._path = data_folder(data_dir) / "tinyshakespeare" / "input.txt"

    def prepare_data(self) -> None:
        """Download where missing, and verify.

        Raises:
            DataError: the text cannot be had, or is another.
        """
        fetch_packed(self._path, _FILE)

    def streams(self) -> dict[Split, Tensor]:
        """Characters as tokens.

        Raises:
            DataError: the file is missing, or has a character that the text does not.
        """
        tokens = _encode(read_packed(self._path))
        border = int(0.9 * len(tokens))
        middle = (border + len(tokens)) // 2
        train, last = tokens[:border], tokens[border:]
        if self._validation == "whole":
            return {"train": train, "val": last, "test": last}
        return {"train": train, "val": tokens[border:middle], "test": tokens[middle:]}

    def text(self, tokens: Sequence[int], side: Side) -> str:
        """Characters."""
        return "".join(_SYMBOLS[token] for token in tokens)


def _encode(content: bytes) -> Tensor:
    """ASCII → tokens, long (characters,)."""
    table = torch.full((256,), -1)
    table[[ord(symbol) for symbol in _SYMBOLS]] = torch.arange(len(_SYMBOLS))
    tokens = table[torch.frombuffer(bytearray(content), dtype=torch.uint8).long()]
    if (tokens < 0).any():
        strange = content[int((tokens < 0).nonzero()[0])]
        raise DataError(
            f"byte {strange} is none of the text's {len(_SYMBOLS)} characters: the file is damaged "
            "or another; remove it, and it is downloaded again"
        )
    return tokens
