"""Runs one search: samples the settings of trials, records their results, and finds the best.

Every change is made under the study's lock, so that several processes can share a search. A sample
depends only on the seed, the trial's number and the earlier trials. So with one trial at a time, an
interrupted search has the same result as an uninterrupted one.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from quintain.plan.cell import Cell
from quintain.records.filesystem import translate_os_errors
from quintain.records.schema import Record
from quintain.records.store import Store
from quintain.run.optuna_storage import lock_study, make_pruner, open_storage
from quintain.tuning.search_space import Dimension
from quintain.tuning.studies import Study

if TYPE_CHECKING:
    from optuna.samplers import BaseSampler
    from optuna.trial import FrozenTrial, Trial

STEPS, REASON, VALUES = "steps", "reason", "values"  # user attributes of a trial in the journal
SEED_STRIDE = 100_003  # so that trials of searches with different seeds have different seeds


class Search:
    """A study with its journal; both the journal and the trials' records are in `store`.

    tune/<study>/journal.log        Optuna's journal
    tune/records/, logs/, claims/   records of the trials of all studies, which are never ranked

    Raises:
        StoreError: the folder cannot be written.
    """

    def __init__(self, study: Study, store: Path) -> None:
        import optuna

        self.study = study
        self.store = trial_store(store)
        self._folder = self.store.path / study.name
        # Key of a running cell → numbers of its trials; trials with equal settings share a cell.
        self.running: dict[str, list[int]] = {}
        self._journal = (self._folder / "journal.log").resolve()
        with translate_os_errors(self._folder):
            self._folder.mkdir(parents=True, exist_ok=True)
            with lock_study(self._folder):
                self._storage = open_storage(self._journal)
                self._optuna_study = optuna.create_study(
                    study_name=study.name,
                    storage=self._storage,
                    direction="maximize" if study.direction == "max" else "minimize",
                    load_if_exists=True,
                    pruner=make_pruner(*self._pruner_arguments()),
                )

    @property
    def num_trials(self) -> int:
        """Number of trials of the whole search."""
        return int(self.study.search["trials"])

    def trials(self) -> list[FrozenTrial]:
        """Return the first `num_trials` trials that have started; an earlier run may have more."""
        trials = self._optuna_study.get_trials(deepcopy=False)[: self.num_trials]
        return [trial for trial in trials if trial.state.name != "WAITING"]

    def finished_trials(self) -> list[FrozenTrial]:
        """Return the trials that are complete, pruned or failed."""
        return [trial for trial in self.trials() if trial.state.is_finished()]

    def is_finished(self) -> bool:
        """Whether all trials are finished, in this process or another."""
        return len(self.finished_trials()) == self.num_trials

    def values(self, number: int) -> dict[str, Any]:
        """Return the settings of a trial."""
        return dict(self._trial(number).user_attrs[VALUES])

    def _trial(self, number: int) -> FrozenTrial:
        return self._optuna_study.get_trials(deepcopy=False)[number]

    def next_cell(self) -> Cell | None:
        """Return the cell of an abandoned trial, or else of a new trial; None if all have started.

        A trial is abandoned if the process that started it has ended.
        """
        with translate_os_errors(self._folder), lock_study(self._folder):
            trials = self.trials()
            if (cell := self._continue_abandoned(trials)) is not None:
                return cell
            return self._start_trial(len(trials)) if len(trials) < self.num_trials else None

    def _continue_abandoned(self, trials: list[FrozenTrial]) -> Cell | None:
        own = {number for numbers in self.running.values() for number in numbers}
        for trial in trials:
            if trial.state.is_finished() or trial.number in own:
                continue
            values = trial.user_attrs.get(VALUES) or self._sample_values(trial)
            cell = self._make_cell(values, trial.number)
            if (claim := self.store.claim(cell.key)) is None:
                continue  # it runs in another process
            claim.release()
            self.running.setdefault(cell.key, []).append(trial.number)
            return cell
        return None

    def _start_trial(self, number: int) -> Cell:
        if number == 0 and (values := self.study.default_values()):
            self._optuna_study.enqueue_trial(values, skip_if_exists=True)
        self._optuna_study.sampler = self._make_sampler(number)
        trial = self._optuna_study.ask()
        cell = self._make_cell(self._sample_values(trial), trial.number)
        self.running.setdefault(cell.key, []).append(trial.number)
        return cell

    def _sample_values(self, trial: Trial | FrozenTrial) -> dict[str, Any]:
        """Sample a trial's settings and store them; an abandoned trial may have some already."""
        from optuna.trial import Trial

        self._optuna_study.sampler = self._make_sampler(trial.number)
        if not isinstance(trial, Trial):
            trial = Trial(self._optuna_study, trial._trial_id)
        values = {d.name: d.round(_suggest(trial, d)) for d in self.study.space}
        trial.set_user_attr(VALUES, values)
        return values

    def _make_cell(self, values: Mapping[str, Any], number: int) -> Cell:
        name, startup, _ = self._pruner_arguments()
        trial = {"study": self.study.name, "number": number, "journal": str(self._journal)}
        return self.study.make_trial_cell(values, trial | {"pruner": name, "startup": startup})

    def _pruner_arguments(self) -> tuple[str, int, int]:
        search = self.study.search
        steps = int(self.study.compositions[0].config["budget"]["steps"])
        return search["pruner"], search["startup"], steps

    def _make_sampler(self, number: int) -> BaseSampler:
        """Return a new sampler for one trial, so that its seed depends only on the number."""
        from optuna.samplers import RandomSampler, TPESampler

        search = self.study.search
        seed = search["seed"] * SEED_STRIDE + number
        if search["sampler"] == "random":
            return RandomSampler(seed=seed)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Optuna calls constant_liar experimental
            return TPESampler(n_startup_trials=search["startup"], constant_liar=True, seed=seed)

    def record_result(self, cell: Cell, message: str, step: int) -> list[tuple[int, str]]:
        """Store the result of the trials of a cell that has ended.

        For a cell without a record, `message` says why, and `step` is the last step that it
        reported. Return number and description of each trial.
        """
        record = self.store.read(cell.key)
        results = []
        with translate_os_errors(self._folder), lock_study(self._folder):
            for number in self.running.pop(cell.key, []):
                trial = self._trial(number)
                if not trial.state.is_finished():
                    results.append((number, self._finish_trial(trial, record, message, step)))
        return results

    def _finish_trial(
        self, trial: FrozenTrial, record: Record | None, message: str, step: int
    ) -> str:
        from optuna.trial import TrialState

        if record is None or record.quality is None or record.cost is None:
            return self._fail_trial(trial, _failure_reason(record) or message, step)
        metric, steps = record.quality.main, record.cost.steps or 0
        value = record.quality.scores[metric].val
        if value is None:
            return self._fail_trial(trial, f"{metric} is not a number", steps)
        # The run reported its curve only to the trial that started it, but a cell may have several.
        for point in record.quality.curve:
            score = point.val[metric]
            if point.step not in trial.intermediate_values and score is not None:
                self._storage.set_trial_intermediate_value(trial._trial_id, point.step, score)
        self._set_attribute(trial, STEPS, steps)
        description = f"{metric} {value:.4g}"
        if record.trial is not None and record.trial.pruned:
            self._optuna_study.tell(trial.number, state=TrialState.PRUNED)
            return f"{description}, pruned at step {record.cost.steps}"
        self._optuna_study.tell(trial.number, value)
        return description

    def _fail_trial(self, trial: FrozenTrial, reason: str, step: int) -> str:
        from optuna.trial import TrialState

        self._set_attribute(trial, REASON, reason)
        self._set_attribute(trial, STEPS, step)
        self._optuna_study.tell(trial.number, state=TrialState.FAIL)
        return f"failed: {reason}"

    def _set_attribute(self, trial: FrozenTrial, name: str, value: object) -> None:
        self._storage.set_trial_user_attr(trial._trial_id, name, value)

    def best_trial(self) -> FrozenTrial | None:
        """Return the best complete trial, or None; of equal trials, the one with lowest number."""
        scored = [t for t in self.trials() if t.state.name == "COMPLETE" and t.value is not None]
        sign = -1 if self.study.direction == "max" else 1
        return min(scored, key=lambda t: (sign * (t.value or 0.0), t.number), default=None)

    def explain_failure(self) -> str:
        """Return a message for a search without a best trial."""
        reasons = [t.user_attrs.get(REASON, "") for t in self.trials() if t.state.name == "FAIL"]
        first = next((line for line in (reasons or [""])[0].splitlines() if line.strip()), "")
        return f"all {self.num_trials} trials failed; the first: {first}"

    def summarize(self, best: FrozenTrial) -> dict[str, Any]:
        """Return the fields of `records.schema.TuningResult`."""
        trials, search = self.finished_trials(), self.study.search
        states = [trial.state.name for trial in trials]
        return {
            "study": self.study.name,
            "trials": len(trials),
            "pruned": states.count("PRUNED"),
            "failed": states.count("FAIL"),
            "steps": sum(int(trial.user_attrs.get(STEPS, 0)) for trial in trials),
            "space": self.study.plain_space(),
            "sampler": search["sampler"],
            "pruner": search["pruner"],
            "seed": search["seed"],
            "metric": self.study.metric,
            "best": best.user_attrs[VALUES],
            "best_value": best.value,
            "best_trial": best.number,
        }


def trial_store(store: Path) -> Store:
    """Return the store of trials in the folder `tune` of a store; it is a separate store."""
    return Store(store / "tune")


def _suggest(trial: Trial, dimension: Dimension) -> Any:
    name, low, high = dimension.name, dimension.low, dimension.high
    if dimension.choices:
        return trial.suggest_categorical(name, dimension.choices)
    if dimension.is_int:
        return trial.suggest_int(name, int(low), int(high), log=dimension.log)
    return trial.suggest_float(name, low, high, log=dimension.log)


def _failure_reason(record: Record | None) -> str:
    if record is None:
        return ""
    if record.error is not None:
        return f"{record.error.kind}: {record.error.message}"
    return record.reason or ""
