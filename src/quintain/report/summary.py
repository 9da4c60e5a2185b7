"""The models over all datasets, on a terminal and as words for other formats."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console

from quintain.report.overall import Aggregate
from quintain.report.rows import by
from quintain.report.text import ABSENT, grid, number, plain

HEADS = ("model", "score, 0 to 1", "mean rank", "fastest", "reached")
TOLD = (
    "score: interquartile mean over datasets and seeds [95 %], 0 the worst reference, 1 the best "
    "row; reached, fastest: shares of runs that came 9/10 of the way there, and that did so first"
)


def print_overall(out: Console, aggregates: Sequence[Aggregate]) -> None:
    """A table for each budget in which some model has every dataset, best first."""
    for budget, models in by(aggregates, lambda one: one.budget).items():
        if all(model.missing for model in models):
            continue
        out.print(plain(f"over {models[0].tables} tables  {budget}", "bold"))
        table = grid()
        for name in HEADS:
            table.add_column(name, justify="left" if name == "model" else "right", overflow="fold")
        for model in models:
            table.add_row(*map(plain, words(model)))
        out.print(table)
        out.print(plain(TOLD, "dim"))
        for model in models:
            if model.missing:
                out.print(plain(f"{model.model}: nothing on {model.missing}", "dim"))
        out.print()


def words(model: Aggregate) -> list[str]:
    """One entry for each of `HEADS`."""
    score = number(model.iqm, 3)
    if model.iqm_low is not None and model.iqm_high is not None:
        score += f" [{model.iqm_low:.3f}, {model.iqm_high:.3f}]"
    profile = model.profile
    fastest = f"{profile.within(1):.0%}" if profile else ABSENT
    reached = f"{1 - profile.never:.0%}" if profile else ABSENT
    return [model.model, score, number(model.mean_rank, 2), fastest, reached]
