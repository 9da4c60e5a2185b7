"""The budget of size and training that all models of a comparison share."""

from __future__ import annotations

from dataclasses import asdict, dataclass


@dataclass(frozen=True, kw_only=True)
class Budget:
    """Size and length of training.

    Attributes:
        params: trainable parameters, embedding tables not counted; None: the model's own size.
        steps: optimizer steps.
        batch_size: samples of a step.
        validations: number of validations during training, evenly distributed.
        group_by_length: number of batches whose samples are sorted by length together, to reduce
            padding; 1: not sorted. If all samples have one length, a note says it has no effect.
        seconds: limit of the training time, not counting validation; None: no limit.
        target: value of the main score on validation; the record has the step and the seconds at
            which it was reached.

    Raises:
        ValueError: all values that are out of range, in one message.
    """

    params: int | None = None
    steps: int = 300
    batch_size: int = 32
    validations: int = 5
    group_by_length: int = 1
    seconds: float | None = None
    target: float | None = None

    def __post_init__(self) -> None:
        problems = [
            f"{name} must be above 0, got {value}"
            for name, value in asdict(self).items()
            if name != "target" and value is not None and value <= 0
        ]
        if problems:
            raise ValueError("; ".join(problems))
