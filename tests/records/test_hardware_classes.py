"""Hardware classes: what belongs to one, and which is the most common."""

from __future__ import annotations

from helpers.record_factory import make_record

from quintain.records.hardware_classes import HardwareClass, hardware_class, most_common_classes

MACHINE = {"host": "a", "cpu": "EPYC", "architecture": "x86_64", "cores": 2, "threads": 1}
SAME_CLASS = MACHINE | {"host": "b", "memory_gb": 8.0, "os": "Linux 5"}
OTHER_CLASS = MACHINE | {"host": "c", "cpu": "Xeon"}


def test_class_ignores_host_memory_and_system():
    assert hardware_class(MACHINE) == hardware_class(SAME_CLASS)
    for change in ({"cpu": "Xeon"}, {"cores": 4}, {"threads": 2}, {"gpu": "H100"}):
        assert hardware_class(MACHINE | change) != hardware_class(MACHINE)


def test_class_is_described_and_wrong_types_are_unknown():
    assert str(hardware_class(MACHINE)) == "EPYC, 2 cores, 1 thread"
    assert str(hardware_class({"cpu": ["x"], "cores": True})) == "an unknown machine"
    assert str(hardware_class({"gpu": "H100", "architecture": "arm64"})) == "H100, arm64"


def test_most_common_class_has_most_records_then_the_newest():
    records = [make_record(seed=1, machine=MACHINE), make_record(seed=2, machine=OTHER_CLASS)]
    records.append(make_record(seed=3, machine=SAME_CLASS))
    assert most_common_classes(records) == {"cpu": hardware_class(MACHINE)}
    older, newer = (
        make_record(machine=MACHINE),
        make_record(machine=OTHER_CLASS, finished="2026-11-01T11:00:00Z"),
    )
    assert most_common_classes([older, newer]) == {"cpu": hardware_class(OTHER_CLASS)}
    assert most_common_classes([]) == {}
    assert isinstance(most_common_classes([older])["cpu"], HardwareClass)
