"""Coverage of the 95 % interval of the score over datasets (`quintain.stats.aggregate`).

python benchmarks/iqm_coverage.py --runs 4000

Each run draws new datasets (centres uniform from 0.1 to 0.95, spreads log-uniform from 0.01 to 0.1)
and the scores of n seeds on each, and asks whether the interval contains the interquartile mean of
infinitely many seeds. Skewed scores have the skewness -1.4 (a gamma distribution of shape 2, mostly
close to its best value), bounded ones come from a beta distribution (5, 1.5).
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent))

from _common import Reading, parse_arguments, write_results

from quintain.stats.aggregate import iqm_interval

Draw = Callable[[np.random.Generator, tuple[int, ...]], np.ndarray]
DISTRIBUTIONS: dict[str, Draw] = {
    "normal": lambda draw, shape: draw.standard_normal(shape),
    "skewed": lambda draw, shape: (2 - draw.gamma(2, 1, shape)) / math.sqrt(2),
    "bounded": lambda draw, shape: (draw.beta(5, 1.5, shape) - 5 / 6.5) / 0.154,
}
POPULATION = 20_000  # scores of each dataset that stand for infinitely many
RUNS_OF_A_SET = 50  # runs with the same datasets
SEEDS, DATASETS = (2, 3, 5, 10), (2, 3, 5, 8)


def main() -> None:
    options = parse_arguments(__doc__, runs=4000)
    readings = []
    for num_datasets in DATASETS:
        for name, make in DISTRIBUTIONS.items():
            for n in SEEDS:
                covered = measure_coverage(make, num_datasets, n, options.runs)
                what = f"{num_datasets} datasets, {name} scores, {n} seeds"
                target = {"at_least": 0.93, "at_most": 0.97} if num_datasets > 3 else {}
                readings.append(Reading(what, "", [covered], note="coverage", **target))
    write_results("iqm_coverage", readings, options.out)


def measure_coverage(make: Draw, num_datasets: int, n: int, runs: int) -> float:
    """Return the fraction of runs whose interval contains the true value."""
    draw, covered, count = np.random.default_rng(n), 0, 0
    while count < runs:
        centers = draw.uniform(0.1, 0.95, num_datasets)
        spreads = np.exp(draw.uniform(math.log(0.01), math.log(0.1), num_datasets))
        many = np.sort(centers + spreads * make(draw, (POPULATION, num_datasets)), axis=None)
        truth = many[len(many) // 4 : len(many) * 3 // 4].mean()
        for scores in centers + spreads * make(draw, (RUNS_OF_A_SET, n, num_datasets)):
            interval = iqm_interval(scores.T.tolist())
            assert interval.low is not None and interval.high is not None
            covered += bool(interval.low <= truth <= interval.high)
            count += 1
    return covered / count


if __name__ == "__main__":
    main()
