"""A log that holds what matters: known noise of Lightning and torch is left out of a run."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

LOGGERS = ("pytorch_lightning", "lightning_fabric", "lightning.pytorch", "lightning.fabric")
NOISE = (
    r".*`isinstance\(treespec, LeafSpec\)`",  # Lightning 2.6 with torch 2.11
    r"TF32 acceleration on top of oneDNN",  # mkldnn.flags on a CPU
    r".*does not have many workers",  # data is in memory and indexed by batch
    r"The `srun` command is available",  # a run under Slurm starts its own ranks
)


@contextmanager
def quiet() -> Iterator[None]:
    """Lightning's remarks (errors stay) and the warnings of `NOISE` are not shown."""
    loggers = [logging.getLogger(name) for name in LOGGERS]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            _ignore_noise()
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)


@contextmanager
def collecting(word: str) -> Iterator[list[str]]:
    """Collects the warnings that hold `word`; the others are shown at the end, each text once."""
    found: list[str] = []
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        _ignore_noise()
        yield found
    found += [str(w.message) for w in caught if word in str(w.message)]
    others = {str(w.message): w for w in caught if word not in str(w.message)}
    for one in others.values():
        warnings.warn_explicit(one.message, one.category, one.filename, one.lineno)


def _ignore_noise() -> None:
    for message in NOISE:
        warnings.filterwarnings("ignore", message=message)
