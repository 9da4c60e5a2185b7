"""One study under way: draw settings, take in how their trials ended, say which was best.

All decisions are made under the study's lock, so that several processes can share it. Draws depend
on the seed, the trial's number and the trials before it alone: where one trial runs at a time, an
interrupted search ends as one that was not.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from quintain.compose.cells import Cell
from quintain.compose.space import Dimension
from quintain.compose.studies import Study
from quintain.records import faults
from quintain.records.schema import Record
from quintain.records.store import Store
from quintain.run.journal import locked, make_pruner, open_journal

if TYPE_CHECKING:
    from optuna.samplers import BaseSampler
    from optuna.trial import FrozenTrial, Trial

STEPS, WHY, VALUES = "steps", "why", "values"  # what a trial is told besides its score
SPREAD = 100_003  # between the seeds of two searches: more than a search has trials


class Search:
    """A study with its journal, and a store for trials alone, below the store.

    tune/<study>/journal.log        Optuna's journal
    tune/records/, logs/, claims/   of the trials of all studies: a store that nobody ranks

    Raises:
        StoreError: the folder cannot be written.
    """

    def __init__(self, study: Study, store: Path) -> None:
        import optuna

        self.study = study
        self.store = trial_store(store)
        self._folder = self.store.path / study.name
        self.mine: dict[str, list[int]] = {}  # key of a cell under way → numbers of its trials
        self._file = (self._folder / "journal.log").resolve()
        with faults.explained(self._folder):
            self._folder.mkdir(parents=True, exist_ok=True)
            with locked(self._folder):
                self._storage = open_journal(self._file)
                self._optuna = optuna.create_study(
                    study_name=study.name,
                    storage=self._storage,
                    direction="maximize" if study.direction == "max" else "minimize",
                    load_if_exists=True,
                    pruner=make_pruner(*self._pruner()),
                )

    @property
    def asked(self) -> int:
        """Number of trials that are wanted."""
        return int(self.study.search["trials"])

    def trials(self) -> list[FrozenTrial]:
        """Those that count and have begun: the first so many, however many there are."""
        trials = self._optuna.get_trials(deepcopy=False)[: self.asked]
        return [trial for trial in trials if trial.state.name != "WAITING"]

    def finished(self) -> list[FrozenTrial]:
        """Those that have ended: with a score, early, or in failure."""
        return [trial for trial in self.trials() if trial.state.is_finished()]

    def done(self) -> bool:
        """Whether all trials have ended, wherever they ran."""
        return len(self.finished()) == self.asked

    def values(self, number: int) -> dict[str, Any]:
        """The settings of a trial."""
        values: dict[str, Any] = self._optuna.get_trials(deepcopy=False)[number].user_attrs[VALUES]
        return values

    def next_cell(self) -> Cell | None:
        """The cell of a new trial, or of one that a process left behind when it ended."""
        with faults.explained(self._folder), locked(self._folder):
            trials = self.trials()
            return self._left(trials) or (self._new(len(trials)) if self._room(trials) else None)

    def _room(self, trials: list[FrozenTrial]) -> bool:
        return len(trials) < self.asked

    def _left(self, trials: list[FrozenTrial]) -> Cell | None:
        busy = {number for numbers in self.mine.values() for number in numbers}
        for trial in trials:
            if trial.state.is_finished() or trial.number in busy:
                continue
            cell = self._cell(trial.user_attrs.get(VALUES) or self._draw(trial), trial.number)
            if (claim := self.store.claim(cell.key)) is None:
                continue  # it runs elsewhere
            claim.release()
            self.mine.setdefault(cell.key, []).append(trial.number)
            return cell
        return None

    def _new(self, number: int) -> Cell:
        if number == 0 and (first := self.study.first()):
            self._optuna.enqueue_trial(first, skip_if_exists=True)
        self._optuna.sampler = self._sampler(number)
        trial = self._optuna.ask()
        cell = self._cell(self._draw(trial), trial.number)
        self.mine.setdefault(cell.key, []).append(trial.number)
        return cell

    def _draw(self, begun: Trial | FrozenTrial) -> dict[str, Any]:
        """A trial's settings, noted in it; of one that was left half-drawn the rest too."""
        from optuna.trial import Trial

        self._optuna.sampler = self._sampler(begun.number)
        trial = begun if isinstance(begun, Trial) else Trial(self._optuna, begun._trial_id)
        values = {d.name: d.tidy(_drawn(trial, d)) for d in self.study.space}
        trial.set_user_attr(VALUES, values)
        return values

    def _cell(self, values: Mapping[str, Any], number: int) -> Cell:
        name, startup, _ = self._pruner()
        trial = {"study": self.study.name, "number": number, "journal": str(self._file)}
        return self.study.trial_cell(values, trial | {"pruner": name, "startup": startup})

    def _pruner(self) -> tuple[str, int, int]:
        search = self.study.search
        steps = int(self.study.seeds[0].config["budget"]["steps"])
        return search["pruner"], search["startup"], steps

    def _sampler(self, number: int) -> BaseSampler:
        """A new one for each trial: what is drawn must not depend on what this process drew."""
        from optuna.samplers import RandomSampler, TPESampler

        search = self.study.search
        seed = search["seed"] * SPREAD + number
        if search["sampler"] == "random":
            return RandomSampler(seed=seed)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Optuna calls the liar experimental
            return TPESampler(n_startup_trials=search["startup"], constant_liar=True, seed=seed)

    def take(self, cell: Cell, sentence: str, step: int) -> list[tuple[int, str]]:
        """Note how a cell's trials ended, by its record: number and what to say of each.

        Args:
            cell: that has ended.
            sentence: why, where it left no record.
            step: the last that was heard of, for a trial that failed.
        """
        record = self.store.read(cell.key)
        told = []
        with faults.explained(self._folder), locked(self._folder):
            for number in self.mine.pop(cell.key, []):
                trial = self._optuna.get_trials(deepcopy=False)[number]
                if not trial.state.is_finished():
                    told.append((number, self._end(trial, record, sentence, step)))
        return told

    def _end(self, trial: FrozenTrial, record: Record | None, sentence: str, step: int) -> str:
        from optuna.trial import TrialState

        if record is None or record.quality is None or record.cost is None:
            return self._fail(trial, _why(record) or sentence, step)
        score = record.quality.scores[record.quality.main]
        if score.val is None:
            return self._fail(trial, f"{record.quality.main} is no number", record.cost.steps or 0)
        for point in record.quality.curve:  # of a cell that has run before, for an earlier trial
            value = point.val[record.quality.main]
            if point.step not in trial.intermediate_values and value is not None:
                self._storage.set_trial_intermediate_value(trial._trial_id, point.step, value)
        self._note(trial, STEPS, record.cost.steps or 0)
        words = f"{record.quality.main} {score.val:.4g}"
        if record.trial is not None and record.trial.pruned:
            self._optuna.tell(trial.number, state=TrialState.PRUNED)
            return f"{words}, ended early at step {record.cost.steps}"
        self._optuna.tell(trial.number, score.val)
        return words

    def _fail(self, trial: FrozenTrial, why: str, step: int) -> str:
        from optuna.trial import TrialState

        self._note(trial, WHY, why)
        self._note(trial, STEPS, step)
        self._optuna.tell(trial.number, state=TrialState.FAIL)
        return f"failed: {why}"

    def _note(self, trial: FrozenTrial, name: str, value: object) -> None:
        self._storage.set_trial_user_attr(trial._trial_id, name, value)

    def best(self) -> FrozenTrial | None:
        """The best of those that were trained to the end, the first of equals; None: none was."""
        scored = [t for t in self.trials() if t.state.name == "COMPLETE" and t.value is not None]
        sign = -1 if self.study.direction == "max" else 1
        return min(scored, key=lambda t: (sign * (t.value or 0.0), t.number), default=None)

    def why_none(self) -> str:
        """One sentence for a search without a best trial."""
        reasons = [t.user_attrs.get(WHY, "") for t in self.trials() if t.state.name == "FAIL"]
        first = next((line for line in (reasons or [""])[0].splitlines() if line.strip()), "")
        return f"all {self.asked} trials failed; the first: {first}"

    def tuned(self, best: FrozenTrial) -> dict[str, Any]:
        """What the records of the best setting say of the search."""
        trials, search = self.finished(), self.study.search
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
    """Where the records of trials lie: below a store of results, and no part of it."""
    return Store(store / "tune")


def _drawn(trial: Trial, dimension: Dimension) -> Any:
    name, low, high = dimension.name, dimension.low, dimension.high
    if dimension.choices:
        return trial.suggest_categorical(name, dimension.choices)
    if dimension.whole:
        return trial.suggest_int(name, int(low), int(high), log=dimension.log)
    return trial.suggest_float(name, low, high, log=dimension.log)


def _why(record: Record | None) -> str:
    if record is None:
        return ""
    if record.error is not None:
        return f"{record.error.kind}: {record.error.message}"
    return record.reason or ""
