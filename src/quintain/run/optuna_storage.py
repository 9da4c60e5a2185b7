"""Stores the trials of a search in Optuna's journal, a file to which several processes append.

It imports no torch, because the main process of a search uses it too. Optuna is an optional
dependency, so its imports are deferred.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
    from optuna.pruners import BasePruner
    from optuna.storages import JournalStorage
    from optuna.study import Study

LOCK_TIMEOUT = 30.0  # seconds; the lock is held while one line is written


class _FileLock:
    """A lock that the kernel releases when its process ends; Optuna's locks expire 30 s later."""

    def __init__(self, file: Path) -> None:
        from filelock import FileLock

        self._lock = FileLock(file, timeout=LOCK_TIMEOUT)

    def acquire(self) -> bool:
        self._lock.acquire()
        return True

    def release(self) -> None:
        self._lock.release()


def open_storage(file: Path) -> JournalStorage:
    """Return the storage in a file of JSON lines."""
    import optuna
    from optuna.storages import JournalStorage
    from optuna.storages.journal import JournalFileBackend

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    lock = _FileLock(file.with_suffix(".lock"))
    return JournalStorage(JournalFileBackend(str(file), lock_obj=cast(Any, lock)))


def make_pruner(name: str, startup: int, steps: int) -> BasePruner:
    """Return the pruner "median" or "hyperband"; with any other name no trial is pruned.

    `startup` is the number of trials that must finish before the median pruner stops one. A trial
    that is not pruned has `steps` optimizer steps; hyperband tests it after a ninth of them first.
    """
    from optuna.pruners import HyperbandPruner, MedianPruner, NopPruner

    if name == "median":
        return MedianPruner(n_startup_trials=startup)
    if name == "hyperband":
        return HyperbandPruner(min_resource=max(1, steps // 9), max_resource=steps)
    return NopPruner()


class TrialJournal:
    """One trial in its study's storage.

    Args:
        trial: `Cell.trial` with the keys study, number, journal (a file), pruner and startup.
        steps: optimizer steps of a trial that is not pruned.
    """

    def __init__(self, trial: dict[str, Any], steps: int) -> None:
        import optuna
        from optuna.samplers import RandomSampler

        self._storage = open_storage(Path(trial["journal"]))
        self._study: Study = optuna.load_study(
            study_name=trial["study"],
            storage=self._storage,
            sampler=RandomSampler(),  # not used: the search has already sampled the settings
            pruner=make_pruner(trial["pruner"], trial["startup"], steps),
        )
        study_id = self._storage.get_study_id_from_name(trial["study"])
        number = trial["number"]
        self._trial_id = self._storage.get_trial_id_from_study_id_trial_number(study_id, number)

    def report(self, step: int, score: float) -> None:
        """Add a validation score, unless another process has ended the trial in the meantime."""
        from optuna.exceptions import UpdateFinishedTrialError

        try:
            self._storage.set_trial_intermediate_value(self._trial_id, step, score)
        except UpdateFinishedTrialError:
            return

    def should_prune(self) -> bool:
        """Return whether the scores so far are too low in comparison with earlier trials."""
        trial = self._storage.get_trial(self._trial_id)
        return bool(self._study.pruner.prune(self._study, trial))


@contextmanager
def lock_study(folder: Path) -> Iterator[None]:
    """Hold the lock of a study's folder, so that one process at a time changes it."""
    from filelock import FileLock

    with FileLock(folder / "study.lock", timeout=LOCK_TIMEOUT):
        yield
