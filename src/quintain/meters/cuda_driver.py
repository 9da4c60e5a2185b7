"""List the NVIDIA GPUs of a machine without torch, which planning must not import."""

from __future__ import annotations

import ctypes

NO_DRIVER = "this machine has no NVIDIA driver (libcuda.so.1)"


def list_cuda_devices(library: str = "libcuda.so.1") -> list[str] | str:
    """Return the names of the visible GPUs, or the reason why there are none.

    The driver applies CUDA_VISIBLE_DEVICES.
    """
    try:
        driver = ctypes.CDLL(library)
    except OSError:
        return NO_DRIVER
    count = ctypes.c_int(0)
    if driver.cuInit(0) or driver.cuDeviceGetCount(ctypes.byref(count)) or count.value < 1:
        return "its driver lists no device (see CUDA_VISIBLE_DEVICES)"
    return [_read_device_name(driver, index) for index in range(count.value)]


def missing_gpus(needed: int, devices: list[str] | str | None = None) -> str | None:
    """Return None if the machine has enough GPUs, else the reason why a run cannot start.

    Args:
        needed: number of GPUs.
        devices: result of `list_cuda_devices`; None calls it.
    """
    devices = list_cuda_devices() if devices is None else devices
    gpus = "an NVIDIA GPU" if needed == 1 else f"{needed} NVIDIA GPUs"
    if isinstance(devices, str):
        return f"needs {gpus}; {devices}"
    if len(devices) < needed:
        names = ", ".join(f"cuda:{index} {name}" for index, name in enumerate(devices))
        return f"needs {gpus}; this machine has {len(devices)}: {names}"
    return None


def _read_device_name(driver: ctypes.CDLL, index: int) -> str:
    device = ctypes.c_int(0)
    text = ctypes.create_string_buffer(100)
    if driver.cuDeviceGet(ctypes.byref(device), index) or driver.cuDeviceGetName(
        text, len(text), device
    ):
        return "(unknown name)"
    return text.value.decode(errors="replace")
