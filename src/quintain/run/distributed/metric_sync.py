"""Combines the metric states of several ranks as if one rank had seen all samples.

torchmetrics' own synchronisation deadlocks if a list state without a reduction is empty on one rank
or has different lengths; here one all-gather exchanges all states.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor
from torchmetrics import Metric
from torchmetrics.utilities.data import dim_zero_cat

from quintain.run.distributed.context import DistContext

State = dict[str, Any]


def sync_metrics(metrics: Mapping[str, Metric], dist: DistContext) -> None:
    """Set the states of every metric and of the metrics inside it to those of all ranks together.

    All ranks must call it, once before `compute`, and reset the metrics afterwards.
    """
    if dist.is_single:
        return
    parts = [
        part for metric in metrics.values() for part in metric.modules() if isinstance(part, Metric)
    ]
    local = []
    for part in parts:
        state = {name: _move(getattr(part, name), "cpu") for name in part._reductions}
        local.append((part._update_count, state))
    ranks = dist.all_gather(local)
    for index, part in enumerate(parts):
        part.sync_on_compute = False
        part._update_count = sum(rank[index][0] for rank in ranks)
        part._computed = None
        _combine_states(part, [rank[index][1] for rank in ranks])


def _combine_states(metric: Metric, states: list[State]) -> None:
    """Reduce states like torchmetrics: concatenate lists, stack tensors, apply the reduction."""
    reductions: dict[str, Any] = dict(metric._reductions)
    for name, reduction in reductions.items():
        values = [state[name] for state in states]
        if isinstance(values[0], list):
            items: Any = [item for value in values for item in value]
            # A state that is concatenated at `compute` may be empty on every rank.
            reduced = reduction(items) if reduction and items else items
            combined = [reduced] if reduction is dim_zero_cat and items else reduced
        else:
            stacked = torch.stack(values)
            combined = reduction(stacked) if reduction else stacked
        setattr(metric, name, _move(combined, metric.device))


def _move(value: Any, device: Any) -> Any:
    if isinstance(value, Tensor):
        return value.detach().to(device)
    return [_move(item, device) for item in value] if isinstance(value, list) else value
