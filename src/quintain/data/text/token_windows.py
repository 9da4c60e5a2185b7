"""Datasets of one long text: windows of tokens, and the tokens that follow them."""

from __future__ import annotations

import hashlib
from abc import abstractmethod

import torch
from torch import Tensor

from quintain.contracts import Batch, DataSpec, Split
from quintain.data.base import InMemory


class TokenStream(InMemory):
    """Windows of `context` tokens, views of one text for each split; y is x shifted by one token.

    Windows of val and test are adjacent, so that each token is predicted once; tokens at the end
    that do not fill a window are left out. Train windows may overlap. A subclass implements
    `read_tokens`.

    Args:
        spec: spec of task next_token and shape (context,).
        stride: tokens between the starts of two train windows.

    Raises:
        ValueError: context or stride is less than 1.
    """

    def __init__(self, spec: DataSpec, stride: int) -> None:
        (context,) = spec.shape
        problems = [
            f"{name} must be 1 or more, got {value}"
            for name, value in (("context", context), ("stride", stride))
            if value < 1
        ]
        if problems:
            raise ValueError("; ".join(problems))
        super().__init__(spec)
        self._context, self._stride = context, stride
        self._tokens: dict[Split, Tensor] = {}

    @abstractmethod
    def read_tokens(self) -> dict[Split, Tensor]:
        """Return the tokens of train, val and test, long (tokens,), in the order of the text."""

    def load(self) -> dict[Split, Batch]:
        self._tokens = self.read_tokens()
        return {
            split: self._windows(split, tokens, self._stride if split == "train" else self._context)
            for split, tokens in self._tokens.items()
        }

    def fingerprint(self) -> str:
        """Return the hash of the tokens of each split, which does not depend on the windows."""
        self.size("train")  # raises RuntimeError before `setup`
        digest = hashlib.sha256()
        for split in ("train", "val", "test"):
            tokens = self._tokens[split]
            digest.update(f"{split} {len(tokens)}\n".encode())
            digest.update(tokens.to(torch.int64).contiguous().numpy().tobytes())
        return f"sha256:{digest.hexdigest()}"

    def _windows(self, split: Split, tokens: Tensor, stride: int) -> Batch:
        if len(tokens) <= self._context:
            raise ValueError(
                f"{split} has {len(tokens):,} tokens, too few for one window of context "
                f"{self._context} and the token after it: use a shorter context"
            )
        x = tokens[:-1].unfold(0, self._context, stride)
        return Batch(x, tokens[1:].unfold(0, self._context, stride))
