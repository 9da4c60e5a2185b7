"""Contract tests for plugins: `quintain check` runs them, and a package's own tests may too."""

from quintain.testing.dataset_checks import DATASET_CHECKS, Case
from quintain.testing.model_building import build_from_classes, build_seeded
from quintain.testing.model_checks import MODEL_CHECKS
from quintain.testing.specs import EXAMPLE_SPECS, ExampleDataset, fake_batch

__all__ = [
    "DATASET_CHECKS",
    "EXAMPLE_SPECS",
    "MODEL_CHECKS",
    "Case",
    "ExampleDataset",
    "build_from_classes",
    "build_seeded",
    "fake_batch",
]
