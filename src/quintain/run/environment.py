"""The environment variables of a run: those that would change its result are removed.

Only what is in a cell's key may decide its result. A variable that changes what PyTorch, Lightning
or a numerical library computes is in no key, so a run does not see it. Variables that choose
devices, folders, logs, memory or the placement of threads stay.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

THREADS = {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
"""Threads of numerical libraries when torch is imported; a run sets torch's to
`hardware.threads`."""

PARENT_VARIABLE = "QUINTAIN_PARENT"
"""Holds the process id of the parent, for a process that must not outlive it."""
RUN_VARIABLE = "QUINTAIN_RUN"
"""Holds the process id of a run, for all programs that the run starts."""
_CHANGES_RESULTS = re.compile(
    "(PL_TRAINER|TORCH|TORCHDYNAMO|TORCHINDUCTOR|PYTORCH|AOT_INDUCTOR|ATEN|DNNL|ONEDNN|MKL|OMP|KMP"
    "|OPENBLAS|GOTO|BLIS|VECLIB|NPY|NUMPY|SCIPY|CUBLAS|CUBLASLT|CUDNN|TRITON)_.*"
    "|NVIDIA_TF32_OVERRIDE|DISABLE_ADDMM_CUDA_LT"
)
_STAYS = re.compile(
    "TORCH_(HOME|HUB|EXTENSIONS_DIR|LOGS.*|TRACE|CPP_LOG_LEVEL|SHOW_.*|NCCL_.*|GLOO_.*|FR_.*"
    "|DISTRIBUTED_DEBUG|CUDA_ARCH_LIST)"
    "|PYTORCH_((CUDA_|HIP_)?ALLOC_CONF|NVML_BASED_CUDA_CHECK|KERNEL_CACHE_PATH|ENABLE_MPS_FALLBACK"
    "|MPS_(HIGH|LOW)_WATERMARK_RATIO)"
    "|TORCHINDUCTOR_(CACHE_DIR|COMPILE_THREADS)|TRITON_(CACHE|HOME|PTXAS).*"
    "|MKL_(THREADING_LAYER|SERVICE_FORCE_INTEL|VERBOSE.*)"
    "|OMP_(PROC_BIND|PLACES|WAIT_POLICY|DISPLAY.*)"
    "|KMP_(AFFINITY|BLOCKTIME|DUPLICATE_LIB_OK|INIT_AT_FORK)"
    "|(CUBLAS|CUBLASLT|CUDNN)_?LOG.*|CUBLAS_WORKSPACE_CONFIG"  # Lightning sets the last one
)


def list_ignored_variables(environment: Mapping[str, str] = os.environ) -> list[str]:
    """Return the names of variables that runs do not see, sorted."""
    return sorted(
        name
        for name, value in environment.items()
        if _CHANGES_RESULTS.fullmatch(name)
        and not _STAYS.fullmatch(name)
        and THREADS.get(name) != value
    )


def make_run_environment(environment: Mapping[str, str] = os.environ) -> dict[str, str]:
    """Return the environment of a run's process, which has not imported torch yet."""
    ignored = {*list_ignored_variables(environment)}
    return {k: v for k, v in environment.items() if k not in ignored} | THREADS


@contextmanager
def run_environment(variables: Mapping[str, str]) -> Iterator[None]:
    """Set this process's environment to that of a run until the `with` block ends.

    `variables` are added to it.
    """
    before = dict(os.environ)
    _replace_environment(make_run_environment(before) | {**variables})
    try:
        yield
    finally:
        _replace_environment(before)


def set_run_environment() -> None:
    """Set this process's environment to that of a run; to be called before torch is imported."""
    _replace_environment(make_run_environment())


def mark_environment() -> None:
    """Mark the environment of this run, so that the programs that it starts can be found."""
    os.environ[RUN_VARIABLE] = str(os.getpid())


def _replace_environment(variables: Mapping[str, str]) -> None:
    for name in [name for name in os.environ if name not in variables]:
        del os.environ[name]
    os.environ.update(variables)
