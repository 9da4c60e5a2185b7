"""Which times compare: those of one class of machines."""

from __future__ import annotations

from records_factory import cost, make

from quintain.records.machines import HardwareClass, hardware_class, usual_classes
from quintain.records.store import Store
from quintain.report.leaderboard import leaderboard
from quintain.report.page.data import page_data

HERE = {"host": "a", "cpu": "EPYC", "architecture": "x86_64", "cores": 2, "threads": 1}
TWIN = HERE | {"host": "b", "memory_gb": 8.0, "os": "Linux 5"}
OTHER = HERE | {"host": "c", "cpu": "Xeon"}


def test_host_memory_and_system_are_none_of_a_class():
    assert hardware_class(HERE) == hardware_class(TWIN)
    for change in ({"cpu": "Xeon"}, {"cores": 4}, {"threads": 2}, {"gpu": "H100"}):
        assert hardware_class(HERE | change) != hardware_class(HERE)


def test_in_words_and_with_wrong_types():
    assert str(hardware_class(HERE)) == "EPYC, 2 cores, 1 thread"
    assert str(hardware_class({"cpu": ["x"], "cores": True})) == "an unknown machine"
    assert str(hardware_class({"gpu": "H100", "architecture": "arm64"})) == "H100, arm64"


def test_the_usual_class_has_most_records_then_the_newest():
    records = [make(seed=1, machine=HERE), make(seed=2, machine=OTHER)]
    records.append(make(seed=3, machine=TWIN))
    assert usual_classes(records) == {"cpu": hardware_class(HERE)}
    older, newer = make(machine=HERE), make(machine=OTHER, finished="2026-11-01T11:00:00Z")
    assert usual_classes([older, newer]) == {"cpu": hardware_class(OTHER)}
    assert usual_classes([]) == {}
    assert isinstance(usual_classes([older])["cpu"], HardwareClass)


def test_times_of_another_class_are_left_out_and_scores_stay():
    records = [make(seed=i, model=m, machine=HERE) for m in ("cnn", "mlp") for i in (1, 2)]
    records += [make(seed=i, model="lstm", machine=OTHER, score=0.95) for i in (1, 2)]
    rows = {row.model: row for row in leaderboard(records).rows}
    assert rows["lstm"].rank == 1 and rows["lstm"].params == 49800
    assert rows["lstm"].train_seconds is None and rows["lstm"].samples_per_second is None
    told = "times left out: they are of Xeon, 2 cores, 1 thread, the others' of EPYC"
    assert rows["lstm"].notes[0].startswith(told)
    assert rows["cnn"].train_seconds == 12.5 and rows["cnn"].notes == []


def test_times_of_another_class_are_in_no_profile():
    records = [
        make(seed=i, model=m, dataset=d, machine=OTHER if m == "lstm" else HERE, score=score)
        for d in ("digits", "letters")
        for m, score in (("cnn", 0.9), ("mlp", 0.9), ("lstm", 0.95))
        for i in (1, 2)
    ]
    records += [make(model="majority", reference=True, dataset=d, score=0.1, machine=HERE)
                for d in ("digits", "letters")]  # fmt: skip
    found = {one.model: one for one in leaderboard(records).overall}
    assert found["lstm"].profile is None and found["lstm"].mean_rank == 1
    assert found["cnn"].profile is not None


def test_each_hardware_option_has_its_class():
    gpu = {"names": {"hardware": "cuda"}, "machine": OTHER | {"gpu": "H100"}}
    rows = leaderboard([make(seed=1, machine=HERE), make(seed=1, **gpu)]).rows
    assert [row.train_seconds for row in rows] == [12.5, 12.5]


def test_a_table_of_another_machine_alone_keeps_its_times():
    records = [make(seed=i, machine=HERE) for i in (1, 2)]
    records.append(make(dataset="letters", machine=OTHER))
    assert {row.train_seconds for row in leaderboard(records).rows} == {12.5}


def test_of_a_mixed_row_only_the_usual_class_is_timed():
    records = [make(seed=1, machine=HERE), make(seed=2, machine=TWIN | {"host": "a"})]
    records.append(make(seed=3, machine=OTHER))
    (row,) = leaderboard(records).rows
    assert row.n == 3 and row.train_seconds == 12.5
    assert "times are over the 2 of 3 on one of them" in row.notes[0]


def test_models_without_common_seeds_are_told_so():
    records = [make(seed=i, model=m, score=s) for i, m, s in
               ((1, "cnn", 0.81), (2, "cnn", 0.82), (1, "mlp", 0.81), (2, "mlp", 0.82),
                (3, "lstm", 0.9))]  # fmt: skip
    assert "no test: too few seeds in common, or equal scores" in leaderboard(records).sentences[0]


def test_the_page_has_all_costs_of_the_seeds_that_are_timed(tmp_path):
    """Three seeds on three machines, the first not of the usual class; one host changed its."""
    store = Store(tmp_path)
    slow = {"latency_ms": {"1": {"p50": 40.0, "p95": 60.0}}}
    for seed, machine in ((1, OTHER), (2, OTHER | {"host": "a"}), (3, HERE)):
        store.write(make(seed=seed, machine=machine, cost=cost() | (slow if seed < 3 else {})))
    for seed in (1, 2, 3):
        store.write(make(seed=seed, machine=HERE, model="mlp"))
    (table,) = page_data(store)["tables"]
    found = {row["model"]: row["costs"]["latency_ms"] for row in table["rows"]}
    assert found == {"lstm": 0.4, "mlp": 0.4}
