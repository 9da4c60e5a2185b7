"""Recurrent networks over a sequence: Elman's RNN, LSTM and GRU.

They use PyTorch's fused modules without packed sequences: padding is on the right, so it cannot
influence valid steps in forward direction; for the other direction only valid steps are reversed.

Legend: B batch, T steps, D features.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import ClassVar, Literal

import torch
from torch import Tensor, nn

from quintain.contracts import Features, InputLayout, Unsupported
from quintain.nn.checks import check_at_least_one
from quintain.nn.mask import mask_fill, reverse_valid
from quintain.nn.widths import layer_sizes

CELLS: dict[str, type[nn.RNNBase]] = {"rnn": nn.RNN, "lstm": nn.LSTM, "gru": nn.GRU}
MAX_INPUT_DIM = 64  # larger inputs are projected first: an LSTM unit has 4 weights per feature


class Recurrent(nn.Module):
    """A recurrent network in forward direction or in both directions.

    Args:
        inp: features (B, T, D).
        width: number of hidden units of a layer, summed over directions.
        cell: "rnn" (Elman 1990), "lstm" (Hochreiter & Schmidhuber 1997), "gru" (Cho et al. 2014).
        direction: "forward" or "both" (Schuster & Paliwal 1997).

    Raises:
        ValueError: an unknown cell or direction.
        Unsupported: direction "both" with causal features.
    """

    input_layout: ClassVar[InputLayout] = "sequence"

    def __init__(
        self,
        inp: Features,
        *,
        width: float = 64.0,
        cell: Literal["rnn", "lstm", "gru"] = "lstm",
        direction: Literal["forward", "both"] = "forward",
        num_layers: int = 1,
    ) -> None:
        super().__init__()
        check_at_least_one(width=width, num_layers=num_layers)
        if cell not in CELLS:
            raise ValueError(f"cell must be one of {', '.join(CELLS)}, not {cell!r}")
        if direction not in ("forward", "both"):
            raise ValueError(f"direction must be forward or both, not {direction!r}")
        if direction == "both" and inp.causal:
            raise Unsupported("direction=both is not causal, but this task is; use forward")
        num_directions = 2 if direction == "both" else 1
        sizes = layer_sizes(width / num_directions, num_layers * num_directions)
        dim, self.project = inp.dim, nn.Identity()
        if inp.dim > MAX_INPUT_DIM:
            dim = math.floor(width + 0.5)
            self.project = nn.Linear(inp.dim, dim)
        self.layers = nn.ModuleList()
        for k in range(num_layers):
            hidden_sizes = sizes[k * num_directions : (k + 1) * num_directions]
            self.layers.append(nn.ModuleList(_make_layer(cell, dim, h) for h in hidden_sizes))
            dim = sum(hidden_sizes)
        self.out = replace(inp, dim=dim)

    def forward(self, x: Tensor, mask: Tensor | None) -> tuple[Tensor, Tensor | None]:
        """(B, T, D), mask → (B, T, out.dim), mask."""
        x_BTD = self.project(mask_fill(x, mask))
        for layer in self.layers:
            outputs = [layer[0](x_BTD)[0]]
            if len(layer) == 2:
                outputs.append(reverse_valid(layer[1](reverse_valid(x_BTD, mask))[0], mask))
            x_BTD = mask_fill(torch.cat(outputs, -1) if len(outputs) > 1 else outputs[0], mask)
        return x_BTD, mask


@torch.no_grad()
def _make_layer(cell: str, dim: int, hidden: int) -> nn.RNNBase:
    """Build a layer with orthogonal recurrent weights (Saxe et al. 2014).

    The bias of an LSTM's forget gate is 1 (Jozefowicz et al. 2015).
    """
    layer: nn.RNNBase = CELLS[cell](dim, hidden, batch_first=True)
    if layer.weight_hh_l0.is_meta:  # meta tensors have no values to initialise
        return layer
    for gate in layer.weight_hh_l0.split(hidden):
        nn.init.orthogonal_(gate)
    for gate in layer.weight_ih_l0.split(hidden):
        nn.init.xavier_uniform_(gate)
    nn.init.zeros_(layer.bias_ih_l0)
    nn.init.zeros_(layer.bias_hh_l0)
    if cell == "lstm":  # the order of the gates is input, forget, cell, output
        layer.bias_ih_l0[hidden : 2 * hidden] = 1.0
    return layer
