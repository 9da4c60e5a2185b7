"""Freed memory stays with the process; tested in a child, because it cannot be undone."""

from __future__ import annotations

import platform
import subprocess
import sys

import pytest


def count_page_faults(kind: str) -> int:
    """Return the page faults while a block of 40 MiB is allocated, written and freed ten times."""
    code = """
import ctypes, resource, sys
from quintain.run.measure.allocator import keep_freed_memory
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
    result = subprocess.run(
        [sys.executable, "-c", code, kind], capture_output=True, text=True, check=True
    )
    return int(result.stdout)


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="needs glibc")
def test_a_freed_block_is_reused() -> None:
    default, kept = count_page_faults("default"), count_page_faults("kept")
    assert default > 0
    assert kept < default / 3
