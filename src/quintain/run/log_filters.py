"""Suppresses known, harmless messages of Lightning and torch during a run."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

LOGGERS = ("pytorch_lightning", "lightning_fabric", "lightning.pytorch", "lightning.fabric")
HARMLESS = (
    r".*`isinstance\(treespec, LeafSpec\)`",  # Lightning 2.6 with torch 2.11
    r"TF32 acceleration on top of oneDNN",  # mkldnn.flags on a CPU
    r".*does not have many workers",  # data are in memory and indexed by batch
    r"The `srun` command is available",  # a run in a Slurm job starts its own ranks
    r"It is recommended to use `self.log",  # logged scores are already those of all ranks
)


@contextmanager
def filter_logs() -> Iterator[None]:
    """Hide Lightning's messages below errors, and `HARMLESS` warnings."""
    loggers = [logging.getLogger(name) for name in LOGGERS]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            _ignore_harmless()
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)


@contextmanager
def collect_warnings(part: str) -> Iterator[list[str]]:
    """Yield a list to which the texts of warnings with `part` are added when the block ends.

    All other warnings are shown then, each text once.
    """
    matches: list[str] = []
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        _ignore_harmless()
        yield matches
    matches += [str(w.message) for w in caught if part in str(w.message)]
    rest = {str(w.message): w for w in caught if part not in str(w.message)}
    for warning in rest.values():
        warnings.warn_explicit(warning.message, warning.category, warning.filename, warning.lineno)


def _ignore_harmless() -> None:
    for message in HARMLESS:
        warnings.filterwarnings("ignore", message=message)
