"""Tiny Shakespeare: next-character prediction, common for small language models."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, get_args

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
from quintain.errors import DataError

Validation = Literal["half", "whole"]

_FILE = RemoteFile(
    url="https://raw.githubusercontent.com/karpathy/char-rnn/master/data/tinyshakespeare/input.txt",
    sha256="86c4e6aa9db7c042ec79f339dcb96d42b0075e16b8fc2e86bf0ca57e2dc565ed",
)
_LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_SYMBOLS = "\n !$&',-.3:;?" + _LETTERS  # all 65 characters, in the order of their codes


class TinyShakespeare(TokenStream):
    """1,115,394 characters, 65 different ones; x and y int64 (context,).

    The first 90 % are train. The last 10 %, which is usually the validation split of a dataset
    without test, is divided into halves for validation and test.

    With `validation="whole"`, validation *and* test are all of the last 10 %, as in nanoGPT. The
    loss is then comparable with nanoGPT's, but the test loss is a validation loss, since the
    weights were selected on the same text. nanoGPT estimates the loss from random windows; here it
    is the mean over all characters of adjacent windows, which are, as in nanoGPT, predicted from 0
    to `context` - 1 earlier characters of the window.

    The file is `<data_dir>/tinyshakespeare/input.txt`, plain or gzipped.

    Args:
        context: characters in a window.
        stride: characters between the starts of two train windows; 1 in nanoGPT.
        validation: "half" or "whole".
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
            raise ValueError(f"validation must be half or whole, got {validation!r}")
        self._validation = validation
        self._path = data_folder(data_dir) / "tinyshakespeare" / "input.txt"

    def prepare_data(self) -> None:
        fetch_plain_or_gzip(self._path, _FILE)

    def read_tokens(self) -> dict[Split, Tensor]:
        tokens = _encode(read_plain_or_gzip(self._path))
        border = int(0.9 * len(tokens))
        middle = (border + len(tokens)) // 2
        train, last = tokens[:border], tokens[border:]
        if self._validation == "whole":
            return {"train": train, "val": last, "test": last}
        return {"train": train, "val": tokens[border:middle], "test": tokens[middle:]}

    def decode(self, tokens: Sequence[int], side: Side) -> str:
        return "".join(_SYMBOLS[token] for token in tokens)


def _encode(content: bytes) -> Tensor:
    """Encode ASCII characters as tokens, int64 (characters,)."""
    table = torch.full((256,), -1)
    table[[ord(symbol) for symbol in _SYMBOLS]] = torch.arange(len(_SYMBOLS))
    tokens = table[torch.frombuffer(bytearray(content), dtype=torch.uint8).long()]
    if (tokens < 0).any():
        unknown = content[int((tokens < 0).nonzero()[0])]
        raise DataError(
            f"byte {unknown} is not one of the {len(_SYMBOLS)} characters of Tiny Shakespeare: the "
            "file is damaged or another one; remove it, and it is downloaded again"
        )
    return tokens
