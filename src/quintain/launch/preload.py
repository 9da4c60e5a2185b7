"""What the fork server imports once, so that a run starts in tenths of a second.

Imports only: a tensor operation before the fork would start threads that do not survive it.
Data libraries too: scikit-learn and statsmodels take half a second, in every run otherwise.
Whatever every run would import or look up by itself belongs here; a test counts what is left.
"""

import atexit
import functools
import gc
import importlib.metadata
import os

import lightning_fabric.utilities.registry
import PIL.PngImagePlugin
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

import quintain.compose.thaw
import quintain.kit.dataset
import quintain.kit.files.download
import quintain.kit.heads
import quintain.kit.media.pixels
import quintain.kit.media.voice
import quintain.kit.meters
import quintain.kit.references.simple
import quintain.kit.references.text
import quintain.kit.scale
import quintain.kit.stem
import quintain.kit.strata
import quintain.kit.windows
import quintain.launch.worker
import quintain.records.store
import quintain.run.allocator
import quintain.run.attempt
import quintain.run.execute
import quintain.run.heartbeat
import quintain.run.machine

__all__ = ["PIL", "pytorch_lightning", "quintain", "scipy", "sklearn", "soundfile", "statsmodels"]
__all__ += ["torch", "torchaudio", "torchmetrics"]


def look_up() -> None:
    """What is read from the files of installed packages, and stays the same while a sweep runs.

    Every Trainer asks all packages whether they have callbacks for it: 16 ms each time.
    """
    remembered = functools.cache(importlib.metadata.entry_points)
    setattr(lightning_fabric.utilities.registry, "entry_points", remembered)  # noqa: B010
    remembered(group="pytorch_lightning.callbacks_factory")
    pytorch_lightning.accelerators.XLAAccelerator.is_available()
    torchmetrics.MeanMetric()  # one number, no operation
    quintain.run.machine.versions()


look_up()
gc.freeze()  # a run's garbage collector need not look at all this, and copy its pages for it

# Clearing all this away takes seconds, and a server whose sweep was killed has nothing to do.
atexit.register(os._exit, 0)
