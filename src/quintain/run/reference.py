"""The free rows of every dataset: a naive answer and a linear model, scored as any model is."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from torch import Tensor, nn

from quintain.compose.bind import instantiate, locate
from quintain.compose.build import build_stem
from quintain.contracts import Batch, Features, Head, Predictor, Split, Stem
from quintain.kit.meters import HostMemory
from quintain.records.schema import Record, utc_now
from quintain.run import assemble
from quintain.run.confusion import Confusion
from quintain.run.feed import EvaluationFeed
from quintain.run.samples import keep_samples

if TYPE_CHECKING:
    from quintain.run.execute import Run

UNUSED = "a reference row is not trained by steps"


def execute_reference(run: Run) -> Record:
    """Fit on the train split, then score validation and test, each sample once."""
    head_class: Any = locate(run.cell.config["head"]["_target_"])
    stem = build_stem(run.cell.config, run.dataset.spec, "sequence")
    if isinstance(stem, nn.Module):
        stem.eval()  # what a stem does at random is for training models
    head = _scorer(run, head_class, stem)
    run.clocks.switch("training")
    predictor = head_class.references[run.cell.reference](run.dataset, stem)
    run.clocks.switch("validation")
    val = _score(run, head, predictor, "val")
    run.clocks.switch("test")
    confusion = Confusion(run.dataset.spec)
    test = _score(run, head, predictor, "test", confusion.add)
    run.clocks.switch("measuring")
    scores = _scores(head, val, test)
    keep_samples(run.samples, run.dataset, head, stem, predictor)
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
            "quality": {
                "main": head.scores[0].name,
                "scores": scores,
                "confusion": confusion.plain(),
            },
            "cost": assemble.metered(cost, run, [HostMemory()]),
            "finished": utc_now(),
        }
    )


def _scores(head: Head, val: dict[str, float], test: dict[str, float]) -> dict[str, Any]:
    return {
        s.name: {"direction": s.direction, "unit": s.unit, "val": val[s.name], "test": test[s.name]}
        for s in head.scores
    }


def _scorer(run: Run, head_class: Any, stem: Stem) -> Head:
    """A head for its metrics only; its layers are never used, nor those of a decoder it makes."""
    grid = stem.out.grid[:1] if head_class.asks != "summary" else (1,)
    features = Features(dim=1, grid=grid, masked=stem.out.masked, causal=head_class.causal)
    head: Head = instantiate(run.cell.config["head"], features, run.dataset.spec, _Nothing)
    return head


class _Nothing(nn.Module):
    """Stands where a head wants a decoder that is never called."""

    def __init__(self, features: Features) -> None:
        super().__init__()
        self.out = features


def _score(
    run: Run,
    head: Head,
    predictor: Predictor,
    split: Split,
    also: Callable[[Tensor, Batch], None] = lambda answer, batch: None,
) -> dict[str, float]:
    metrics = head.metrics(run.dataset)
    for batch in EvaluationFeed(run.dataset, split):
        assert batch is not None, "one process reads every sample"
        answer = predictor(batch)
        head.update(metrics, answer, batch)
        also(answer, batch)
    return {name: float(metric.compute()) for name, metric in metrics.items()}
