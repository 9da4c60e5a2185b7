"""Imports of the fork server, done once so that a run starts in tenths of a second.

Everything that each run would import or look up belongs here; a test counts what a run still
imports. There must be no tensor operation: it would start threads, which do not survive a fork.
"""

import atexit
import functools
import gc
import importlib.metadata
import os

import lightning_fabric.utilities.registry
import PIL.PngImagePlugin
import psutil
import pytorch_lightning
import scipy.ndimage
import sklearn.datasets.data
import sklearn.datasets.descr
import sklearn.linear_model
import soundfile
import statsmodels.datasets
import torch
import torchaudio
import torchmetrics.classification

import quintain.baselines.classify
import quintain.baselines.forecast
import quintain.baselines.next_token
import quintain.data.audio.formant_synthesizer
import quintain.data.base
import quintain.data.files.download
import quintain.data.image.pixels
import quintain.data.scaling
import quintain.data.stratified
import quintain.data.text.token_windows
import quintain.data.windows
import quintain.launch.worker
import quintain.meters.host
import quintain.metrics.regression_metrics
import quintain.metrics.token_metrics
import quintain.nn.checks
import quintain.nn.pooling
import quintain.plan.cell_file
import quintain.plugin_api
import quintain.records.store
import quintain.run.heartbeat
import quintain.run.measure.allocator
import quintain.run.runner
import quintain.run.session
from quintain.launch.process_tree import kill_process_tree
from quintain.run.distributed.pdeathsig import set_death_signal
from quintain.run.measure.machine import read_package_versions

__all__ = ["PIL", "pytorch_lightning", "quintain", "scipy", "sklearn", "soundfile", "statsmodels"]
__all__ += ["torch", "torchaudio", "torchmetrics"]


def cache_package_metadata() -> None:
    """Cache the metadata of installed packages, which does not change during a sweep.

    Otherwise every Trainer searches all packages for callbacks, which takes 16 ms.
    """
    entry_points = functools.cache(importlib.metadata.entry_points)
    setattr(lightning_fabric.utilities.registry, "entry_points", entry_points)  # noqa: B010
    entry_points(group="pytorch_lightning.callbacks_factory")
    pytorch_lightning.accelerators.XLAAccelerator.is_available()
    torchmetrics.MeanMetric()  # creates a tensor without an operation
    read_package_versions()


cache_package_metadata()
# From now on the server notices by itself that the sweep has ended. If the kernel killed it, and
# so the runs, nothing would be left to end the processes that the runs have started.
set_death_signal(0)
gc.freeze()  # else the garbage collector of a run would write to, and so copy, all these pages


def end_with_runs() -> None:
    """End this process at once, with its runs and the programs that they have started.

    The kernel kills the runs when the server ends, perhaps before they have ended these programs.
    Normal cleanup would take seconds, and a server whose sweep was killed has nothing to save.
    """
    for run in psutil.Process().children():
        kill_process_tree(run.pid)
    os._exit(0)


atexit.register(end_with_runs)
