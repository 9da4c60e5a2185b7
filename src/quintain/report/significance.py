"""Tests the models of one table against each other, and describes the results in sentences."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace

from quintain.report.formatting import (
    decimal_places,
    format_difference,
    format_interval,
    format_number,
    format_p_value,
    unit_suffix,
)
from quintain.report.rows import Row
from quintain.stats.intervals import Interval
from quintain.stats.multiple_comparisons import PairwiseComparisons
from quintain.stats.paired import paired_differences
from quintain.stats.sample_size import additional_seeds

LEVEL = 0.05  # family-wise error rate of one table
MAX_SUGGESTED_SEEDS = 50  # more are not practical
MIN_COST_RATIO = 1.2  # of training times; smaller ratios may be noise


@dataclass(frozen=True, kw_only=True)
class TableTests:
    """The rows of one table with the results of their tests."""

    rows: list[Row]  # all, best first
    models: list[Row]  # without baselines; `comparisons` refers to their indices
    comparisons: PairwiseComparisons


def compare_rows(table: Sequence[Row]) -> TableTests:
    """Test all pairs of models (not baselines) of one table, which has at least one row."""
    ranked = [i for i, row in enumerate(table) if not row.baseline]
    scores = [dict(zip(table[i].seeds, table[i].scores, strict=True)) for i in ranked]
    comparisons = PairwiseComparisons(scores, direction=table[0].direction, level=LEVEL)
    rows = list(table)
    for i, summary in zip(ranked, comparisons.rank_summaries(), strict=True):
        rows[i] = replace(rows[i], **asdict(summary))
    return TableTests(rows=rows, models=[rows[i] for i in ranked], comparisons=comparisons)


def describe_table(tests: TableTests, name: str) -> str:
    """Return the results of one table in words; "" if there is nothing to say.

    `name` is that of the table, see `table_names`.
    """
    sentences = [_describe_baseline(tests)]
    order = [i for i in tests.comparisons.order if tests.models[i].tie_group is not None]
    if len(order) > 1 and tests.comparisons.is_complete:
        best = [i for i in order if tests.models[i].tie_group == 1]
        rest = [i for i in order if tests.models[i].tie_group != 1]
        sentences += [
            _describe_best(tests, best),
            _describe_distance(tests, best[0], rest),
            _suggest_seeds(tests, best),
            _describe_dropped_seeds(tests),
        ]
    text = " ".join(sentence for sentence in sentences if sentence)
    return f"On {name}, {text}" if text else ""


def _describe_baseline(tests: TableTests) -> str:
    """Say that no model beats the best baseline, or that the best model is not shown to."""
    baselines = [row for row in tests.rows if row.baseline and row.mean is not None]
    if not baselines or not tests.models or tests.models[0].mean is None:
        return ""
    baseline, best = baselines[0], tests.models[0]
    name = distinct_names(tests.models)[0]
    places = decimal_places(row.mean for row in tests.rows)
    interval = format_interval(Interval(best.mean, best.ci_low, best.ci_high, best.n), places)
    numbers = f"{format_number(baseline.mean, places)} against {interval} for {name}"
    if best.beaten_by:
        return f"no model beats {baseline.model}: {numbers}."
    low, high, score = best.ci_low, best.ci_high, baseline.mean
    if low is not None and high is not None and score is not None and low <= score <= high:
        return f"{name} is not shown to beat {baseline.model}: {numbers}."
    return ""


def distinct_names(models: Sequence[Row]) -> list[str]:
    """Return the models' names, with hardware and variant where names are not unique."""
    by_model = Counter(row.model for row in models)
    by_hardware = Counter((row.model, row.hardware) for row in models)
    return [
        row.model
        + (f" on {row.hardware}" if by_model[row.model] > by_hardware[row.model, row.hardware]
           else "")
        + (f" ({row.variant})" if by_hardware[row.model, row.hardware] > 1 and row.variant else "")
        for row in models
    ]  # fmt: skip


def _describe_best(tests: TableTests, best: Sequence[int]) -> str:
    names, models = distinct_names(tests.models), tests.models
    if len(best) == 1:
        return f"{names[best[0]]} is significantly better than all other models."
    known = [p for i in best[1:] if (p := models[i].p_best) is not None]
    reason = "untested: too few common seeds, or equal scores"
    if any(pair[0] == best[0] for pair in tests.comparisons.contradictions):
        reason = "their common seeds contradict their means"
    if known:
        p = min(known)
        relation = "" if p < 0.001 else "= " if len(best) == 2 or p > 0.99 else "≥ "
        reason = f"p {relation}{format_p_value(p)}"
    cost = _describe_cost([models[i] for i in best], [names[i] for i in best])
    verb, others = "are" if len(best) > 2 else "is", _enumerate([names[i] for i in best[1:]])
    return (
        f"{names[best[0]]} has the best mean of the models; {others} {verb} not shown to differ"
        f" from it at {_count_seeds(tests, best)} ({reason}){cost}."
    )


def _count_seeds(tests: TableTests, best: Sequence[int]) -> str:
    """Return the number of common seeds of the best model and the others, as `2 to 5 seeds`."""
    counts = {tests.comparisons.tests[best[0], i].test.n for i in best[1:]}
    ends = " to ".join(str(count) for count in sorted({min(counts), max(counts)}))
    return f"{ends} seed{'s' * (ends != '1')}"


def _describe_cost(rows: Sequence[Row], names: Sequence[str]) -> str:
    """Compare the fastest of these rows with the best row, or the best with the second."""
    hosts = {row.host for row in rows}
    timed = [i for i, row in enumerate(rows) if row.train_seconds]
    if len(hosts) > 1 or len(timed) < len(rows):
        return ""
    fastest = min(timed, key=lambda i: rows[i].train_seconds or 0.0)
    compared = 1 if fastest == 0 else 0
    ratio = (rows[compared].train_seconds or 0.0) / (rows[fastest].train_seconds or 1.0)
    if ratio < MIN_COST_RATIO or not math.isfinite(ratio):
        return ""
    mark = "~" if rows[compared].has_rough_times or rows[fastest].has_rough_times else ""
    than = f" than {names[compared]}" if len(rows) > 2 else ""
    return f"; {names[fastest]} trains {mark}{format_number(ratio, 1)}× faster{than}"


def _describe_distance(tests: TableTests, leader: int, rest: Sequence[int]) -> str:
    """Describe the difference between the best model and the best one outside its tie group."""
    pair = tests.comparisons.tests.get((leader, rest[0])) if rest else None
    if pair is None or pair.test.difference is None:
        return ""
    names, nearest = distinct_names(tests.models), rest[0]
    more = f", {_enumerate([names[i] for i in rest[1:]])} by more" if rest[1:] else ""
    test, unit = pair.test, tests.models[leader].unit
    half_width = Interval(test.difference, test.low, test.high, test.n).half_width
    difference = format_difference(abs(pair.test.difference), half_width, unit) + unit_suffix(unit)
    return f"{names[nearest]} trails by {difference}{more}."


def _suggest_seeds(tests: TableTests, best: Sequence[int]) -> str:
    """Say how many additional seeds would separate the best model from one of its group."""
    comparisons, leader = tests.comparisons, best[0]
    level = LEVEL / max(comparisons.num_tests, 1)
    candidates = []
    for i in best[1:]:
        differences = paired_differences(comparisons.scores[leader], comparisons.scores[i])
        seeds = additional_seeds(differences, level=level)
        if seeds is not None and (leader, i) not in comparisons.contradictions:
            candidates.append((max(seeds, 1), i))
    count, nearest = min(candidates, default=(MAX_SUGGESTED_SEEDS + 1, 0))
    if count > MAX_SUGGESTED_SEEDS:
        return ""
    names = distinct_names(tests.models)
    seeds_text = "1 more seed" if count == 1 else f"{count} more seeds"
    return f"{seeds_text} would probably separate {names[leader]} from {names[nearest]}."


def _describe_dropped_seeds(tests: TableTests) -> str:
    if not any(pair.test.dropped for pair in tests.comparisons.tests.values()):
        return ""
    names = distinct_names(tests.models)
    parts = ["The tests use only the seeds that both models of a pair have"]
    parts += [
        f"on these {names[j]} is better than {names[i]}"
        for i, j in tests.comparisons.contradictions
    ]
    return f"{'; '.join(parts)}."


def _enumerate(names: Sequence[str]) -> str:
    return " and ".join(filter(None, (", ".join(names[:-1]), names[-1])))
