"""The free rows of every dataset: a naive answer and a linear model, scored as any model is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from quintain.compose.bind import instantiate, locate
from quintain.compose.build import build_stem
from quintain.contracts import Features, Head, Predictor, Split
from quintain.kit.meters import HostMemory
from quintain.records.schema import Record, utc_now
from quintain.run import assemble
from quintain.run.feed import EvaluationFeed

if TYPE_CHECKING:
    from quintain.run.execute import Run

UNUSED = "a reference row is not trained by steps"


def execute_reference(run: Run) -> Record:
    """Fit on the train split, then score validation and test, each sample once."""
    head_class: Any = locate(run.cell.config["head"]["_target_"])
    stem = build_stem(run.cell.config, run.dataset.spec, "sequence")
    run.clocks.switch("training")
    predictor = head_class.references[run.cell.reference](run.dataset, stem)
    run.clocks.switch("validation")
    head = _scorer(run, head_class)
    val = _score(run, head, predictor, "val")
    run.clocks.switch("test")
    test = _score(run, head, predictor, "test")
    run.clocks.switch("measuring")
    scores = {
        s.name: {"direction": s.direction, "unit": s.unit, "val": val[s.name], "test": test[s.name]}
        for s in head_class.scores
    }
    seconds = run.clocks.read("training")
    size = run.dataset.size("train")
    cost = {
        "params": None,
        "params_total": None,
        "steps": None,
        "samples": size,
        "samples_per_second": size / seconds if seconds > 0 else None,
        "absent": dict.fromkeys(("flops_per_sample", "mfu", "data_wait_share"), UNUSED),
    }
    return Record.model_validate(
        assemble.common(run, stem.reading)
        | {
            "quality": {"main": head_class.scores[0].name, "scores": scores},
            "cost": assemble.metered(cost, run, [HostMemory()]),
            "finished": utc_now(),
        }
    )


def _scorer(run: Run, head_class: Any) -> Head:
    """A head for its metrics only; its layers are never used."""

    def no_decoder(features: Features) -> Any:
        raise AssertionError("a reference builds no decoder")

    spec = run.dataset.spec
    grid = spec.shape[:1] if head_class.per_position else (1,)
    features = Features(dim=1, grid=grid, masked=spec.ragged, causal=head_class.causal)
    head: Head = instantiate(run.cell.config["head"], features, spec, no_decoder)
    return head


def _score(run: Run, head: Head, predictor: Predictor, split: Split) -> dict[str, float]:
    metrics = head.metrics()
    for batch in EvaluationFeed(run.dataset, split):
        head.update(metrics, predictor(batch), batch)
    return {name: float(metric.compute()) for name, metric in metrics.items()}
