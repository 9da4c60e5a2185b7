"""Remarks about the seeds of a row: missing ones, and scores that fall into two groups."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import pairwise

from quintain.report.formatting import decimal_places, format_number
from quintain.report.rows import Row

MIN_GAP_OF_SPAN = 0.5  # a gap between two groups of scores, as a fraction of their whole span
MIN_GAP_OF_SCALE = 0.25  # and of the distance from the worst baseline to the best row of the table


def remark_on_seeds(table: Sequence[Row]) -> list[Row]:
    """Return the rows of a table with notes about their seeds, and with `collapsed_seeds`."""
    models = [row for row in table if not row.baseline]
    seeds = {seed for row in models for seed in row.seeds}
    scale = _find_scale(table)
    rows = []
    for row in table:
        collapsed = [] if row.baseline else find_collapsed_seeds(row, scale)
        missing = [] if row.baseline else sorted(seeds - set(row.seeds))
        notes = [*row.notes, *_describe_missing(row, missing), *_describe_groups(row, collapsed)]
        rows.append(replace(row, notes=notes, collapsed_seeds=collapsed))
    return rows


def find_collapsed_seeds(row: Row, scale: float) -> list[int]:
    """Return the seeds in the worse one of two groups of scores; none if there is one group.

    The groups are separated by the widest gap between neighbouring scores. It counts if it is at
    least half of the span of all scores and a quarter of `scale`.
    """
    pairs = [(row.sign * score, seed) for seed, score in zip(row.seeds, row.scores, strict=True)
             if score is not None]  # fmt: skip
    pairs.sort()
    gaps = [(high - low, i) for i, ((low, _), (high, _)) in enumerate(pairwise(pairs), 1)]
    widest, position = max(gaps, default=(0.0, 0))
    span = pairs[-1][0] - pairs[0][0] if pairs else 0.0
    if widest <= 0 or widest < MIN_GAP_OF_SPAN * span or widest < MIN_GAP_OF_SCALE * scale:
        return []
    return sorted(seed for _, seed in pairs[:position])


def _find_scale(table: Sequence[Row]) -> float:
    """Return the distance from the worst baseline to the best row, or the size of the best row."""
    means = [row.sign * row.mean for row in table if row.mean is not None]
    baselines = [row.sign * row.mean for row in table if row.baseline and row.mean is not None]
    if not means:
        return 0.0
    distance = max(means) - min(baselines) if baselines else 0.0
    return distance or abs(max(means))


def _describe_missing(row: Row, missing: Sequence[int]) -> Iterator[str]:
    unscored = [seed for seed, s in zip(row.seeds, row.scores, strict=True) if s is None]
    if unscored:
        yield f"no {row.metric} on test for {_list_seeds(unscored)}, so there is no mean"
    if missing:
        yield f"no score for {_list_seeds(missing)}, which another row of this table has"


def _describe_groups(row: Row, collapsed: Sequence[int]) -> Iterator[str]:
    if not collapsed:
        return
    others = [seed for seed in row.seeds if seed not in collapsed]
    scores = dict(zip(row.seeds, row.scores, strict=True))
    places = decimal_places(row.scores)

    def describe(seeds: Sequence[int]) -> str:
        values = [score for seed in seeds if (score := scores[seed]) is not None]
        ends = dict.fromkeys(format_number(end(values), places) for end in (min, max))
        return f"{' to '.join(ends)} ({_list_seeds(seeds)})"

    yield (
        f"the seeds fall into two groups, {describe(collapsed)} and {describe(others)}: the mean"
        " describes neither; some runs may have failed to train"
    )


def _list_seeds(seeds: Sequence[int]) -> str:
    """Return `seed 3` or `seeds 1, 4–20`."""
    runs: list[list[int]] = []
    for seed in sorted(seeds):
        if runs and seed == runs[-1][-1] + 1:
            runs[-1].append(seed)
        else:
            runs.append([seed])
    shown = [f"{run[0]}–{run[-1]}" if len(run) > 2 else ", ".join(map(str, run)) for run in runs]
    return f"seed{'s' * (len(seeds) > 1)} {', '.join(shown)}"
