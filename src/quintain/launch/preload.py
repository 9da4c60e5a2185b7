"""What the fork server imports once, so that a run starts in tenths of a second.

Imports only: a tensor operation before the fork would start threads that do not survive it.
"""

import pytorch_lightning
import torch
import torchaudio
import torchmetrics

import quintain.kit.dataset
import quintain.run.execute

__all__ = ["pytorch_lightning", "quintain", "torch", "torchaudio", "torchmetrics"]
