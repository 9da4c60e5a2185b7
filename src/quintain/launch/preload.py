"""What the fork server imports once, so that a run starts in tenths of a second.

Imports only: a tensor operation before the fork would start threads that do not survive it.
Data libraries too: scikit-learn and statsmodels take half a second, in every run otherwise.
"""

import atexit
import os

import pytorch_lightning
import scipy.ndimage
import sklearn.datasets
import sklearn.linear_model
import soundfile
import statsmodels.datasets
import torch
import torchaudio
import torchmetrics.classification

import quintain.kit.dataset
import quintain.kit.files.download
import quintain.kit.references.simple
import quintain.run.execute

__all__ = ["pytorch_lightning", "quintain", "scipy", "sklearn", "soundfile", "statsmodels", "torch"]
__all__ += ["torchaudio", "torchmetrics"]

# Clearing all this away takes seconds, and a server whose sweep was killed has nothing to do.
atexit.register(os._exit, 0)
