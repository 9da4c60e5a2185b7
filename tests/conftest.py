"""For all tests: a search for examples takes the same ones each time, so that a CI tells the truth
about a change (`--hypothesis-profile=default` looks for others), no file's tests see what those of
another have left in the environment, and torch has one thread in each of pytest's processes: two by
two threads on two cores wait for one another ten times as long as they compute.
"""

import os
from collections.abc import Iterator
from multiprocessing import forkserver

import pytest
from hypothesis import settings

pytest_plugins = (
    "helpers.audio_dataset",
    "helpers.module_training",
    "helpers.resume_checks",
    "helpers.slurm_cluster",
)
"""Helpers whose fixtures several test files use."""

settings.register_profile("same", derandomize=True)
settings.load_profile("same")

os.environ.pop("COLUMNS", None)  # pytest-xdist sets it
for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(name, "1")  # before torch is imported


@pytest.fixture(scope="module", autouse=True)
def own_server() -> Iterator[None]:
    """The fork server keeps the environment that it was started in, so each file has its own."""
    yield
    forkserver._forkserver._stop()  # does nothing where none was started
