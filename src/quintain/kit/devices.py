"""Which NVIDIA GPUs a machine shows, asked of the driver: planning imports no torch."""

from __future__ import annotations

import ctypes

NO_DRIVER = "this machine has no NVIDIA driver (libcuda.so.1)"


def cuda_devices(library: str = "libcuda.so.1") -> list[str] | str:
    """Names of the devices that the driver shows (CUDA_VISIBLE_DEVICES chooses), or why none."""
    try:
        driver = ctypes.CDLL(library)
    except OSError:
        return NO_DRIVER
    count = ctypes.c_int(0)
    if driver.cuInit(0) or driver.cuDeviceGetCount(ctypes.byref(count)) or count.value < 1:
        return "the driver is here but shows no device"
    return [_name(driver, index) for index in range(count.value)]


def missing_gpus(asked: int, found: list[str] | str | None = None) -> str | None:
    """None where so many GPUs are there, else what was asked and what is there.

    Args:
        asked: number of GPUs.
        found: what `cuda_devices` gives; None: ask it.
    """
    found = cuda_devices() if found is None else found
    want = "an NVIDIA GPU" if asked == 1 else f"{asked} NVIDIA GPUs"
    if isinstance(found, str):
        return f"needs {want}; {found}"
    if len(found) < asked:
        names = ", ".join(f"cuda:{index} {name}" for index, name in enumerate(found))
        return f"needs {want}; this machine shows {len(found)}: {names}"
    return None


def _name(driver: ctypes.CDLL, index: int) -> str:
    device = ctypes.c_int(0)
    text = ctypes.create_string_buffer(100)
    if driver.cuDeviceGet(ctypes.byref(device), index) or driver.cuDeviceGetName(
        text, len(text), device
    ):
        return "of unknown name"
    return text.value.decode(errors="replace")
