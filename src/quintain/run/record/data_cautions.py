"""Notes on data and budgets from which little can be learnt, for the record."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from quintain.contracts import Dataset, DataSpec, OptionalDatasetAttributes
from quintain.data.files.problems import abbreviate
from quintain.run.budget import Budget

FEW_TEST_SAMPLES = 50
FEW_CLASS_SAMPLES = 5
READ_AT_ONCE = 1024  # samples


def find_cautions(dataset: Dataset, budget: Budget | None, steps: int) -> list[str]:
    """Return a note for each reason why scores on these data say little.

    `budget` is None for baselines; `steps` is the number of optimizer steps that were done. Targets
    are not examined if batches are read from files, because that would read all files once more.
    """
    notes = [*_budget_notes(dataset, budget, steps)] if budget else []
    if 0 < (size := dataset.size("test")) < FEW_TEST_SAMPLES:
        notes.append(f"the test split has {size:,} samples: a score may change much by chance")
    if not getattr(dataset, "streams", OptionalDatasetAttributes.streams):
        notes += _target_notes(dataset)
    return notes


def _budget_notes(dataset: Dataset, budget: Budget, steps: int) -> Iterator[str]:
    size, batch_size = dataset.size("train"), budget.batch_size
    epochs = steps * batch_size / size
    if size < batch_size:
        yield f"the train split has {size:,} samples, fewer than a batch of {batch_size:,}"
    elif epochs < 1:
        needed = -(-size // batch_size)
        yield (
            f"{steps:,} steps of {batch_size:,} samples are {epochs:.2f} epochs of {size:,} train "
            f"samples: most are never seen; budget.steps={needed} is one epoch"
        )
    if dataset.spec.task == "classify" and len(dataset.spec.classes) > batch_size:
        yield (
            f"there are {len(dataset.spec.classes):,} classes, more than the {batch_size:,} samples"
            " of a batch: a step sees few of them (budget.batch_size)"
        )


def _target_notes(dataset: Dataset) -> Iterator[str]:
    """Yield notes on classes with few train samples, and on targets that are constant in train."""
    spec = dataset.spec
    if spec.task in ("classify", "multilabel"):
        yield from _class_notes(spec, _count_classes(_load_targets(dataset), spec))
    elif spec.task in ("regress", "forecast"):
        y = _load_targets(dataset).flatten(0, -2)
        names = spec.targets or tuple(f"channel {k}" for k in range(y.shape[-1]))
        is_constant = (y == y[:1]).all(0).tolist()
        constant = [repr(n) for n, c in zip(names, is_constant, strict=False) if c]
        if constant:
            yield f"targets that are constant in train, nothing to learn: {_join(constant)}"


def _class_notes(spec: DataSpec, counts: Tensor) -> Iterator[str]:
    few = [
        f"{name!r} {count}"
        for name, count in zip(spec.classes, counts.tolist(), strict=True)
        if count < FEW_CLASS_SAMPLES
    ]
    if few:
        kind = "classes" if spec.task == "classify" else "labels"
        yield (
            f"{len(few):,} of {len(spec.classes):,} {kind} have fewer than {FEW_CLASS_SAMPLES} "
            f"train samples: {_join(few)}"
        )


def _count_classes(y: Tensor, spec: DataSpec) -> Tensor:
    if spec.task == "multilabel":
        return y.sum(0).long()
    return torch.bincount(y, minlength=len(spec.classes))


def _load_targets(dataset: Dataset) -> Tensor:
    """Return y of the train split."""
    parts = torch.split(torch.arange(dataset.size("train")), READ_AT_ONCE)
    return torch.cat([dataset.batch("train", part).y for part in parts])


def _join(names: list[str]) -> str:
    return ", ".join(abbreviate(names))
