"""What a comparison fixes, so that it is fair."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Budget:
    """Equal means for every model of a comparison.

    Attributes:
        params: trainable parameters, embedding tables not counted; None: the model's own width.
        steps: optimizer steps.
        batch_size: samples a step.
        validations: how often the validation split is read during training, evenly spread.
        group_by_length: so many batches are drawn together and sorted by length, so that samples of
            like length share a batch and less of it is padding; 1: batches are drawn by chance
            alone. Without effect where samples have one length, which a note then says.
        seconds: of training, validation not counted; None: no limit.
        target: value of the main score on validation whose step and seconds are recorded.

    Raises:
        ValueError: a value that cannot be, all of them in one sentence each.
    """

    params: int | None = None
    steps: int = 300
    batch_size: int = 32
    validations: int = 5
    group_by_length: int = 1
    seconds: float | None = None
    target: float | None = None

    def __post_init__(self) -> None:
        wrong = [
            f"{name} must be above 0, came {value}"
            for name in (
                "params",
                "steps",
                "batch_size",
                "validations",
                "group_by_length",
                "seconds",
            )
            if (value := getattr(self, name)) is not None and value <= 0
        ]
        if wrong:
            raise ValueError("; ".join(wrong))
