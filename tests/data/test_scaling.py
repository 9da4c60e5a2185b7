"""Standardisation does not depend on the unit of a channel."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.preprocessing import StandardScaler as SklearnScaler

from quintain.data.scaling import StandardScaler
from quintain.errors import DataError

VALUES = np.random.default_rng(0).normal(3, 2, (50, 2))


@pytest.mark.parametrize("factor", [1e-30, 1e-9, 1.0, 1e15, 1e30])
@pytest.mark.parametrize("offset", [0.0, 1e8])
def test_scaled_values_do_not_depend_on_unit_and_offset(factor: float, offset: float) -> None:
    values = (VALUES + offset) * factor
    scaler = StandardScaler.fit(torch.from_numpy(values))
    scaled = scaler.transform(torch.from_numpy(values))
    assert scaled.dtype == torch.float32
    assert np.allclose(scaled, SklearnScaler().fit_transform(VALUES), atol=1e-5)
    assert np.allclose(scaler.inverse_transform(scaled), values, rtol=1e-6 if not offset else 1e-14)


def test_a_tenth_at_a_hundred_million_is_a_tenth() -> None:
    values = torch.tensor([[1e8 - 1], [1e8], [1e8 + 1]], dtype=torch.float64)
    scaler = StandardScaler.fit(values)
    error = scaler.inverse_transform(scaler.transform(values + 0.1)) - values
    assert error.numpy() == pytest.approx(0.1, abs=1e-6)


def test_a_constant_channel_is_only_centred() -> None:
    for constant in (0.0, 5.0, 0.1, 1e-12, 1_700_000_000.1):
        scaler = StandardScaler.fit(torch.full((30, 1), constant, dtype=torch.float64))
        assert scaler.deviation.item() == 1.0
        assert scaler.inverse_transform(torch.zeros(1)).item() == pytest.approx(constant)


def test_values_without_a_finite_variance_are_refused() -> None:
    with pytest.raises(DataError, match=r"up to 1e\+200 are too large"):
        StandardScaler.fit(torch.tensor([[1e200], [-1e200]], dtype=torch.float64))
