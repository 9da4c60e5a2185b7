"""Checks of settings and datasets that stems, models and heads share."""

from __future__ import annotations

from collections.abc import Iterable

from quintain.contracts import DataSpec, Modality, Task


def check_modality(spec: DataSpec, modality: Modality) -> None:
    """Raise `ValueError` where the dataset has another modality; the message names its stem."""
    if spec.modality != modality:
        raise ValueError(
            f"the {modality} stem reads {modality} data, but dataset {spec.name!r} is "
            f"{spec.modality}: use stem={spec.modality}"
        )


def check_task(spec: DataSpec, task: Task) -> None:
    """Raise `ValueError` where the dataset has another task; the message names its head."""
    if spec.task != task:
        hint = f"try head={spec.task}"
        if (task, spec.task) == ("multilabel", "classify"):
            hint += (
                "; for several labels a sample, datasets of user files have dataset.separator=comma"
                " or dataset.label=[COLUMN,COLUMN]"
            )
        raise ValueError(
            f"head={task} does not support dataset {spec.name!r}, whose task is {spec.task}; {hint}"
        )


def check_at_least_one(**sizes: float) -> None:
    """Raise `ValueError` for the first size below 1; keywords are the names of the settings."""
    for name, size in sizes.items():
        if not size >= 1:
            raise ValueError(f"{name} must be at least 1, not {size}")


def raise_problems(problems: Iterable[str]) -> None:
    """Raise one `ValueError` that lists all problems, unless there are none."""
    if message := "; ".join(problems):
        raise ValueError(message)
