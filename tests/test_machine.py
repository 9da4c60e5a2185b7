"""Facts of the machine, and nothing that names its owner."""

from __future__ import annotations

import json
import os
import platform

import psutil
import torch

from quintain.run.machine import PACKAGES, available_cores, machine, versions


def test_facts():
    found = machine(threads=1)
    assert found["cores"] == len(os.sched_getaffinity(0)) == available_cores()
    assert found["threads"] == 1
    assert found["memory_gb"] == round(psutil.virtual_memory().total / 2**30, 1)
    assert found["architecture"] == platform.machine()
    assert (found["gpu"] is None) == (not torch.cuda.is_available())
    assert found["cpu"]


def test_the_host_is_a_hash_that_stays():
    assert machine()["host"] == machine()["host"]
    assert len(machine()["host"]) == 12
    text = json.dumps([machine(), versions()])
    assert platform.node() not in text
    assert os.path.expanduser("~") not in text


def test_versions_of_what_decides_numbers():
    found = versions()
    assert found["torch"] == torch.__version__.partition("+")[0] or "+" in found["torch"]
    assert set(found) == {"python", "quintain", *PACKAGES}


def test_a_package_without_metadata_is_unknown(monkeypatch):
    monkeypatch.setattr("quintain.run.machine.PACKAGES", ("nowhere-to-be-found",))
    assert versions.__wrapped__()["nowhere-to-be-found"] == "unknown"
