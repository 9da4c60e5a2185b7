"""The contract tests that plugin authors run too: `quintain check`, or from their own pytest."""

from quintain.testing.dataset_checks import DATASET_CHECKS, Case
from quintain.testing.model_checks import MODEL_CHECKS
from quintain.testing.specs import EXAMPLE_SPECS, ExampleDataset, fake_batch
from quintain.testing.wiring import Wired, build

__all__ = [
    "DATASET_CHECKS",
    "EXAMPLE_SPECS",
    "MODEL_CHECKS",
    "Case",
    "ExampleDataset",
    "Wired",
    "build",
    "fake_batch",
]
