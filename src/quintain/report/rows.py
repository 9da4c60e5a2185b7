"""The rows of a leaderboard: one configuration over its seeds, ranked within its table."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from quintain.contracts import Direction
from quintain.records.cost import Cost
from quintain.records.hardware_classes import HardwareClass, hardware_class, most_common_classes
from quintain.records.schema import DataDescription, Quality, Record, TrustCheck, TuningResult
from quintain.report.comparisons import group_by, group_comparisons, split_by_content
from quintain.report.configuration_labels import describe_variants, representative
from quintain.stats.intervals import mean_interval

_SHOWN_PARTS = ("stem", "head", "model", "optimizer", "hardware")
"""Config groups whose non-default settings a row shows; the title of the table shows the others."""
_SHOWN_PARTS_OF_BASELINES = ("stem", "head")
TIMING_CHECKS = ("input_bound", "other_process", "noise_floor", "throttled", "whole_batches")
"""Checks of times and costs; the other checks concern the result."""


@dataclass(frozen=True, kw_only=True)
class Row:
    """One configuration over its seeds, with the mean of its main score on the test split.

    `comparison` lists the settings of dataset and budget that are non-default or differ between the
    tables of the dataset, `variant` those of the other config groups that are non-default or differ
    between rows of the same names; `changed` holds all non-default settings (None if the records do
    not list them). Ranks are those within the table; equal means have equal ranks (1, 1, 3).
    `ci_low` and `ci_high` are the bounds of the 95 % interval of the mean (Student's t). Means are
    None where a seed has no value. `trust` holds the worst result of each check over the seeds.
    `beaten_by` is the best baseline with a mean that is at least as good ("" if there is none, and
    for baselines), `collapsed_seeds` the seeds that are far worse than the others, `data_notes` the
    remarks about the data in the records. For `letters` and the following fields see
    `stats.multiple_comparisons.RankSummary`.
    """

    dataset: str
    modality: str
    task: str
    generated: bool
    metric: str
    direction: Direction
    unit: str
    comparison: str
    rank: int | None  # None for baselines and missing means
    model: str
    hardware: str
    budget: str
    variant: str
    changed: dict[str, Any] | None
    baseline: bool
    mean: float | None
    ci_low: float | None
    ci_high: float | None
    n: int
    seeds: list[int]
    scores: list[float | None]  # in the order of `seeds`
    params: int | None
    params_asked: int | None
    train_seconds: float | None
    samples_per_second: float | None
    host: str  # machine on which the times were measured
    trust: dict[str, dict[str, Any]]
    group: str
    notes: list[str]  # about the seeds and about hyperparameter search
    data_notes: list[str]
    beaten_by: str = ""
    collapsed_seeds: list[int] = field(default_factory=list)
    letters: str = ""
    tie_group: int | None = None
    rank_low: int | None = None
    rank_high: int | None = None
    p_best: float | None = None

    @property
    def sign(self) -> int:
        """1 if more is better, -1 if less is better."""
        return 1 if self.direction == "max" else -1

    @property
    def is_winner(self) -> bool:
        """Whether it has rank 1 and no baseline is as good."""
        return self.rank == 1 and not self.beaten_by

    @property
    def has_rough_times(self) -> bool:
        """Whether a check of the times failed."""
        return bool(self.failed_checks(timing=True))

    def failed_checks(self, *, timing: bool) -> dict[str, str]:
        """Return failed check → note, of the checks of times or of all others."""
        return {
            name: check["note"]
            for name, check in self.trust.items()
            if check["ok"] is False and (name in TIMING_CHECKS) == timing
        }


def build_rows(groups: Sequence[list[Record]]) -> list[Row]:
    """Return one row per group of successful records, table by table, best first.

    A group whose seeds used different data gives several rows. A baseline has a row in every table
    on its data.
    """
    contents = [part for group in groups for part in split_by_content(group)]
    return [
        row
        for comparison, table in group_comparisons(contents)
        for row in _rank(_table_rows(comparison, table))
    ]


def table_key(row: Row) -> tuple[str, str, str, str]:
    """Return a key that is equal for the rows of one table."""
    return row.dataset, row.metric, row.direction, row.comparison


def is_default(row: Row) -> bool:
    """Return whether all settings that the row would show are known to be defaults."""
    shown = _SHOWN_PARTS_OF_BASELINES if row.baseline else _SHOWN_PARTS
    return row.changed is not None and not any(k.split(".")[0] in shown for k in row.changed)


def measurements(record: Record) -> tuple[DataDescription, Quality, Cost]:
    """Return data, quality and cost of a successful record, which always has them."""
    assert record.data and record.quality and record.cost  # the schema requires them
    return record.data, record.quality, record.cost


def host_name(record: Record) -> str:
    """Return the host name of the machine that the record was measured on."""
    return str(record.machine.get("host"))


def _table_rows(comparison: str, groups: Sequence[list[Record]]) -> list[Row]:
    """Build the rows of one table; all times of a hardware option are of one hardware class."""
    rows, classes = [], most_common_classes(record for group in groups for record in group)
    for group, variant in _with_variants(groups):
        timed, notes = _select_timed(group, classes[group[0].names.hardware])
        notes += _tuning_notes(group, groups)
        rows.append(_row(group, comparison, variant, timed, notes))
    return rows


def _with_variants(groups: Sequence[list[Record]]) -> list[tuple[list[Record], str]]:
    """Return each group with its `Row.variant`."""
    pairs = []
    for same_names in group_by(groups, _display_names).values():
        shown = _SHOWN_PARTS_OF_BASELINES if same_names[0][0].baseline else _SHOWN_PARTS
        labels = describe_variants([representative(group) for group in same_names], always=shown)
        pairs += list(zip(same_names, labels, strict=True))
    return pairs


def _display_names(group: list[Record]) -> tuple[str, str, str]:
    names = group[0].names
    return names.dataset, names.model, "" if group[0].baseline else names.hardware


def _row(
    group: list[Record], comparison: str, variant: str, timed: list[Record], notes: list[str]
) -> Row:
    first = group[0]
    data, quality, cost = measurements(first)
    score = quality.main_score
    interval = mean_interval(record.main_test_score() for record in group)
    costs = [measurements(record)[2] for record in timed]
    return Row(
        dataset=first.names.dataset,
        modality=data.modality,
        task=data.task,
        generated=data.generated,
        metric=quality.main,
        direction=score.direction,
        unit=score.unit,
        comparison=comparison,
        rank=None,
        model=first.names.model,
        hardware=first.names.hardware,
        budget=first.names.budget,
        variant=variant,
        changed=representative(group).changed,
        baseline=first.baseline,
        mean=interval.mean,
        ci_low=interval.low,
        ci_high=interval.high,
        n=interval.n,
        seeds=[record.seed for record in group],
        scores=[record.main_test_score() for record in group],
        params=cost.params,
        params_asked=cost.params_asked,
        train_seconds=mean_interval(cost.seconds.training for cost in costs).mean,
        samples_per_second=mean_interval(cost.samples_per_second for cost in costs).mean,
        host=host_name((timed or group)[0]),
        trust=_worst_checks(group),
        group=first.group,
        notes=notes,
        data_notes=list(dict.fromkeys(n for r in group for n in measurements(r)[0].notes)),
    )


def _select_timed(group: list[Record], usual: HardwareClass) -> tuple[list[Record], list[str]]:
    """Return the records whose times are comparable with other rows, and notes about the others.

    These are the records of one machine, of the hardware class `usual` in the table; maybe none.
    """
    notes = []
    for package in ("quintain", "torch"):
        versions = sorted({record.versions.get(package, "unknown") for record in group})
        if len(versions) > 1:
            notes.append(
                f"the seeds ran under different versions of {package}: {', '.join(versions)}"
            )
    candidates = [record for record in group if hardware_class(record.machine) == usual]
    hosts = Counter(map(host_name, candidates))
    machines = {(host_name(record), hardware_class(record.machine)) for record in group}
    if not hosts:
        notes.append(
            f"times left out: measured on {hardware_class(group[0].machine)}, those of the other"
            f" rows on {usual}"
        )
        return [], notes
    ((host, count),) = hosts.most_common(1)
    if count < len(group):
        notes.append(
            f"the seeds ran on {len(machines)} machines; "
            f"times are over the {count} of {len(group)} on one of them"
        )
    return [record for record in candidates if host_name(record) == host], notes


def _tuning_notes(group: Sequence[Record], table: Sequence[Sequence[Record]]) -> list[str]:
    """Describe the hyperparameter search of one row, and whether it differs from other rows."""
    if group[0].baseline:
        return []
    notes = [_describe_search(record.tuned) for record in group if record.tuned]
    searches = {_searches(rows) for rows in table if not rows[0].baseline} - {frozenset()}
    if searches and not notes:
        notes = ["not tuned, unlike other rows of this table"]
    elif len(searches) > 1:
        notes.append("other rows of this table were tuned with other trials or settings")
    return list(dict.fromkeys(notes))


def _describe_search(tuned: TuningResult) -> str:
    counts = f", {tuned.pruned} stopped early" if tuned.pruned else ""
    counts += f", {tuned.failed} failed" if tuned.failed else ""
    return (
        f"tuned: best of {tuned.trials} trials ({tuned.steps:,} steps{counts}) over"
        f" {', '.join(sorted(tuned.space))}; {tuned.metric} {tuned.best_value:.4g} on validation"
    )


def _searches(group: Sequence[Record]) -> frozenset[tuple[int, tuple[str, ...]]]:
    """Return (number of trials, names of settings) of each search of a group."""
    return frozenset((r.tuned.trials, tuple(sorted(r.tuned.space))) for r in group if r.tuned)


def _worst_checks(group: Sequence[Record]) -> dict[str, dict[str, Any]]:
    """Return the worst result of each check over the seeds: failed, unknown, passed."""
    order = {False: 0, None: 1, True: 2}
    worst: dict[str, TrustCheck] = {}
    for name, check in (item for record in group for item in record.trust.items()):
        worst[name] = min(worst.get(name, check), check, key=lambda c: order[c.ok])
    return {name: check.model_dump() for name, check in worst.items()}


def _rank(table: list[Row]) -> list[Row]:
    """Sort the rows, best first, and set rank and `beaten_by`; ties have equal ranks (1, 1, 3)."""
    ordered = sorted(table, key=_sort_key)
    means = [row.mean for row in ordered if not row.baseline and row.mean is not None]
    baselines = [row for row in ordered if row.baseline and row.mean is not None]
    ranked = []
    for row in ordered:
        if not row.baseline and row.mean is not None:
            beaten_by = baselines and row.sign * (baselines[0].mean or 0.0) >= row.sign * row.mean
            row = replace(
                row,
                rank=means.index(row.mean) + 1,
                beaten_by=baselines[0].model if beaten_by else "",
            )
        ranked.append(row)
    return ranked


def _sort_key(row: Row) -> tuple[bool, float, str, str, str]:
    best_first = -row.sign * (row.mean or 0.0)
    return row.mean is None, best_first, row.model, row.hardware, row.variant
