"""What every stem asks first."""

from __future__ import annotations

from quintain.contracts import DataSpec, Modality


def require(spec: DataSpec, modality: Modality) -> None:
    """Raise `ValueError`, naming the right stem, where the data is of another modality."""
    if spec.modality != modality:
        raise ValueError(
            f"the {modality} stem reads {modality} data, but dataset {spec.name!r} is "
            f"{spec.modality}: use stem={spec.modality}"
        )
