"""Metrics over several processes: their states are put together, as if one had seen all samples.

torchmetrics' own way waits for ever where a state without reduction is a list that is empty on one
rank, or of unequal length; here all states travel in one exchange, whatever they hold.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor
from torchmetrics import Metric
from torchmetrics.utilities.data import dim_zero_cat

from quintain.run.ranks import Ranks

State = dict[str, Any]


def merge(metrics: Mapping[str, Metric], ranks: Ranks) -> None:
    """Give every metric, and those inside it, the states of all ranks together.

    To be called once before `compute`, and then reset: states that are merged must not be merged
    again.
    """
    if ranks.alone:
        return
    parts = [part for metric in metrics.values() for part in _inside(metric)]
    mine = [(part._update_count, _state(part)) for part in parts]
    every = ranks.gather(mine)
    for index, part in enumerate(parts):
        part.sync_on_compute = False
        part._update_count = sum(said[index][0] for said in every)
        part._computed = None
        _put(part, [said[index][1] for said in every])


def _inside(metric: Metric) -> list[Metric]:
    """The metric and those it is made of, each once."""
    return [module for module in metric.modules() if isinstance(module, Metric)]


def _state(metric: Metric) -> State:
    """What a metric has seen, on the CPU."""
    return {name: _moved(getattr(metric, name), "cpu") for name in metric._reductions}


def _put(metric: Metric, states: list[State]) -> None:
    """As torchmetrics reduces them: lists are joined, tensors stacked, then the reduction."""
    reductions: dict[str, Any] = dict(metric._reductions)
    for name, reduction in reductions.items():
        values = [state[name] for state in states]
        if isinstance(values[0], list):
            together: Any = [item for value in values for item in value]
            # A state that is joined at `compute` may be empty everywhere.
            reduced = reduction(together) if reduction and together else together
            merged = [reduced] if reduction is dim_zero_cat and together else reduced
        else:
            stacked = torch.stack(values)
            merged = reduction(stacked) if reduction else stacked
        setattr(metric, name, _moved(merged, metric.device))


def _moved(value: Any, device: Any) -> Any:
    if isinstance(value, Tensor):
        return value.detach().to(device)
    return [_moved(item, device) for item in value] if isinstance(value, list) else value
