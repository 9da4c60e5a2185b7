"""Parts of a batch, for several devices and for steps that are taken in pieces."""

from __future__ import annotations

from torch import Tensor

from quintain.contracts import Batch


def part(batch: Batch, rows: slice | Tensor) -> Batch:
    """The samples at `rows`, as long as the longest of the whole batch: padding changes nothing."""
    return Batch(*(None if t is None else t[rows] for t in batch))  # type: ignore[arg-type]
