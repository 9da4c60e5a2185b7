"""A pre-norm Transformer encoder over a sequence (Vaswani et al. 2017; Xiong et al. 2020).

Legend: B batch, T steps, D features of the stream, H heads, K features of a head.
"""

from __future__ import annotations

import math
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from quintain.contracts import Features, Reads
from quintain.kit.mask import keep
from quintain.kit.widths import at_least_one, spread


class Transformer(nn.Module):
    """`num_layers` blocks of self-attention and a feed-forward network, with sinusoidal positions.

    Args:
        inp: features (B, T, D).
        width: size of the stream; attention is as wide, and any whole number is allowed.
        num_layers: blocks.
        num_heads: attention heads a block.
        expand: the feed-forward network is about this many times as wide as the stream.
    """

    reads: ClassVar[Reads] = "sequence"

    def __init__(
        self,
        inp: Features,
        *,
        width: float = 64.0,
        num_layers: int = 2,
        num_heads: int = 4,
        expand: float = 4.0,
    ) -> None:
        super().__init__()
        at_least_one(width=width, num_layers=num_layers, num_heads=num_heads)
        dim = max(1, math.floor(width))
        heads = [max(1, k) for k in spread(width / num_heads, num_layers)]
        self.read = nn.Linear(inp.dim, dim)
        self.blocks = nn.ModuleList()
        for k, size in enumerate(heads):
            attention = _Attention(dim, num_heads=num_heads, head_dim=size, causal=inp.causal)
            # The feed-forward network takes what attention leaves of (4 + 2 · expand) · width²
            # weights, so that the block grows smoothly although heads grow in leaps.
            spare = (4 + 2 * expand) * width**2 - 4 * dim * num_heads * size
            hidden = max(1, math.floor(spare / (2 * dim) + k / num_layers))
            self.blocks.append(_Block(dim, attention, hidden))
        self.norm = nn.LayerNorm(dim)
        self.out = Features(**{**vars(inp), "dim": dim})

    def forward(self, x: Tensor, mask: Tensor | None) -> tuple[Tensor, Tensor | None]:
        """(B, T, D), mask → (B, T, out.dim), mask."""
        x_BTD = self.read(keep(x, mask))
        x_BTD = x_BTD + sinusoids(x_BTD.shape[1], x_BTD.shape[2]).to(x_BTD)
        for block in self.blocks:
            x_BTD = block(x_BTD, mask)
        return keep(self.norm(x_BTD), mask), mask


class _Block(nn.Module):
    """x + attention(norm x), then x + feed_forward(norm x)."""

    def __init__(self, dim: int, attention: nn.Module, hidden: int) -> None:
        super().__init__()
        self.attention_norm, self.attention = nn.LayerNorm(dim), attention
        self.feed_forward = nn.Sequential(
            nn.LayerNorm(dim), nn.Linear(dim, hidden), nn.GELU(), nn.Linear(hidden, dim)
        )

    def forward(self, x_BTD: Tensor, mask: Tensor | None) -> Tensor:
        x_BTD = x_BTD + self.attention(self.attention_norm(x_BTD), mask)
        return x_BTD + self.feed_forward(x_BTD)


class _Attention(nn.Module):
    """Multi-head self-attention whose inner size, heads × head_dim, is free of the stream's."""

    def __init__(self, dim: int, *, num_heads: int, head_dim: int, causal: bool) -> None:
        super().__init__()
        self.num_heads, self.causal = num_heads, causal
        self.qkv = nn.Linear(dim, 3 * num_heads * head_dim, bias=False)
        self.merge = nn.Linear(num_heads * head_dim, dim)

    def forward(self, x_BTD: Tensor, mask: Tensor | None) -> Tensor:
        """(B, T, D), mask → (B, T, D)."""
        q_BHTK, k_BHTK, v_BHTK = (
            part.unflatten(-1, (self.num_heads, -1)).transpose(1, 2)
            for part in self.qkv(x_BTD).chunk(3, dim=-1)
        )
        y_BHTK = F.scaled_dot_product_attention(
            q_BHTK, k_BHTK, v_BHTK, attn_mask=self._keys(mask), is_causal=self.causal
        )
        return self.merge(y_BHTK.transpose(1, 2).flatten(2))

    def _keys(self, mask: Tensor | None) -> Tensor | None:
        """Which keys may be read, bool (B, 1, 1, T); None where causality alone decides."""
        # Padding is on the right: a causal query before it never sees it.
        if mask is None or self.causal:
            return None
        empty_B1 = ~mask.any(1, keepdim=True)  # a softmax over no key would be NaN
        return (mask | empty_B1)[:, None, None, :]


def sinusoids(steps: int, dim: int) -> Tensor:
    """Positions for any length, (steps, dim): sin and cos of t / 10000^(2i / dim).

    Vaswani et al. 2017, section 3.5; here all sines stand before all cosines.
    """
    half = (dim + 1) // 2
    rates_I = torch.exp(torch.arange(half) * (-math.log(10_000.0) * 2 / dim))
    angles_TI = torch.arange(steps)[:, None] * rates_I
    return torch.cat([angles_TI.sin(), angles_TI.cos()], dim=1)[:, :dim]
