"""Where a search keeps its trials: Optuna's journal, one file that several processes append to.

No torch here: the process that leads a search imports it as well as each trial's run. Optuna is
imported where it is used, since it is an extra.
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

WAIT = 30.0  # seconds; the lock is held for one line


class _Lock:
    """Optuna's own locks outlive a killed process by 30 s; the kernel takes this one back."""

    def __init__(self, file: Path) -> None:
        from filelock import FileLock

        self._lock = FileLock(file, timeout=WAIT)

    def acquire(self) -> bool:
        self._lock.acquire()
        return True

    def release(self) -> None:
        self._lock.release()


def open_journal(file: Path) -> JournalStorage:
    """The storage in a file; lines of JSON, no pickle."""
    import optuna
    from optuna.storages import JournalStorage
    from optuna.storages.journal import JournalFileBackend

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    lock = _Lock(file.with_suffix(".lock"))
    return JournalStorage(JournalFileBackend(str(file), lock_obj=cast(Any, lock)))


def make_pruner(name: str, startup: int, steps: int) -> BasePruner:
    """What ends a trial early; `startup` finished trials come before the first is ended."""
    from optuna.pruners import HyperbandPruner, MedianPruner, NopPruner

    if name == "median":
        return MedianPruner(n_startup_trials=startup)
    if name == "hyperband":
        return HyperbandPruner(min_resource=max(1, steps // 9), max_resource=steps)
    return NopPruner()


class Journal:
    """One trial's side of a study: tell validation scores, ask whether to go on.

    Args:
        trial: what the cell says: study, number, journal (a file), pruner, startup.
        steps: optimizer steps of a trial that is not ended early.
    """

    def __init__(self, trial: dict[str, Any], steps: int) -> None:
        import optuna
        from optuna.samplers import RandomSampler

        self._storage = open_journal(Path(trial["journal"]))
        self._study: Study = optuna.load_study(
            study_name=trial["study"],
            storage=self._storage,
            sampler=RandomSampler(),  # nothing is drawn here
            pruner=make_pruner(trial["pruner"], trial["startup"], steps),
        )
        study = self._storage.get_study_id_from_name(trial["study"])
        number = trial["number"]
        self._trial = self._storage.get_trial_id_from_study_id_trial_number(study, number)

    def tell(self, step: int, score: float) -> None:
        """Add a validation score; silent where another process has ended the trial meanwhile."""
        from optuna.exceptions import UpdateFinishedTrialError

        try:
            self._storage.set_trial_intermediate_value(self._trial, step, score)
        except UpdateFinishedTrialError:
            return

    def hopeless(self) -> bool:
        """Whether the scores so far are no match for those of earlier trials."""
        return bool(self._study.pruner.prune(self._study, self._storage.get_trial(self._trial)))


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """One process at a time decides about a study."""
    from filelock import FileLock

    with FileLock(folder / "study.lock", timeout=WAIT):
        yield
