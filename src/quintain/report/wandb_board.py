"""The leaderboard as a run in W&B: tables, curves as custom charts, the records as an artifact."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from quintain.records.schema import Record
from quintain.report.leaderboard import Board
from quintain.report.rows import Row, by

if TYPE_CHECKING:
    from wandb import Run

RUN = "leaderboard"  # its id: one for a project, the newest publication counts
COLUMNS = ("dataset", "comparison", "metric", "direction", "rank", "model", "hardware", "variant",
           "mean", "ci_low", "ci_high", "n", "params", "train_seconds", "samples_per_second",
           "reference")  # fmt: skip


def show_board(
    run: Run, board: Board, records: Sequence[Record], bundle: Path, *, online: bool
) -> None:
    """Log tables, charts and artifact into a run.

    The records are the run's input and the tables made of them what it puts out; an offline run
    cannot have an input, so there the records are put out too.
    """
    import wandb

    table = wandb.Table(columns=list(COLUMNS))
    for row in board.rows:
        table.add_data(*(getattr(row, name) for name in COLUMNS))
    run.log({"leaderboard": table, "models_by_dataset": _matrix(board.rows), **_charts(
        board.rows, records)})  # fmt: skip
    run.summary["sentences"] = "\n".join(board.sentences)
    artifact = wandb.Artifact("records", type="records", metadata={"records": len(records)})
    artifact.add_file(str(bundle), name="records.qb", policy="immutable", skip_cache=True)
    if online:
        run.use_artifact(artifact)
    else:
        run.log_artifact(artifact)
    made = wandb.Artifact("leaderboard", type="leaderboard")
    made.add(table, "leaderboard")
    run.log_artifact(made)


def _matrix(rows: Sequence[Row]) -> Any:
    """A line a model, a column a dataset and comparison: the mean, None where there is none."""
    import wandb

    places = list(dict.fromkeys(map(_place, rows)))
    table = wandb.Table(columns=["model", *places], allow_mixed_types=True)
    for model, of in by(rows, lambda row: _model(row)).items():
        means = {_place(row): row.mean for row in of}
        table.add_data(model, *(means.get(place) for place in places))
    return table


def _place(row: Row) -> str:
    return " ".join(word for word in (row.dataset, row.metric, row.comparison) if word)


def _model(row: Row) -> str:
    return " ".join(word for word in (row.model, row.variant, row.hardware) if word)


def _charts(rows: Sequence[Row], records: Iterable[Record]) -> dict[str, Any]:
    """Of each table the main score on validation over steps, mean over the seeds, a line a row."""
    import wandb

    of_group = by(records, lambda record: record.group)
    charts = {}
    for place, together in by(rows, _place).items():
        lines = {_model(row): curve(of_group[row.group]) for row in together}
        lines = {name: line for name, line in lines.items() if line}
        if lines:
            xs = [[step for step, _ in line] for line in lines.values()]
            ys = [[value for _, value in line] for line in lines.values()]
            title = f"{place} on validation"
            charts[f"curves/{place}"] = wandb.plot.line_series(
                xs, ys, keys=list(lines), title=title, xname="step"
            )
    return charts


def curve(seeds: Iterable[Record]) -> list[tuple[int, float]]:
    """(step, mean of the main score on validation) at the steps that all seeds have."""
    values: dict[int, list[float | None]] = defaultdict(list)
    count = 0
    for record in seeds:
        if record.quality is None:
            continue
        count += 1
        for point in record.quality.curve:
            values[point.step].append(point.val.get(record.quality.main))
    found = []
    for step, of in sorted(values.items()):
        known = [value for value in of if value is not None]
        if len(known) == count:
            found.append((step, sum(known) / count))
    return found
