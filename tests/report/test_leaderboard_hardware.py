"""Times on the leaderboard and the page are those of one hardware class."""

from __future__ import annotations

from helpers.record_factory import cost_values, make_record

from quintain.records.store import Store
from quintain.report.leaderboard import build_leaderboard
from quintain.report.page.data import collect_page_data

MACHINE = {"host": "a", "cpu": "EPYC", "architecture": "x86_64", "cores": 2, "threads": 1}
SAME_CLASS = MACHINE | {"host": "b", "memory_gb": 8.0, "os": "Linux 5"}
OTHER_CLASS = MACHINE | {"host": "c", "cpu": "Xeon"}


def test_times_of_another_class_are_omitted_and_scores_stay():
    records = [
        make_record(seed=i, model=m, machine=MACHINE) for m in ("cnn", "mlp") for i in (1, 2)
    ]
    records += [make_record(seed=i, model="lstm", machine=OTHER_CLASS, score=0.95) for i in (1, 2)]
    rows = {row.model: row for row in build_leaderboard(records).rows}
    assert rows["lstm"].rank == 1 and rows["lstm"].params == 49800
    assert rows["lstm"].train_seconds is None and rows["lstm"].samples_per_second is None
    note = "times left out: measured on Xeon, 2 cores, 1 thread, those of the other rows on EPYC"
    assert rows["lstm"].notes[0].startswith(note)
    assert rows["cnn"].train_seconds == 12.5 and rows["cnn"].notes == []


def test_models_timed_on_another_class_have_no_profile():
    records = [
        make_record(
            seed=i, model=m, dataset=d, machine=OTHER_CLASS if m == "lstm" else MACHINE, score=score
        )
        for d in ("digits", "letters")
        for m, score in (("cnn", 0.9), ("mlp", 0.9), ("lstm", 0.95))
        for i in (1, 2)
    ]
    records += [make_record(model="majority", baseline=True, dataset=d, score=0.1, machine=MACHINE)
                for d in ("digits", "letters")]  # fmt: skip
    aggregates = {aggregate.model: aggregate for aggregate in build_leaderboard(records).overall}
    assert aggregates["lstm"].profile is None and aggregates["lstm"].mean_rank == 1
    assert aggregates["cnn"].profile is not None


def test_each_hardware_option_has_its_own_class():
    gpu = {"names": {"hardware": "cuda"}, "machine": OTHER_CLASS | {"gpu": "H100"}}
    rows = build_leaderboard(
        [make_record(seed=1, machine=MACHINE), make_record(seed=1, **gpu)]
    ).rows
    assert [row.train_seconds for row in rows] == [12.5, 12.5]


def test_table_measured_on_another_machine_only_keeps_its_times():
    records = [make_record(seed=i, machine=MACHINE) for i in (1, 2)]
    records.append(make_record(dataset="letters", machine=OTHER_CLASS))
    assert {row.train_seconds for row in build_leaderboard(records).rows} == {12.5}


def test_row_of_several_classes_is_timed_on_the_most_common_class():
    records = [
        make_record(seed=1, machine=MACHINE),
        make_record(seed=2, machine=SAME_CLASS | {"host": "a"}),
    ]
    records.append(make_record(seed=3, machine=OTHER_CLASS))
    (row,) = build_leaderboard(records).rows
    assert row.n == 3 and row.train_seconds == 12.5
    assert "times are over the 2 of 3 on one of them" in row.notes[0]


def test_leaderboard_says_that_models_have_no_common_seeds():
    records = [make_record(seed=i, model=m, score=s) for i, m, s in
               ((1, "cnn", 0.81), (2, "cnn", 0.82), (1, "mlp", 0.81), (2, "mlp", 0.82),
                (3, "lstm", 0.9))]  # fmt: skip
    assert (
        "untested: too few common seeds, or equal scores" in build_leaderboard(records).sentences[0]
    )


def test_page_shows_costs_of_the_seeds_whose_times_count(tmp_path):
    """Three seeds on three machines, one of them of another hardware class."""
    store = Store(tmp_path)
    slow = {"latency_ms": {"1": {"p50": 40.0, "p95": 60.0}}}
    for seed, machine in ((1, OTHER_CLASS), (2, OTHER_CLASS | {"host": "a"}), (3, MACHINE)):
        store.write(
            make_record(seed=seed, machine=machine, cost=cost_values() | (slow if seed < 3 else {}))
        )
    for seed in (1, 2, 3):
        store.write(make_record(seed=seed, machine=MACHINE, model="mlp"))
    (table,) = collect_page_data(store)["tables"]
    latencies = {row["model"]: row["costs"]["latency_ms"] for row in table["rows"]}
    assert latencies == {"lstm": 0.4, "mlp": 0.4}
