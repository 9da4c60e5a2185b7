"""Checks that a model keeps its contract; an AssertionError tells the plugin's author what to fix.

Each check takes a function that builds a new model (stem, core and head) and the `DataSpec` of its
data. A check that does not apply, such as causality of a classifier, passes.
"""

from __future__ import annotations

import copy
import functools
import io
import json
from collections.abc import Callable

import torch
from torch import Tensor

from quintain.contracts import Batch, DataSpec, Features
from quintain.model import Model
from quintain.testing.model_building import build_seeded
from quintain.testing.specs import ExampleDataset, fake_batch
from quintain.testing.two_processes import check_two_processes

Make = Callable[[], Model]
Check = Callable[[Make, DataSpec], None]

TOLERANCE = 1e-4  # relative; float32 rounding of a few layers whose kernels differ with the shape
OVERFIT_STEPS = 150
OVERFIT_LOSS = 0.5  # must be reached, as a fraction of the first loss
LEARNING_RATE = 1e-2


def check_shapes(make: Make, spec: DataSpec) -> None:
    """The outputs of stem and core match their `out`; the loss is one finite number."""
    model, batch = build_seeded(make), fake_batch(spec)
    x, mask = model.stem(batch.x, batch.lengths)
    _check_features("stem", x, mask, model.stem.out, len(batch.x))
    x, mask = model.core(x, mask)
    _check_features("core", x, mask, model.core.out, len(batch.x))
    prediction = model.head(x, mask, batch)
    assert len(prediction) == len(batch.x), (
        f"the first axis of head's output must be the batch of {len(batch.x)} samples, got shape"
        f" {tuple(prediction.shape)}"
    )
    loss = model.head.loss(prediction, batch)
    assert loss.dim() == 0 and loss.isfinite(), f"the loss must be one finite number, got {loss}"


def check_scores(make: Make, spec: DataSpec) -> None:
    """The head's metrics have the names of its `scores`, and finite values."""
    model, batch = build_seeded(make).eval(), fake_batch(spec)
    dataset, names = ExampleDataset(spec), [score.name for score in model.head.scores]
    metrics = model.head.metrics(dataset)
    message = f"head.metrics must have the names of head.scores: expected {names}, got {[*metrics]}"
    assert list(metrics) == names, message
    with torch.no_grad():
        prediction = model.predict(batch)
        model.head.update(metrics, prediction, batch)
    samples = model.head.samples(prediction, batch, dataset)
    is_complete = all({"truth", "prediction"} <= set(sample) for sample in samples)
    assert len(samples) == len(batch.x) and is_complete, (
        f"head.samples must return truth and prediction of each of {len(batch.x)} samples, got"
        f" {samples}"
    )
    json.dumps(samples, allow_nan=False)
    for name, metric in metrics.items():
        value = metric.compute()
        assert value.isfinite(), f"{name} must be finite after one batch, got {value}"


def check_gradients(make: Make, spec: DataSpec) -> None:
    """Every trainable parameter has a gradient that is finite and not all zero."""
    model = build_seeded(make)
    torch.autograd.backward(_loss(model, fake_batch(spec)))
    unused = []
    for name, parameter in model.named_parameters():
        gradient = parameter.grad
        if parameter.requires_grad and (gradient is None or not gradient.any()):
            unused.append(name)
        is_finite = gradient is None or gradient.isfinite().all()
        assert is_finite, f"the gradient of {name} has NaN or infinity"
    assert not unused, (
        f"no gradient reaches {', '.join(unused)}; use these parameters, or freeze them"
    )


def check_causality(make: Make, spec: DataSpec) -> None:
    """If the head is causal, later inputs do not change earlier outputs, at every step."""
    model, batch = build_seeded(make), fake_batch(spec)
    if not model.head.causal:
        return
    before = _output(model, batch)
    for step in range(1, spec.shape[0]):
        x = batch.x.clone()
        x[:, step:] = _different_values(batch.x, fake_batch(spec, seed=1).x, spec)[:, step:]
        after = _output(model, batch._replace(x=x))
        message = f"the core uses later inputs: new ones from step {step} on change earlier outputs"
        _assert_close(before[:, :step], after[:, :step], message)


def check_decoder(make: Make, spec: DataSpec) -> None:
    """For the task generate, later symbols and padding of y do not change earlier logits."""
    if spec.task != "generate":
        return
    model, batch = build_seeded(make), fake_batch(spec)
    before = _output(model, batch)
    for position in range(spec.target_length):
        y = batch.y.clone()
        y[:, position:] = (y[:, position:] + 1) % spec.symbols
        after = _output(model, batch._replace(y=y))
        message = (
            f"the decoder uses later symbols: new ones from {position} on change earlier logits"
        )
        _assert_close(before[:, : position + 1], after[:, : position + 1], message)
    assert batch.y_lengths is not None
    for k, length in enumerate(batch.y_lengths.tolist()):
        sample, _ = _select_sample(batch, k, spec)
        unpadded = _output(model, sample._replace(y=sample.y[:, :length]))
        message = f"the padding of y changes the logits of sample {k}"
        _assert_close(before[k, None, : length + 1], unpadded, message)


def check_single_sample(make: Make, spec: DataSpec) -> None:
    """The output for a sample is the same in a padded batch as alone and cut to its length."""
    model, batch = build_seeded(make), fake_batch(spec)
    together = _output(model, batch)
    for k in range(len(batch.x)):
        sample, length = _select_sample(batch, k, spec)
        alone, in_batch = _output(model, sample), together[k, None]
        if model.head.output_mode == "positions":
            in_batch = in_batch[:, : alone.shape[1]]
        message = (
            f"sample {k} ({length}) is predicted differently alone and in a batch: the output"
            " depends on padding or on other samples"
        )
        _assert_close(in_batch, alone, message)


def check_padding(make: Make, spec: DataSpec) -> None:
    """Values at masked steps, before and after the core, do not change outputs at valid steps."""
    model, batch = build_seeded(make).eval(), fake_batch(spec)
    with torch.no_grad():
        x, mask = model.stem(batch.x, batch.lengths)
        if mask is None:
            return
        clean_x, clean_mask = model.core(x, mask)
        noisy_x, noisy_mask = model.core(_fill_padding_with_noise(x, mask), mask)
        assert clean_mask is noisy_mask or (
            clean_mask is not None
            and noisy_mask is not None
            and torch.equal(clean_mask, noisy_mask)
        ), "the core's mask depends on values at masked steps"
        clean = model.head(clean_x, clean_mask, batch)
        noisy = model.head(_fill_padding_with_noise(noisy_x, noisy_mask), noisy_mask, batch)
    if spec.task == "next_token":  # an output for each step of x
        clean, noisy = clean[mask], noisy[mask]
    message = (
        "values at masked steps change the output; quintain.plugin_api.mask_fill sets them to 0"
    )
    _assert_close(clean, noisy, message)


def check_overfitting(make: Make, spec: DataSpec) -> None:
    """Training on one batch halves its loss within 150 steps."""
    model, batch = build_seeded(make), fake_batch(spec)
    start = lowest = float(_loss(model, batch).detach())
    optimizer = torch.optim.AdamW(model.parameters(), lr=LEARNING_RATE)
    for _ in range(OVERFIT_STEPS):
        lowest = min(lowest, _train_step(model, batch, optimizer))
        if lowest < OVERFIT_LOSS * start:
            return
    raise AssertionError(
        f"the loss on one batch of {len(batch.x)} samples fell only from {start:.3g} to"
        f" {lowest:.3g} in {OVERFIT_STEPS} steps; expected below {OVERFIT_LOSS * start:.3g}"
    )


def check_determinism(make: Make, spec: DataSpec) -> None:
    """The same seed gives the same losses, bit for bit."""
    first, second = _first_losses(make, spec), _first_losses(make, spec)
    assert first == second, f"two runs with one seed differ: losses {first} and {second}"


def check_saving(make: Make, spec: DataSpec) -> None:
    """A model that loads another's `state_dict` with `weights_only` predicts the same."""
    model, other, batch = build_seeded(make), build_seeded(make, seed=1), fake_batch(spec)
    buffer = io.BytesIO()
    torch.save(model.state_dict(), buffer)
    buffer.seek(0)
    other.load_state_dict(torch.load(buffer, weights_only=True))
    assert torch.equal(_output(model, batch), _output(other, batch)), (
        "a model loaded from another's state_dict predicts differently: the state_dict lacks some"
        " state; use parameters and register_buffer"
    )


def check_float64(make: Make, spec: DataSpec) -> None:
    """In float64 the output has that dtype, and is close to the output in float32."""
    model, batch = build_seeded(make), fake_batch(spec)
    x, y = (value.double() if value.is_floating_point() else value for value in batch[:2])
    prediction = _output(copy.deepcopy(model).double(), batch._replace(x=x, y=y))
    assert prediction.dtype == torch.float64, (
        f"with float64 inputs and weights the output must be float64, got {prediction.dtype}"
    )
    _assert_close(_output(model, batch).double(), prediction, "float32 and float64 disagree")


def _without_compiling(check: Check) -> Check:
    """Let a check call the Python code of modules that `torch.compile` would compile.

    The contract is about what a model computes. Compiling takes minutes, and starts threads that
    forbid the fork of `check_two_processes`.
    """

    @functools.wraps(check)
    def eager_check(make: Make, spec: DataSpec) -> None:
        with torch.compiler.set_stance("force_eager"):
            check(make, spec)

    return eager_check


MODEL_CHECKS: tuple[tuple[str, Check], ...] = tuple(
    (check.__name__.removeprefix("check_"), _without_compiling(check))
    for check in (
        check_shapes, check_scores, check_gradients, check_causality, check_decoder,
        check_single_sample, check_padding, check_overfitting, check_determinism, check_saving,
        check_float64, check_two_processes,
    )
)  # fmt: skip
"""Names and functions of the checks, which a model must pass on each example that it supports."""


def _check_features(part: str, x: Tensor, mask: Tensor | None, out: Features, size: int) -> None:
    expected = (size, *out.grid, out.dim)
    assert tuple(x.shape) == expected, (
        f"the {part} returns shape {tuple(x.shape)}; its `out` describes {expected}"
    )
    assert (mask is not None) == out.masked, (
        f"the {part}'s `out` has masked={out.masked}, but its mask is {mask}"
    )
    assert mask is None or tuple(mask.shape) == expected[:2], (
        f"the {part}'s mask has shape {tuple(mask.shape)}; expected {expected[:2]}"
    )


def _loss(model: Model, batch: Batch) -> Tensor:
    return model.head.loss(model(batch), batch)


def _output(model: Model, batch: Batch) -> Tensor:
    """Return the head's raw output in evaluation mode."""
    model.eval()
    with torch.no_grad():
        return model.forward(batch)


def _train_step(model: Model, batch: Batch, optimizer: torch.optim.Optimizer) -> float:
    optimizer.zero_grad()
    loss = _loss(model, batch)
    torch.autograd.backward(loss)
    optimizer.step()
    return float(loss.detach())


def _first_losses(make: Make, spec: DataSpec) -> list[float]:
    model = build_seeded(make)
    optimizer = torch.optim.AdamW(model.parameters(), lr=LEARNING_RATE)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return [_train_step(model, fake_batch(spec, seed=k), optimizer) for k in range(3)]


def _different_values(x: Tensor, random: Tensor, spec: DataSpec) -> Tensor:
    """Return `random`, or for text tokens that differ from x everywhere."""
    return (x + 1 + random % (spec.vocabulary - 1)) % spec.vocabulary if spec.vocabulary else random


def _select_sample(batch: Batch, k: int, spec: DataSpec) -> tuple[Batch, str]:
    """Return sample k as a batch, cut to its length, and its length in words."""
    steps = None if batch.lengths is None else int(batch.lengths[k])
    y = batch.y[k, None, :steps] if spec.task == "next_token" else batch.y[k, None]
    lengths, y_lengths = (
        None if value is None else value[k, None] for value in (batch.lengths, batch.y_lengths)
    )
    sample = Batch(batch.x[k, None, :steps], y, lengths, y_lengths)
    return sample, "not ragged" if steps is None else f"{steps} steps long"


def _fill_padding_with_noise(x: Tensor, mask: Tensor | None) -> Tensor:
    if mask is None:
        return x
    generator = torch.Generator().manual_seed(2)
    noise = 100 * torch.randn(x.shape, generator=generator, dtype=x.dtype)
    return torch.where(mask.reshape(*mask.shape, *[1] * (x.dim() - 2)), x, noise)


def _assert_close(first: Tensor, second: Tensor, message: str) -> None:
    assert first.shape == second.shape, f"{message} ({first.shape} against {second.shape})"
    difference = (first - second).abs().max() if first.numel() else torch.tensor(0.0)
    assert difference <= TOLERANCE * (1 + first.abs().max()), f"{message} (by {difference:.2g})"
