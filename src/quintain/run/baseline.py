"""Baselines of a dataset, such as the majority class or a linear model, scored like models."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import Tensor, nn

from quintain.compose.instantiate import instantiate, locate
from quintain.contracts import Batch, Features, Head, Predictor, Split, Stem
from quintain.meters.host import HostMemory
from quintain.model import build_stem
from quintain.records.schema import Record
from quintain.run.context import RunContext
from quintain.run.measure.confusion import ConfusionMatrix
from quintain.run.measure.readings import read_meters
from quintain.run.record.builder import add_readings, build_quality, build_record
from quintain.run.record.samples import save_samples
from quintain.run.train.evaluation import EvaluationCounter, check_test_scores
from quintain.run.train.loaders import EvalLoader

NOT_TRAINED = "a baseline is not trained in steps"


def run_baseline(context: RunContext) -> Record:
    """Fit a baseline on the train split, score validation and test, and return the record."""
    dataset, clocks = context.dataset, context.clocks
    head_class: Any = locate(context.cell.config["head"]["_target_"])
    stem = build_stem(context.cell.config, dataset.spec, "sequence")
    if isinstance(stem, nn.Module):
        stem.eval()  # without augmentation
    head = _build_head(context, head_class, stem)
    clocks.switch("training")
    predictor = head_class.baselines[context.cell.baseline](dataset, stem)
    clocks.switch("validation")
    val = _score(context, head, predictor, "val")
    clocks.switch("test")
    confusion = ConfusionMatrix(dataset.spec)
    test = _score(context, head, predictor, "test", confusion.update)
    clocks.switch("measuring")
    save_samples(context.samples_folder, dataset, head, stem, predictor)
    return build_record(
        context,
        None,
        stem.layout,
        quality=build_quality(head.scores, val, test, confusion.compute()),
        cost=add_readings(_build_cost(context), context, read_meters([HostMemory()])),
    )


def _build_cost(context: RunContext) -> dict[str, Any]:
    size, seconds = context.dataset.size("train"), context.clocks.read("training")
    return {
        "params": None,
        "params_total": None,
        "steps": None,
        "samples": size,
        "samples_per_second": size / seconds if seconds > 0 else None,
        "absent": dict.fromkeys(("flops_per_sample", "mfu", "data_wait_share"), NOT_TRAINED),
    }


def _build_head(context: RunContext, head_class: Any, stem: Stem) -> Head:
    """Return a head for its metrics only; its layers and its decoder are never called."""
    grid = stem.out.grid[:1] if head_class.output_mode != "summary" else (1,)
    features = Features(dim=1, grid=grid, masked=stem.out.masked, causal=head_class.causal)
    config, spec = context.cell.config["head"], context.dataset.spec
    head: Head = instantiate(config, features, spec, _UnusedDecoder)
    return head


class _UnusedDecoder(nn.Module):
    """A decoder that is never called, for heads that need one."""

    def __init__(self, features: Features) -> None:
        super().__init__()
        self.out = features


def _score(
    context: RunContext,
    head: Head,
    predictor: Predictor,
    split: Split,
    observe: Callable[[Tensor, Batch], None] = lambda prediction, batch: None,
) -> dict[str, float]:
    metrics, counter = head.metrics(context.dataset), EvaluationCounter(context.dataset.spec)
    for batch in EvalLoader(context.dataset, split):
        assert batch is not None, "a single process has a share of every batch"
        prediction = predictor(batch)
        counter.add(prediction, batch)
        head.update(metrics, prediction, batch)
        observe(prediction, batch)
    scores = {name: float(metric.compute()) for name, metric in metrics.items()}
    if split == "test":
        check_test_scores(scores, head.scores[0], counter.compute(split))
    return scores
