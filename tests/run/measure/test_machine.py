"""The description of the machine, which does not identify its owner."""

from __future__ import annotations

import json
import os
import platform

import psutil
import torch

from quintain.run.measure.machine import (
    PACKAGES,
    count_available_cores,
    describe_machine,
    read_package_versions,
)


def test_the_description_has_the_facts_of_this_machine():
    machine = describe_machine(threads=1)
    assert machine["cores"] == len(os.sched_getaffinity(0)) == count_available_cores()
    assert machine["threads"] == 1
    assert machine["memory_gb"] == round(psutil.virtual_memory().total / 2**30, 1)
    assert machine["architecture"] == platform.machine()
    assert (machine["gpu"] is None) == (not torch.cuda.is_available())
    assert machine["cpu"]


def test_the_host_is_a_stable_hash():
    assert describe_machine()["host"] == describe_machine()["host"]
    assert len(describe_machine()["host"]) == 12
    text = json.dumps([describe_machine(), read_package_versions()])
    assert platform.node() not in text
    assert os.path.expanduser("~") not in text


def test_versions_of_the_packages_that_determine_numbers():
    versions = read_package_versions()
    assert versions["torch"] == torch.__version__.partition("+")[0] or "+" in versions["torch"]
    assert set(versions) == {"python", "quintain", *PACKAGES}


def test_a_package_without_metadata_is_unknown(monkeypatch):
    monkeypatch.setattr("quintain.run.measure.machine.PACKAGES", ("nowhere-to-be-found",))
    assert read_package_versions.__wrapped__()["nowhere-to-be-found"] == "unknown"
