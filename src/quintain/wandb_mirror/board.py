"""Logs the leaderboard to a W&B run: tables, charts of curves, and the records as an artifact."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from quintain.records.schema import Record
from quintain.report.comparisons import group_by
from quintain.report.leaderboard import Leaderboard
from quintain.report.rows import Row
from quintain.wandb_mirror.names import shorten_titles

if TYPE_CHECKING:
    from wandb import Run

COLUMNS = ("dataset", "comparison", "metric", "direction", "rank", "model", "hardware", "variant",
           "mean", "ci_low", "ci_high", "n", "params", "train_seconds", "samples_per_second",
           "baseline")  # fmt: skip


def log_leaderboard(
    run: Run, board: Leaderboard, records: Sequence[Record], bundle: Path, *, is_online: bool
) -> None:
    """Log tables, charts and artifacts to a run.

    The records are an input artifact, the table is an output artifact. Offline, runs cannot have
    input artifacts, so both are outputs.
    """
    import wandb

    table = wandb.Table(columns=list(COLUMNS))
    for row in board.rows:
        table.add_data(*(getattr(row, name) for name in COLUMNS))
    matrix = _make_matrix(board.rows)
    charts = _make_charts(board.rows, records)
    run.log({"leaderboard": table, "models_by_dataset": matrix, **charts})
    run.summary["sentences"] = "\n".join(board.sentences)
    inputs = wandb.Artifact("records", type="records", metadata={"records": len(records)})
    inputs.add_file(str(bundle), name="records.qb", policy="immutable", skip_cache=True)
    if is_online:
        run.use_artifact(inputs)
    else:
        run.log_artifact(inputs)
    outputs = wandb.Artifact("leaderboard", type="leaderboard")
    outputs.add(table, "leaderboard")
    run.log_artifact(outputs)


def _make_matrix(rows: Sequence[Row]) -> Any:
    """Return a table of means, with a row per model and a column per leaderboard table."""
    import wandb

    titles = list(dict.fromkeys(map(_table_title, rows)))
    table = wandb.Table(columns=["model", *titles], allow_mixed_types=True)
    for model, model_rows in group_by(rows, _model_label).items():
        means = {_table_title(row): row.mean for row in model_rows}
        table.add_data(model, *(means.get(title) for title in titles))
    return table


def _table_title(row: Row) -> str:
    return " ".join(part for part in (row.dataset, row.metric, row.comparison) if part)


def _model_label(row: Row) -> str:
    return " ".join(part for part in (row.model, row.variant, row.hardware) if part)


def _make_charts(rows: Sequence[Row], records: Iterable[Record]) -> dict[str, Any]:
    """Return a chart per table: the main validation score over steps, one line per row."""
    import wandb

    groups = group_by(records, lambda record: record.group)
    charts = {}
    tables = group_by(rows, _table_title)
    names = shorten_titles(tables)
    for title, table_rows in tables.items():
        curves = {_model_label(row): mean_curve(groups[row.group]) for row in table_rows}
        curves = {label: curve for label, curve in curves.items() if curve}
        if curves:
            charts[f"curves/{names[title]}"] = wandb.plot.line_series(
                [[step for step, _ in curve] for curve in curves.values()],
                [[value for _, value in curve] for curve in curves.values()],
                keys=list(curves),
                title=f"{title} on validation",
                xname="step",
            )
    return charts


def mean_curve(records: Iterable[Record]) -> list[tuple[int, float]]:
    """Return (step, mean main validation score over the seeds) at the steps that all seeds have."""
    curves = [
        {point.step: value for point in r.quality.curve
         if (value := point.val.get(r.quality.main)) is not None}
        for r in records if r.quality is not None
    ]  # fmt: skip
    if not curves:
        return []
    steps = sorted(set.intersection(*map(set, curves)))
    return [(step, sum(curve[step] for curve in curves) / len(curves)) for step in steps]
