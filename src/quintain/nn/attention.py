"""A pre-norm block in which a decoder attends to an encoder (Vaswani et al. 2017, section 3.2).

Legend: B batch, U decoder steps, S positions of the encoder's output, E features of the decoder,
D features of the encoder, H heads, K features of a head.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch.nn.functional as F
from torch import Tensor, nn


class EncoderMemory(NamedTuple):
    """Keys and values of an encoder's output."""

    key_BHSK: Tensor
    value_BHSK: Tensor
    key_mask: Tensor | None  # bool (B, 1, 1, S), True where attention is allowed; None: everywhere

    def select(self, rows_N: Tensor) -> EncoderMemory:
        """Return the memory of the samples with the numbers `rows_N`, long (N,), in this order."""
        key_mask = None if self.key_mask is None else self.key_mask[rows_N]
        return EncoderMemory(self.key_BHSK[rows_N], self.value_BHSK[rows_N], key_mask)


class CrossAttention(nn.Module):
    """x + attention(norm x, memory), then x + feed_forward(norm x).

    Args:
        dim: features of the decoder, in and out.
        memory_dim: features of the encoder.
        num_heads: number of heads; each has dim / num_heads features, rounded up.
        expand: ratio of the feed-forward network's hidden size to `dim`.
        dropout: dropout rate of both residual branches.
    """

    def __init__(
        self, dim: int, memory_dim: int, *, num_heads: int, expand: float, dropout: float
    ) -> None:
        super().__init__()
        self.num_heads, self.head_dim = num_heads, math.ceil(dim / num_heads)
        attention_dim, hidden = num_heads * self.head_dim, max(1, math.floor(expand * dim))
        self.norm, self.memory_norm = nn.LayerNorm(dim), nn.LayerNorm(memory_dim)
        self.query = nn.Linear(dim, attention_dim, bias=False)
        self.key_value = nn.Linear(memory_dim, 2 * attention_dim, bias=False)
        self.merge = nn.Linear(attention_dim, dim)
        self.feed_forward = nn.Sequential(
            nn.LayerNorm(dim), nn.Linear(dim, hidden), nn.GELU(), nn.Linear(hidden, dim)
        )
        self.drop = nn.Dropout(dropout)

    def encode_memory(self, memory_BSD: Tensor, mask_BS: Tensor | None) -> EncoderMemory:
        """Compute keys and values of an encoder's output (B, S, D), once per batch.

        In a sample without valid positions, attention to all of them is allowed, because a softmax
        over none would be NaN. Their values must be finite (see `quintain.nn.mask.mask_fill`).
        """
        key, value = self.key_value(self.memory_norm(memory_BSD)).chunk(2, dim=-1)
        key_mask = None
        if mask_BS is not None:
            key_mask = (mask_BS | ~mask_BS.any(1, keepdim=True))[:, None, None, :]
        return EncoderMemory(self._split_heads(key), self._split_heads(value), key_mask)

    def forward(self, x_BUE: Tensor, memory: EncoderMemory) -> Tensor:
        """(B, U, E) → (B, U, E)."""
        query_BHUK = self._split_heads(self.query(self.norm(x_BUE)))
        attended_BHUK = F.scaled_dot_product_attention(
            query_BHUK, memory.key_BHSK, memory.value_BHSK, attn_mask=memory.key_mask
        )
        x_BUE = x_BUE + self.drop(self.merge(attended_BHUK.transpose(1, 2).flatten(2)))
        residual_BUE: Tensor = self.drop(self.feed_forward(x_BUE))
        return x_BUE + residual_BUE

    def _split_heads(self, x: Tensor) -> Tensor:
        """(B, U, H·K) → (B, H, U, K)."""
        return x.reshape(*x.shape[:2], self.num_heads, self.head_dim).transpose(1, 2)
