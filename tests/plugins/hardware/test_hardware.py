"""Hardware plugins on a machine that may have none of it."""

from __future__ import annotations

import platform
import subprocess
import sys
from typing import get_type_hints

import pytest

from quintain.meters.cuda import NvmlEnergy
from quintain.plugins.hardware.cpu import Cpu
from quintain.plugins.hardware.cuda import Cuda
from quintain.plugins.hardware.mps import Mps
from quintain.run.measure.readings import read_meters

ALL = (Cpu, Cuda, Mps)


def test_building_and_checking_hardware_imports_no_torch():
    code = """
import sys
from quintain.plugins.hardware.cpu import Cpu
from quintain.plugins.hardware.cuda import Cuda
from quintain.plugins.hardware.mps import Mps
print([k().missing() for k in (Cpu, Cuda, Mps)], [k().threads() for k in (Cpu, Cuda, Mps)])
assert "torch" not in sys.modules
"""
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)


def test_missing_is_none_where_this_machine_has_the_device():
    import torch

    assert Cpu().missing() is None
    assert (Cuda().missing() is None) == torch.cuda.is_available()
    apple = (platform.system(), platform.machine()) == ("Darwin", "arm64")
    assert (Mps().missing() is None) == apple


@pytest.mark.parametrize("kind", [Cuda, Mps])
def test_missing_is_a_sentence(kind):
    missing = kind().missing()
    if missing is None:
        pytest.skip("this machine has it")
    assert missing.startswith("needs ") and ";" in missing


@pytest.mark.parametrize("kind", ALL)
def test_each_fulfils_the_contract(kind):
    hardware = kind()
    arguments = hardware.trainer_arguments()
    assert set(arguments) == {"accelerator", "devices", "precision"}
    assert arguments["devices"] == 1 and arguments["precision"] == "32-true"
    names = {meter.name for meter in hardware.meters()}
    assert names >= {"host_peak_mb", "device_peak_mb", "energy_kwh"}
    assert hardware.threads() == 1
    assert get_type_hints(kind.__init__)["precision"]


def test_precision_and_threads_are_passed_on():
    assert Cpu(precision="bf16-mixed").trainer_arguments()["precision"] == "bf16-mixed"
    assert Cuda(precision="bf16-mixed").trainer_arguments()["precision"] == "bf16-mixed"
    assert Cpu(threads=3).threads() == 3
    with pytest.raises(ValueError, match="threads must be at least 1, got 0"):
        Cpu(threads=0)


def test_the_energy_of_an_absent_gpu_is_a_reason():
    if Cuda().missing() is None:
        pytest.skip("this machine has a GPU")
    meter = NvmlEnergy()
    meter.start()
    meter.stop()
    assert isinstance(meter.read(), str)


def test_meters_of_the_cpu_are_read():
    meters = Cpu().meters()
    for meter in meters:
        meter.start()
    for meter in meters:
        meter.stop()
    readings = read_meters(meters)
    assert readings["host_peak_mb"] > 10
    assert readings["device_peak_mb"] == "the CPU has no memory of its own"
    assert isinstance(readings["energy_kwh"], float | str)
