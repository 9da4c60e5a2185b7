"""One block of attention from a decoder to a memory (Vaswani et al. 2017, section 3.2).

Legend: B batch, U decoder steps, S places of the memory, E features of the decoder, D features of
the memory, H heads, K features of a head.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch.nn.functional as F
from torch import Tensor, nn


class Memory(NamedTuple):
    """What an encoder has read, ready to be attended to: keys and values (B, H, S, K).

    `seen`, bool (B, 1, 1, S), says which places may be read; None where all may.
    """

    key_BHSK: Tensor
    value_BHSK: Tensor
    seen: Tensor | None

    def rows(self, rows_N: Tensor) -> Memory:
        """The memory of these samples, long (N,), in this order."""
        seen = None if self.seen is None else self.seen[rows_N]
        return Memory(self.key_BHSK[rows_N], self.value_BHSK[rows_N], seen)


class CrossAttention(nn.Module):
    """x + attention(norm x, memory), then x + feed_forward(norm x): the pre-norm form.

    Args:
        dim: features of the decoder, in and out.
        memory_dim: features of the memory.
        num_heads: heads, of about dim / num_heads features each.
        expand: the feed-forward network is about this many times as wide as `dim`.
        dropout: share of what each half adds that is left out in training.
    """

    def __init__(
        self, dim: int, memory_dim: int, *, num_heads: int, expand: float, dropout: float
    ) -> None:
        super().__init__()
        self.num_heads, self.head_dim = num_heads, math.ceil(dim / num_heads)
        attended, hidden = num_heads * self.head_dim, max(1, math.floor(expand * dim))
        self.norm, self.memory_norm = nn.LayerNorm(dim), nn.LayerNorm(memory_dim)
        self.query = nn.Linear(dim, attended, bias=False)
        self.key_value = nn.Linear(memory_dim, 2 * attended, bias=False)
        self.merge = nn.Linear(attended, dim)
        self.feed_forward = nn.Sequential(
            nn.LayerNorm(dim), nn.Linear(dim, hidden), nn.GELU(), nn.Linear(hidden, dim)
        )
        self.drop = nn.Dropout(dropout)

    def remember(self, memory_BSD: Tensor, mask_BS: Tensor | None) -> Memory:
        """Features of an encoder and their mask → keys and values, once a batch.

        Of a sample whose mask is empty all places may be read, for a softmax over none is NaN;
        what they hold must then be finite, as `kit.mask.keep` sees to.
        """
        key, value = self.key_value(self.memory_norm(memory_BSD)).chunk(2, dim=-1)
        seen = None
        if mask_BS is not None:
            seen = (mask_BS | ~mask_BS.any(1, keepdim=True))[:, None, None, :]
        return Memory(self._split(key), self._split(value), seen)

    def forward(self, x_BUE: Tensor, memory: Memory) -> Tensor:
        """(B, U, E) → (B, U, E)."""
        query_BHUK = self._split(self.query(self.norm(x_BUE)))
        read_BHUK = F.scaled_dot_product_attention(
            query_BHUK, memory.key_BHSK, memory.value_BHSK, attn_mask=memory.seen
        )
        x_BUE = x_BUE + self.drop(self.merge(read_BHUK.transpose(1, 2).flatten(2)))
        added_BUE: Tensor = self.drop(self.feed_forward(x_BUE))
        return x_BUE + added_BUE

    def _split(self, x: Tensor) -> Tensor:
        """(B, U, H·K) → (B, H, U, K)."""
        batch, steps, _ = x.shape
        return x.reshape(batch, steps, self.num_heads, self.head_dim).transpose(1, 2)
