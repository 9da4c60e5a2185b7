"""Meters against a made-up sysfs and a real allocation."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import pytest

from quintain.kit.meters import JOULES_PER_KWH, Absent, HostMemory, RaplEnergy, ThermalThrottling


def zone(root: Path, name: str, count: int, wrap: int = 1_000_000) -> Path:
    folder = root / name
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "energy_uj").write_text(f"{count}\n")
    (folder / "max_energy_range_uj").write_text(f"{wrap}\n")
    return folder / "energy_uj"


def joules(meter: RaplEnergy) -> float:
    found = meter.read()
    assert isinstance(found, float)
    return found * JOULES_PER_KWH


def test_packages_are_added_and_their_parts_are_not(tmp_path):
    first, second = zone(tmp_path, "intel-rapl:0", 100), zone(tmp_path, "intel-rapl:11", 0)
    part = zone(tmp_path, "intel-rapl:0:0", 0)
    meter = RaplEnergy(tmp_path)
    meter.start()
    first.write_text("600100\n")
    second.write_text("400000\n")
    part.write_text("999999\n")
    meter.stop()
    assert joules(meter) == pytest.approx(1.0)


def test_a_counter_that_wraps(tmp_path):
    counter = zone(tmp_path, "intel-rapl:0", 900_000)
    meter = RaplEnergy(tmp_path)
    meter.start()
    counter.write_text("100000\n")
    meter.stop()
    assert joules(meter) == pytest.approx(0.2)


def test_a_reading_on_the_way_is_of_now(tmp_path):
    """As a checkpoint takes it."""
    counter, core = zone(tmp_path, "intel-rapl:0", 0), throttles(tmp_path, 3)
    energy, heat = RaplEnergy(tmp_path), ThermalThrottling(tmp_path)
    energy.start(), heat.start()
    counter.write_text("300000\n"), core.write_text("5\n")
    assert (joules(energy), heat.read()) == (pytest.approx(0.3), 2)
    counter.write_text("500000\n"), core.write_text("7\n")
    energy.stop(), heat.stop()
    counter.write_text("900000\n"), core.write_text("9\n")
    assert (joules(energy), heat.read()) == (pytest.approx(0.5), 4)


def throttles(root: Path, count: int) -> Path:
    file = root / "cpu0" / "thermal_throttle" / "core_throttle_count"
    file.parent.mkdir(parents=True)
    file.write_text(f"{count}\n")
    return file


def test_a_counter_that_wraps_many_times_is_watched(tmp_path):
    counter = zone(tmp_path, "intel-rapl:0", 0)
    meter = RaplEnergy(tmp_path, every=0.01)
    meter.start()
    for number, value in enumerate((600_000, 200_000, 800_000, 400_000), 1):  # 0.6 J each time
        counter.with_suffix(".new").write_text(f"{value}\n")
        counter.with_suffix(".new").replace(counter)
        end = time.monotonic() + 120
        while joules(meter) < number * 0.6 - 1e-6:  # until the watcher has seen it
            assert time.monotonic() < end
            time.sleep(0.01)
    meter.stop()
    assert joules(meter) == pytest.approx(2.4)


def test_no_counter_is_a_reason(tmp_path):
    meter = RaplEnergy(tmp_path)
    meter.start()
    meter.stop()
    assert meter.read() == "no energy counter (RAPL) on this machine"


@pytest.mark.parametrize("name", ["energy_uj", "max_energy_range_uj"])
def test_a_counter_that_cannot_be_read_is_a_reason(tmp_path, name):
    counter = zone(tmp_path, "intel-rapl:0", 0)
    (counter.parent / name).unlink()
    meter = RaplEnergy(tmp_path)
    meter.start()
    meter.stop()
    assert "cannot be read" in str(meter.read())


def test_a_counter_that_fails_on_the_way_is_a_reason(tmp_path):
    counter = zone(tmp_path, "intel-rapl:0", 0)
    meter = RaplEnergy(tmp_path)
    meter.start()
    counter.write_text("nonsense")
    meter.stop()
    assert "cannot be read" in str(meter.read())


def test_host_memory_sees_an_allocation():
    code = (
        "from quintain.kit.meters import HostMemory\n"
        "a = HostMemory().read(); x = bytearray(b'x') * 2**26; print(HostMemory().read() - a)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert 50 < float(done.stdout) < 80  # MiB
    assert HostMemory().read() > 10


def test_absent_is_its_reason():
    meter = Absent("mfu", "because")
    meter.start()
    meter.stop()
    assert (meter.name, meter.read()) == ("mfu", "because")


def test_throttling_of_all_cores_is_added(tmp_path):
    counters = [tmp_path / f"cpu{n}/thermal_throttle/core_throttle_count" for n in (0, 11)]
    for counter in counters:
        counter.parent.mkdir(parents=True)
        counter.write_text("7\n")
    (tmp_path / "cpufreq").mkdir()  # what stands beside the cores
    meter = ThermalThrottling(tmp_path)
    meter.start()
    counters[0].write_text("9\n")
    counters[1].write_text("8\n")
    meter.stop()
    assert meter.read() == 3
    counters[0].write_text("nonsense")
    meter.stop()
    assert "cannot be read" in str(meter.read())
    assert "no counter" in str(ThermalThrottling(tmp_path / "none").read())
