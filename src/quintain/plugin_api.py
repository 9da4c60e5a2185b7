"""Everything that plugin authors import, in one place.

    from quintain.plugin_api import Batch, DataSpec, InMemory, Split

* Contracts, which `quintain.contracts` explains: `Baseline`, `Batch`, `Core`, `DataSpec`,
  `Dataset`, `Direction`, `Features`, `Hardware`, `Head`, `InputLayout`, `Json`, `Lexicon`,
  `MakeCore`, `Meter`, `Modality`, `OutputMode`, `Predictor`, `RankPlacement`, `Score`, `Side`,
  `Split`, `Stem`, `Task`, `Unsupported`.
* `DataError`: raised if data is missing or unusable.
* Datasets: the base classes `InMemory`, which loads whole splits as tensors, and `OnDisk`, which
  reads the file of each `Item`. `StandardScaler` standardises, `forecast_windows` cuts windows of a
  series, `stratified_order` shuffles for stratified splits. `RemoteFile`, `data_folder`, `fetch`,
  `fetch_tar_folder` and `fetch_zip_folder` download files. `Problems` collects the problems of user
  files and raises them as one `DataError`.
* Models and stems: `mask_fill`, `length_mask`, `count_valid`, `masked_mean`, `last_valid` and
  `reverse_valid` handle padding. `layer_sizes` and `hidden_sizes` turn `width` into layer sizes.
  `check_at_least_one` and `check_modality` check settings.
* Heads: `check_task`; `Summary`, a module that returns mean and last step of a sequence; the
  metrics `BitsPerCharacter`, `ChrF`, `ExactMatch`, `MeanCrossEntropy`, `Perplexity`, `R2`.
* Baselines for `Head.baselines`: `majority`, `linear_classifier`, `label_frequencies`,
  `linear_multilabel`, `nearest_multilabel`, `mean_target`, `linear_regression`, `nearest_mean`,
  `persistence`, `seasonal_naive`, `linear_forecast`, `unigram`,
  `linear_next_token`.
* Hardware: `missing_gpus`; the meters `HostMemory` and `AbsentMeter`; `cpu_meters` and
  `cuda_meters`, which return the usual meters of a device.

Each module is imported when one of its names is first used. So hardware plugins, which are loaded
while a sweep is planned, do not import torch.
"""

# ruff: noqa: F403, F405

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from quintain.baselines.classify import linear_classifier, majority
    from quintain.baselines.forecast import linear_forecast, persistence, seasonal_naive
    from quintain.baselines.multilabel import (
        label_frequencies,
        linear_multilabel,
        nearest_multilabel,
    )
    from quintain.baselines.next_token import linear_next_token, unigram
    from quintain.baselines.regress import linear_regression, mean_target, nearest_mean
    from quintain.contracts import *
    from quintain.data.base import InMemory
    from quintain.data.files.archives import fetch_tar_folder, fetch_zip_folder
    from quintain.data.files.download import RemoteFile, data_folder, fetch
    from quintain.data.files.problems import Problems
    from quintain.data.on_disk import Item, OnDisk
    from quintain.data.scaling import StandardScaler
    from quintain.data.stratified import stratified_order
    from quintain.data.windows import forecast_windows
    from quintain.errors import DataError
    from quintain.meters.cuda import cuda_meters
    from quintain.meters.cuda_driver import missing_gpus
    from quintain.meters.host import AbsentMeter, HostMemory, cpu_meters
    from quintain.metrics.corpus_scores import ChrF
    from quintain.metrics.regression_metrics import R2
    from quintain.metrics.text_metrics import ExactMatch
    from quintain.metrics.token_metrics import BitsPerCharacter, MeanCrossEntropy, Perplexity
    from quintain.nn.checks import check_at_least_one, check_modality, check_task
    from quintain.nn.mask import (
        count_valid,
        last_valid,
        length_mask,
        mask_fill,
        masked_mean,
        reverse_valid,
    )
    from quintain.nn.pooling import Summary
    from quintain.nn.widths import hidden_sizes, layer_sizes

__all__ = [
    "R2", "AbsentMeter", "Baseline", "Batch", "BitsPerCharacter", "ChrF", "Core", "DataError",
    "DataSpec", "Dataset", "Direction", "ExactMatch", "Features", "Hardware", "Head", "HostMemory",
    "InMemory", "InputLayout", "Item", "Json", "Lexicon", "MakeCore", "MeanCrossEntropy", "Meter",
    "Modality", "OnDisk", "OutputMode", "Perplexity", "Predictor", "Problems", "RankPlacement",
    "RemoteFile", "Score", "Side", "Split", "StandardScaler", "Stem", "Summary", "Task",
    "Unsupported", "check_at_least_one", "check_modality", "check_task", "count_valid",
    "cpu_meters", "cuda_meters", "data_folder", "fetch", "fetch_tar_folder", "fetch_zip_folder",
    "forecast_windows", "hidden_sizes", "label_frequencies", "last_valid", "layer_sizes",
    "length_mask", "linear_classifier", "linear_forecast", "linear_multilabel", "linear_next_token",
    "linear_regression", "majority", "mask_fill", "masked_mean", "mean_target", "missing_gpus",
    "nearest_mean", "nearest_multilabel", "persistence", "reverse_valid", "seasonal_naive",
    "stratified_order", "unigram",
]  # fmt: skip

_NAMES_BY_MODULE = {
    "baselines.classify": "linear_classifier majority",
    "baselines.forecast": "linear_forecast persistence seasonal_naive",
    "baselines.multilabel": "label_frequencies linear_multilabel nearest_multilabel",
    "baselines.next_token": "linear_next_token unigram",
    "baselines.regress": "linear_regression mean_target nearest_mean",
    "data.base": "InMemory",
    "data.files.archives": "fetch_tar_folder fetch_zip_folder",
    "data.files.download": "RemoteFile data_folder fetch",
    "data.files.problems": "Problems",
    "data.on_disk": "Item OnDisk",
    "data.scaling": "StandardScaler",
    "data.stratified": "stratified_order",
    "data.windows": "forecast_windows",
    "errors": "DataError",
    "meters.cuda": "cuda_meters",
    "meters.cuda_driver": "missing_gpus",
    "meters.host": "AbsentMeter HostMemory cpu_meters",
    "metrics.corpus_scores": "ChrF",
    "metrics.regression_metrics": "R2",
    "metrics.text_metrics": "ExactMatch",
    "metrics.token_metrics": "BitsPerCharacter MeanCrossEntropy Perplexity",
    "nn.checks": "check_at_least_one check_modality check_task",
    "nn.mask": "count_valid last_valid length_mask mask_fill masked_mean reverse_valid",
    "nn.pooling": "Summary",
    "nn.widths": "hidden_sizes layer_sizes",
}
_MODULES = {name: module for module, names in _NAMES_BY_MODULE.items() for name in names.split()}


def __getattr__(name: str) -> Any:
    """Import a name at its first use (PEP 562); all other names are those of the contracts."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"quintain.{_MODULES.get(name, 'contracts')}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return __all__
