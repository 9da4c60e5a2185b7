"""The contract of a model, as checks that raise AssertionError with a text a plugin author can use.

Each check takes a function that builds a fresh model (stem, core and head) and the `DataSpec` it is
built for. A check that does not apply to the spec, such as causality of a classifier, passes.
"""

from __future__ import annotations

import copy
import io
import json
from collections.abc import Callable
from typing import cast

import torch
from torch import Tensor

from quintain.contracts import Batch, DataSpec, Features
from quintain.testing.specs import ExampleDataset, fake_batch
from quintain.testing.two_processes import two_processes
from quintain.testing.wiring import Whole, module, seeded

Make = Callable[[], Whole]
Check = Callable[[Make, DataSpec], None]

CLOSE = 1e-4  # float32 rounding through a few layers, when shapes and thus kernels differ
OVERFIT_STEPS, OVERFIT_RATE, OVERFIT_SHARE = 150, 1e-2, 0.5


def shapes(make: Make, spec: DataSpec) -> None:
    """Stem and core put out what their `out` says; the loss is one finite number."""
    whole, batch = seeded(make), fake_batch(spec)
    x, mask = whole.stem(batch.x, batch.lengths)
    _check_features("stem", x, mask, whole.stem.out, len(batch.x))
    x, mask = whole.core(x, mask)
    _check_features("core", x, mask, whole.core.out, len(batch.x))
    prediction = whole.head(x, mask, batch)
    assert len(prediction) == len(batch.x), (
        f"the prediction's first axis must be the batch of {len(batch.x)}, got "
        f"{tuple(prediction.shape)}"
    )
    loss = whole.head.loss(prediction, batch)
    assert loss.dim() == 0 and loss.isfinite(), f"the loss must be one finite number, got {loss}"


def scores(make: Make, spec: DataSpec) -> None:
    """The head's metrics have the names of its `scores` and come out finite."""
    whole, batch = seeded(make), fake_batch(spec)
    dataset, names = ExampleDataset(spec), [score.name for score in whole.head.scores]
    metrics = whole.head.metrics(dataset)
    assert list(metrics) == names, f"metrics {list(metrics)} must be named as scores: {names}"
    module(whole).eval()
    with torch.no_grad():
        answer = whole.answer(batch)
        whole.head.update(metrics, answer, batch)
    shown = whole.head.samples(answer, batch, dataset)
    assert len(shown) == len(batch.x) and all({"truth", "prediction"} <= set(s) for s in shown), (
        f"samples must give truth and prediction of each of {len(batch.x)}, got {shown}"
    )
    json.dumps(shown, allow_nan=False)
    for name, metric in metrics.items():
        assert metric.compute().isfinite(), f"{name} is {metric.compute()} after one batch"


def gradients(make: Make, spec: DataSpec) -> None:
    """Each trainable parameter gets a gradient that is finite and not all zero."""
    whole = seeded(make)
    torch.autograd.backward(_loss(whole, fake_batch(spec)))
    dead = []
    for name, parameter in module(whole).named_parameters():
        gradient = parameter.grad
        if parameter.requires_grad and (gradient is None or not gradient.any()):
            dead.append(name)
        assert gradient is None or gradient.isfinite().all(), (
            f"the gradient of {name} is not finite"
        )
    assert not dead, f"no gradient reaches {', '.join(dead)}; use them or freeze them"


def causality(make: Make, spec: DataSpec) -> None:
    """Under a causal head, changing the future does not change the past, wherever it begins."""
    whole, batch = seeded(make), fake_batch(spec)
    if not whole.head.causal:
        return
    before = _predict(whole, batch)
    for now in range(1, spec.shape[0]):
        x = batch.x.clone()
        x[:, now:] = _other(batch.x, fake_batch(spec, seed=1).x, spec)[:, now:]
        after = _predict(whole, batch._replace(x=x))
        _same(
            before[:, :now],
            after[:, :now],
            f"steps before {now} changed when steps from {now} on did: the core reads the future",
        )


def decoder(make: Make, spec: DataSpec) -> None:
    """Of generate: later symbols of y change no logits before them, and its padding none."""
    if spec.task != "generate":
        return
    whole, batch = seeded(make), fake_batch(spec)
    before = _predict(whole, batch)
    for now in range(spec.target_length):
        y = batch.y.clone()
        y[:, now:] = (y[:, now:] + 1) % spec.symbols
        after = _predict(whole, batch._replace(y=y))
        _same(
            before[:, : now + 1],
            after[:, : now + 1],
            f"logits up to symbol {now} changed when symbols from {now} on did: the decoder "
            "reads the future",
        )
    assert batch.y_lengths is not None
    for k, length in enumerate(batch.y_lengths.tolist()):
        one, _ = _cut(batch, k, spec)
        alone_k = _predict(whole, one._replace(y=one.y[:, :length]))
        _same(
            before[k, None, : length + 1], alone_k, f"the padding of y changes logits of sample {k}"
        )


def alone(make: Make, spec: DataSpec) -> None:
    """A sample has the same prediction alone, cut to its length, as in a padded batch."""
    whole, batch = seeded(make), fake_batch(spec)
    together = _predict(whole, batch)
    for k in range(len(batch.x)):
        one, steps = _cut(batch, k, spec)
        said, mine = _predict(whole, one), together[k, None]
        if whole.head.asks == "positions":
            mine = mine[:, : said.shape[1]]
        _same(
            mine,
            said,
            f"sample {k}, {steps}, is predicted differently alone and in a batch: "
            "padding or other samples leak into it",
        )


def padding(make: Make, spec: DataSpec) -> None:
    """What stands behind the mask, before and after the core, changes nothing."""
    whole, batch = seeded(make), fake_batch(spec)
    module(whole).eval()
    with torch.no_grad():
        x, mask = whole.stem(batch.x, batch.lengths)
        if mask is None:
            return
        clean_x, clean_mask = whole.core(x, mask)
        dirty_x, dirty_mask = whole.core(_soil(x, mask), mask)
        assert torch.equal(clean_mask, dirty_mask), "the core's mask depends on the padding"
        clean = whole.head(clean_x, clean_mask, batch)
        dirty = whole.head(_soil(dirty_x, dirty_mask), dirty_mask, batch)
    if _aligned(spec):
        clean, dirty = clean[mask], dirty[mask]
    _same(
        clean, dirty, "what stands behind the mask changes a prediction: zero it with kit.mask.keep"
    )


def overfits(make: Make, spec: DataSpec) -> None:
    """The loss on one batch falls to half of its start, or less, within 150 steps."""
    whole, batch = seeded(make), fake_batch(spec)
    start = float(_loss(whole, batch).detach())
    best = start
    optimizer = torch.optim.AdamW(module(whole).parameters(), lr=OVERFIT_RATE)
    for _ in range(OVERFIT_STEPS):
        best = min(best, _step(whole, batch, optimizer))
        if best < OVERFIT_SHARE * start:
            return
    raise AssertionError(
        f"the loss on one batch of {len(batch.x)} fell only from {start:.3g} to {best:.3g} in "
        f"{OVERFIT_STEPS} steps; expected below {OVERFIT_SHARE * start:.3g}"
    )


def deterministic(make: Make, spec: DataSpec) -> None:
    """The same seed gives the same losses, bit for bit."""
    first, second = _few_losses(make, spec), _few_losses(make, spec)
    assert first == second, f"two runs with one seed differ: losses {first} and {second}"


def saves(make: Make, spec: DataSpec) -> None:
    """Saved and loaded with `weights_only`, another instance predicts the same."""
    whole, other, batch = seeded(make), seeded(make, seed=1), fake_batch(spec)
    buffer = io.BytesIO()
    torch.save(module(whole).state_dict(), buffer)
    buffer.seek(0)
    module(other).load_state_dict(torch.load(buffer, weights_only=True))
    assert torch.equal(_predict(whole, batch), _predict(other, batch)), (
        "a model loaded from another's state_dict predicts differently: some state is not in it"
    )


def float64(make: Make, spec: DataSpec) -> None:
    """In double precision the prediction is double too, and close to that in single."""
    whole, batch = seeded(make), fake_batch(spec)
    double = copy.deepcopy(module(whole)).double()
    exact = batch._replace(x=_doubled(batch.x), y=_doubled(batch.y))
    prediction = _predict(cast(Whole, double), exact)
    assert prediction.dtype == torch.float64, f"the prediction is {prediction.dtype}, not float64"
    _same(_predict(whole, batch).double(), prediction, "float32 and float64 disagree")


MODEL_CHECKS: tuple[tuple[str, Check], ...] = (
    ("shapes", shapes),
    ("scores", scores),
    ("gradients", gradients),
    ("causality", causality),
    ("decoder", decoder),
    ("alone", alone),
    ("padding", padding),
    ("overfits", overfits),
    ("deterministic", deterministic),
    ("saves", saves),
    ("float64", float64),
    ("two_processes", two_processes),
)
"""What a model must pass on every example it does not skip."""


def _check_features(part: str, x: Tensor, mask: Tensor | None, out: Features, size: int) -> None:
    expected = (size, *out.grid, out.dim)
    assert tuple(x.shape) == expected, f"{part} gives {tuple(x.shape)}; its out says {expected}"
    assert (mask is not None) == out.masked, (
        f"{part}'s out says masked={out.masked}; its mask is {mask}"
    )
    assert mask is None or tuple(mask.shape) == expected[:2], (
        f"{part}'s mask is {tuple(mask.shape)}; expected {expected[:2]}"
    )


def _aligned(spec: DataSpec) -> bool:
    """Whether a prediction has a position for each of x."""
    return spec.task == "next_token"


def _loss(whole: Whole, batch: Batch) -> Tensor:
    loss: Tensor = whole.head.loss(whole(batch), batch)
    return loss


def _predict(whole: Whole, batch: Batch) -> Tensor:
    module(whole).eval()
    with torch.no_grad():
        return whole(batch)


def _step(whole: Whole, batch: Batch, optimizer: torch.optim.Optimizer) -> float:
    optimizer.zero_grad()
    loss = _loss(whole, batch)
    torch.autograd.backward(loss)
    optimizer.step()
    return float(loss.detach())


def _few_losses(make: Make, spec: DataSpec) -> list[float]:
    whole = seeded(make)
    optimizer = torch.optim.AdamW(module(whole).parameters(), lr=OVERFIT_RATE)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return [_step(whole, fake_batch(spec, seed=k), optimizer) for k in range(3)]


def _other(x: Tensor, drawn: Tensor, spec: DataSpec) -> Tensor:
    """Values that differ from x everywhere: other tokens, or other draws."""
    return (x + 1 + drawn % (spec.vocabulary - 1)) % spec.vocabulary if spec.vocabulary else drawn


def _cut(batch: Batch, k: int, spec: DataSpec) -> tuple[Batch, str]:
    """Sample k as a batch of its own, cut to its length, and its length in words."""
    if batch.lengths is None:
        one = batch._replace(x=batch.x[k, None], y=batch.y[k, None])
        return one._replace(y_lengths=_one(batch.y_lengths, k)), "whole"
    steps = int(batch.lengths[k])
    y = batch.y[k, None, :steps] if _aligned(spec) else batch.y[k, None]
    one = Batch(batch.x[k, None, :steps], y, batch.lengths[k, None], _one(batch.y_lengths, k))
    return one, f"{steps} steps long"


def _one(lengths: Tensor | None, k: int) -> Tensor | None:
    return None if lengths is None else lengths[k, None]


def _soil(x: Tensor, mask: Tensor | None) -> Tensor:
    if mask is None:
        return x
    draw = torch.Generator().manual_seed(2)
    dirt = 100 * torch.randn(x.shape, generator=draw, dtype=x.dtype)
    return torch.where(mask.reshape(*mask.shape, *[1] * (x.dim() - 2)), x, dirt)


def _doubled(value: Tensor) -> Tensor:
    return value.double() if value.is_floating_point() else value


def _same(first: Tensor, second: Tensor, message: str) -> None:
    assert first.shape == second.shape, f"{message} ({first.shape} against {second.shape})"
    far = (first - second).abs().max() if first.numel() else torch.tensor(0.0)
    assert far <= CLOSE * (1 + first.abs().max()), f"{message} (by up to {far:.2g})"
