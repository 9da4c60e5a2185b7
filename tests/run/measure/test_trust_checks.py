"""Checks of how far a measurement can be trusted."""

from __future__ import annotations

import pytest

from quintain.run.measure import trust_checks


@pytest.mark.parametrize(("share", "ok"), [(0.0, True), (0.02, True), (0.021, False), (1.0, False)])
def test_waiting_for_data(share, ok):
    check = trust_checks.check_input(share)
    assert check["ok"] is ok and f"{share:.1%}" in check["note"]


def test_other_processes_lower_the_cpu_share():
    assert trust_checks.check_cpu_share(0.97, True)["ok"] is True
    assert trust_checks.check_cpu_share(0.41, True) == {
        "ok": False,
        "note": "training used 41% of a core",
    }
    assert trust_checks.check_cpu_share(0.2, False)["ok"] is None


def test_noise_is_the_median_absolute_deviation():
    assert (
        trust_checks.check_noise([10, 10, 10, 11, 9, 50])["ok"] is True
    )  # one outlier is no noise
    check = trust_checks.check_noise([5, 10, 15, 20, 25])  # median 15, deviations 10 5 0 5 10 → 5
    assert check["ok"] is False and "33.3%" in check["note"]
    assert trust_checks.check_noise([1.0])["ok"] is None


def test_fingerprints_are_compared_with_the_card():
    assert trust_checks.check_fingerprint("a", "a", has_other_settings=False)["ok"] is True
    check = trust_checks.check_fingerprint("a", "b", has_other_settings=False)
    assert (
        check["ok"] is False and "the data have fingerprint a, the card expects b" in check["note"]
    )
    assert trust_checks.check_fingerprint("a", None, has_other_settings=False)["ok"] is None
    assert trust_checks.check_fingerprint("a", "b", has_other_settings=True)["ok"] is None


@pytest.mark.parametrize(("params", "ok"), [(1000, True), (1020, True), (980, True), (1021, False)])
def test_the_budget_is_met_within_two_percent(params, ok):
    assert trust_checks.check_budget(1000, params)["ok"] is ok


def test_without_a_budget_the_check_is_unknown():
    assert trust_checks.check_budget(None, 5)["ok"] is None
