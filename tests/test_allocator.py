"""Freed memory stays with the process: tried in one of its own, for it cannot be undone."""

from __future__ import annotations

import platform
import subprocess
import sys

import pytest


def faults(kind: str) -> int:
    """Pages that were made while a block of 40 MiB was taken, written and freed ten times."""
    code = """
import ctypes, resource, sys
from quintain.run.allocator import keep_freed_memory
if sys.argv[1] == "kept":
    assert keep_freed_memory()
libc = ctypes.CDLL(None)
libc.malloc.restype, libc.malloc.argtypes = ctypes.c_void_p, [ctypes.c_size_t]
libc.free.argtypes, libc.free.restype = [ctypes.c_void_p], None
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(10):
    block = libc.malloc(40 * 2**20)
    ctypes.memset(block, 1, 40 * 2**20)
    libc.free(block)
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""
    done = subprocess.run(
        [sys.executable, "-c", code, kind], capture_output=True, text=True, check=True
    )
    return int(done.stdout)


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="speaks to glibc")
def test_a_freed_block_is_used_again() -> None:
    plain, kept = faults("plain"), faults("kept")
    assert plain > 0
    assert kept < plain / 3
