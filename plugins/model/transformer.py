"""A pre-norm Transformer encoder over a sequence (Vaswani et al. 2017; Xiong et al. 2020).

Legend: B batch, T steps, D features, H heads, K features of a head, I frequencies.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from quintain.contracts import Features, InputLayout
from quintain.nn.checks import check_at_least_one
from quintain.nn.mask import mask_fill
from quintain.nn.widths import layer_sizes


class Transformer(nn.Module):
    """Blocks of self-attention and a feed-forward network, with sinusoidal position encodings.

    Args:
        inp: features (B, T, D).
        width: number of features of the residual stream; need not be a multiple of `num_heads`.
        expand: approximate ratio of the hidden size of the feed-forward network to `width`.
    """

    input_layout: ClassVar[InputLayout] = "sequence"

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
        check_at_least_one(width=width, num_layers=num_layers, num_heads=num_heads)
        dim = max(1, math.floor(width))
        head_dims = [max(1, k) for k in layer_sizes(width / num_heads, num_layers)]
        self.project = nn.Linear(inp.dim, dim)
        self.blocks = nn.ModuleList()
        for k, head_dim in enumerate(head_dims):
            attention = _SelfAttention(dim, num_heads, head_dim, causal=inp.causal)
            # A block has (4 + 2 · expand) · width² weights. The feed-forward network gets those
            # that attention does not use, so their sum grows smoothly although head_dim jumps.
            remaining = (4 + 2 * expand) * width**2 - 4 * dim * num_heads * head_dim
            hidden = max(1, math.floor(remaining / (2 * dim) + k / num_layers))
            self.blocks.append(_TransformerBlock(dim, attention, hidden))
        self.norm = nn.LayerNorm(dim)
        self.out = replace(inp, dim=dim)

    def forward(self, x: Tensor, mask: Tensor | None) -> tuple[Tensor, Tensor | None]:
        """(B, T, D), mask → (B, T, out.dim), mask."""
        x_BTD = self.project(mask_fill(x, mask))
        x_BTD = x_BTD + sinusoidal_positions(x_BTD.shape[1], x_BTD.shape[2]).to(x_BTD)
        for block in self.blocks:
            x_BTD = block(x_BTD, mask)
        return mask_fill(self.norm(x_BTD), mask), mask


class _TransformerBlock(nn.Module):
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


class _SelfAttention(nn.Module):
    """Multi-head self-attention; num_heads · head_dim may differ from `dim`."""

    def __init__(self, dim: int, num_heads: int, head_dim: int, *, causal: bool) -> None:
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
            q_BHTK, k_BHTK, v_BHTK, attn_mask=self._key_mask(mask), is_causal=self.causal
        )
        return self.merge(y_BHTK.transpose(1, 2).flatten(2))

    def _key_mask(self, mask: Tensor | None) -> Tensor | None:
        """Return the keys to which attention is allowed, bool (B, 1, 1, T); None: no restriction.

        In a sample without valid steps, all are allowed: a softmax over no key would be NaN.
        """
        # Padding is on the right, so with causal attention valid steps never attend to it.
        if mask is None or self.causal:
            return None
        return (mask | ~mask.any(1, keepdim=True))[:, None, None, :]


def sinusoidal_positions(steps: int, dim: int) -> Tensor:
    """Return position encodings (steps, dim): sin and cos of t / 10000^(2i / dim).

    As in Vaswani et al. 2017, section 3.5, but all sines come before all cosines.
    """
    frequency_I = torch.exp(torch.arange((dim + 1) // 2) * (-math.log(10_000.0) * 2 / dim))
    angle_TI = torch.arange(steps)[:, None] * frequency_I
    return torch.cat([angle_TI.sin(), angle_TI.cos()], dim=1)[:, :dim]
