"""Meters of the host against an imitated sysfs and a real allocation."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import pytest

from quintain.meters.host import (
    JOULES_PER_KWH,
    AbsentMeter,
    HostMemory,
    RaplEnergy,
    ThermalThrottling,
)


def write_zone(root: Path, name: str, count: int, wrap: int = 1_000_000) -> Path:
    """Imitate a powercap zone; return the file of its counter."""
    folder = root / name
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "energy_uj").write_text(f"{count}\n")
    (folder / "max_energy_range_uj").write_text(f"{wrap}\n")
    return folder / "energy_uj"


def read_joules(meter: RaplEnergy) -> float:
    kwh = meter.read()
    assert isinstance(kwh, float)
    return kwh * JOULES_PER_KWH


def test_energy_sums_packages_and_ignores_their_subzones(tmp_path):
    first, second = (
        write_zone(tmp_path, "intel-rapl:0", 100),
        write_zone(tmp_path, "intel-rapl:11", 0),
    )
    subzone = write_zone(tmp_path, "intel-rapl:0:0", 0)
    meter = RaplEnergy(tmp_path)
    meter.start()
    first.write_text("600100\n")
    second.write_text("400000\n")
    subzone.write_text("999999\n")
    meter.stop()
    assert read_joules(meter) == pytest.approx(1.0)


def test_energy_of_a_counter_that_wraps_around(tmp_path):
    counter = write_zone(tmp_path, "intel-rapl:0", 900_000)
    meter = RaplEnergy(tmp_path)
    meter.start()
    counter.write_text("100000\n")
    meter.stop()
    assert read_joules(meter) == pytest.approx(0.2)


def test_reading_before_stop_gives_the_value_until_now(tmp_path):
    """A checkpoint reads the meters of a running cell."""
    counter, core = write_zone(tmp_path, "intel-rapl:0", 0), write_throttle_counter(tmp_path, 3)
    energy, heat = RaplEnergy(tmp_path), ThermalThrottling(tmp_path)
    energy.start(), heat.start()
    counter.write_text("300000\n"), core.write_text("5\n")
    assert (read_joules(energy), heat.read()) == (pytest.approx(0.3), 2)
    counter.write_text("500000\n"), core.write_text("7\n")
    energy.stop(), heat.stop()
    counter.write_text("900000\n"), core.write_text("9\n")
    assert (read_joules(energy), heat.read()) == (pytest.approx(0.5), 4)


def write_throttle_counter(root: Path, count: int) -> Path:
    file = root / "cpu0" / "thermal_throttle" / "core_throttle_count"
    file.parent.mkdir(parents=True)
    file.write_text(f"{count}\n")
    return file


def test_energy_of_a_counter_that_wraps_around_many_times(tmp_path):
    counter = write_zone(tmp_path, "intel-rapl:0", 0)
    meter = RaplEnergy(tmp_path, interval=0.01)
    meter.start()
    for number, value in enumerate((600_000, 200_000, 800_000, 400_000), 1):  # 0.6 J each time
        counter.with_suffix(".new").write_text(f"{value}\n")
        counter.with_suffix(".new").replace(counter)
        end = time.monotonic() + 120
        while read_joules(meter) < number * 0.6 - 1e-6:  # until the thread has read it
            assert time.monotonic() < end
            time.sleep(0.01)
    meter.stop()
    assert read_joules(meter) == pytest.approx(2.4)


def test_missing_counter_gives_a_reason(tmp_path):
    meter = RaplEnergy(tmp_path)
    meter.start()
    meter.stop()
    assert meter.read() == "no energy counter (RAPL) on this machine"


@pytest.mark.parametrize("name", ["energy_uj", "max_energy_range_uj"])
def test_unreadable_counter_gives_a_reason(tmp_path, name):
    counter = write_zone(tmp_path, "intel-rapl:0", 0)
    (counter.parent / name).unlink()
    meter = RaplEnergy(tmp_path)
    meter.start()
    meter.stop()
    assert "cannot be read" in str(meter.read())


def test_counter_that_fails_during_a_run_gives_a_reason(tmp_path):
    counter = write_zone(tmp_path, "intel-rapl:0", 0)
    meter = RaplEnergy(tmp_path)
    meter.start()
    counter.write_text("nonsense")
    meter.stop()
    assert "cannot be read" in str(meter.read())


def test_host_memory_includes_an_allocation():
    code = (
        "from quintain.meters.host import HostMemory\n"
        "a = HostMemory().read(); x = bytearray(b'x') * 2**26; print(HostMemory().read() - a)"
    )
    process = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert 50 < float(process.stdout) < 80  # MiB
    assert HostMemory().read() > 10


def test_absent_meter_returns_its_reason():
    meter = AbsentMeter("mfu", "because")
    meter.start()
    meter.stop()
    assert (meter.name, meter.read()) == ("mfu", "because")


def test_throttling_sums_all_cores(tmp_path):
    counters = [tmp_path / f"cpu{n}/thermal_throttle/core_throttle_count" for n in (0, 11)]
    for counter in counters:
        counter.parent.mkdir(parents=True)
        counter.write_text("7\n")
    (tmp_path / "cpufreq").mkdir()  # is beside the folders of the cores
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
