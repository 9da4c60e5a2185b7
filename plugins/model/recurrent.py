"""Recurrent networks over a sequence: Elman's RNN, LSTM and GRU.

Legend: B batch, T steps, D features. Built on PyTorch's fused modules. Read forward, they need no
packing: padding is on the right and cannot reach back. Read backward, the valid part is reversed.
"""

from __future__ import annotations

import math
from typing import ClassVar, Literal

import torch
from torch import Tensor, nn

from quintain.contracts import Features, Reads, Skip
from quintain.kit.mask import keep, reverse_valid
from quintain.kit.widths import at_least_one, spread

CELLS: dict[str, type[nn.RNNBase]] = {"rnn": nn.RNN, "lstm": nn.LSTM, "gru": nn.GRU}
WIDE = 64  # features a step; above, a unit of an LSTM would cost 4 × 65 weights and more to read


class Recurrent(nn.Module):
    """`num_layers` of recurrent cells, in one direction or both.

    Args:
        inp: features (B, T, D).
        width: hidden units of a layer, both directions together.
        cell: "rnn" (Elman 1990), "lstm" (Hochreiter & Schmidhuber 1997), "gru" (Cho et al. 2014).
        direction: "forward", or "both" (Schuster & Paliwal 1997; not for causal features).
        num_layers: layers, each reading the one before.
    """

    reads: ClassVar[Reads] = "sequence"

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
        at_least_one(width=width, num_layers=num_layers)
        self._check(inp, cell, direction)
        ways = 2 if direction == "both" else 1
        sizes = spread(width / ways, num_layers * ways)
        wide = inp.dim > WIDE
        dim = math.floor(width + 0.5) if wide else inp.dim
        self.read: nn.Module = nn.Linear(inp.dim, dim) if wide else nn.Identity()
        self.layers = nn.ModuleList()
        for first in range(0, num_layers * ways, ways):
            hidden = sizes[first : first + ways]
            self.layers.append(nn.ModuleList(_layer(cell, dim, h) for h in hidden))
            dim = sum(hidden)
        self.out = Features(**{**vars(inp), "dim": dim})

    def forward(self, x: Tensor, mask: Tensor | None) -> tuple[Tensor, Tensor | None]:
        """(B, T, D), mask → (B, T, out.dim), mask."""
        x_BTD = self.read(keep(x, mask))
        for layer in self.layers:
            outputs = [layer[0](x_BTD)[0]]
            if len(layer) == 2:
                outputs.append(reverse_valid(layer[1](reverse_valid(x_BTD, mask))[0], mask))
            x_BTD = keep(torch.cat(outputs, -1) if len(outputs) > 1 else outputs[0], mask)
        return x_BTD, mask

    @staticmethod
    def _check(inp: Features, cell: str, direction: str) -> None:
        if cell not in CELLS:
            raise ValueError(f"cell must be one of {', '.join(CELLS)}, not {cell!r}")
        if direction not in ("forward", "both"):
            raise ValueError(f"direction must be forward or both, not {direction!r}")
        if direction == "both" and inp.causal:
            raise Skip("direction=both reads the future, and this task is causal; use forward")


def _layer(cell: str, dim: int, hidden: int) -> nn.RNNBase:
    layer: nn.RNNBase = CELLS[cell](dim, hidden, batch_first=True)
    if not layer.weight_hh_l0.is_meta:
        _initialise(layer)
    return layer


@torch.no_grad()
def _initialise(layer: nn.RNNBase) -> None:
    """Orthogonal recurrence (Saxe et al. 2014); forget gates open (Jozefowicz et al. 2015)."""
    for gate in layer.weight_hh_l0.split(layer.hidden_size):
        nn.init.orthogonal_(gate)
    for gate in layer.weight_ih_l0.split(layer.hidden_size):
        nn.init.xavier_uniform_(gate)
    nn.init.zeros_(layer.bias_ih_l0)
    nn.init.zeros_(layer.bias_hh_l0)
    if isinstance(layer, nn.LSTM):  # gates stand in the order input, forget, cell, output
        layer.bias_ih_l0[layer.hidden_size : 2 * layer.hidden_size] = 1.0
