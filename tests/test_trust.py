"""Labels that say how far a measurement can be trusted."""

from __future__ import annotations

import pytest

from quintain.run import trust


@pytest.mark.parametrize(("share", "ok"), [(0.0, True), (0.02, True), (0.021, False), (1.0, False)])
def test_waiting_for_data(share, ok):
    label = trust.waiting(share)
    assert label["ok"] is ok and f"{share:.1%}" in label["note"]


def test_other_processes_show_in_the_share_of_a_core():
    assert trust.undisturbed(0.97, True)["ok"] is True
    assert trust.undisturbed(0.41, True) == {
        "ok": False,
        "note": "the run had 41% of a core while it trained",
    }
    assert trust.undisturbed(0.2, False)["ok"] is None


def test_noise_is_the_median_deviation():
    assert trust.noise([10, 10, 10, 11, 9, 50])["ok"] is True  # one outlier is no noise
    label = trust.noise([5, 10, 15, 20, 25])  # median 15, deviations 10 5 0 5 10 → 5
    assert label["ok"] is False and "33.3%" in label["note"]
    assert trust.noise([1.0])["ok"] is None


def test_data_that_is_not_what_the_card_says():
    assert trust.same_data("a", "a", False)["ok"] is True
    label = trust.same_data("a", "b", False)
    assert label["ok"] is False and "the card says b, the data are a" in label["note"]
    assert trust.same_data("a", None, False)["ok"] is None
    assert trust.same_data("a", "b", True)["ok"] is None  # the card speaks of other settings


@pytest.mark.parametrize(("params", "ok"), [(1000, True), (1020, True), (980, True), (1021, False)])
def test_the_budget_is_met_within_two_percent(params, ok):
    assert trust.budget_met(1000, params)["ok"] is ok


def test_no_budget_no_label():
    assert trust.budget_met(None, 5)["ok"] is None
