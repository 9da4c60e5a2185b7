"""A check of data parallelism: two processes must compute the same gradients as one."""

from __future__ import annotations

import contextlib
import multiprocessing
import tempfile
import warnings
from collections.abc import Callable, Iterator
from datetime import timedelta
from multiprocessing import connection
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor, distributed
from torch.distributed import FileStore  # type: ignore[attr-defined]
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.parallel import DistributedDataParallel

from quintain.contracts import Batch, DataSpec
from quintain.model import Model
from quintain.testing.model_building import build_seeded
from quintain.testing.specs import fake_batch

WORLD_SIZE = 2
TIMEOUT = timedelta(seconds=200)  # for one process to wait for the other, on a busy machine
TOLERANCE = 1e-8  # relative, in float64; the order of summation differs

Gradients = dict[str, Tensor]
Build = Callable[[], Model]


def check_two_processes(make: Callable[[], Model], spec: DataSpec) -> None:
    """DDP over two processes gives the gradients of one process, in float64.

    The check fails if samples of a batch influence each other in training, if the graph differs
    from batch to batch, or if `head.num_targets` does not count what `head.loss` averages over. It
    passes without a test if processes cannot be forked or gloo is missing.
    """
    if not can_fork_processes():
        return
    batch = _to_double(fake_batch(spec))
    is_random = _is_random(lambda: build_seeded(make).double(), batch)

    def build() -> Model:  # without dropout, because two ranks would draw different numbers
        return build_seeded(make).double().train(not is_random)

    model = build()
    single = _gradients(model, batch)
    unused = [n for n, p in model.named_parameters() if p.requires_grad and n not in single]
    assert not unused, (
        f"no gradient reaches {', '.join(unused)}: on several devices each trainable parameter must"
        " take part in each batch; use these parameters, or freeze them"
    )
    double = _gradients_of_two_ranks(build, batch)
    assert single.keys() == double.keys(), (
        f"one process has gradients of {sorted(single)}, two processes of {sorted(double)}; every"
        " parameter must be used for every batch"
    )
    for name, gradient in single.items():
        difference = (gradient - double[name]).abs().max()
        assert difference <= TOLERANCE * (1 + gradient.abs().max()), (
            f"the gradient of {name} in two processes differs by up to {difference:.2g}:"
            f" {_suspect_cause(model)}"
        )


def _suspect_cause(model: Model) -> str:
    norms = [
        f"{name} ({type(module).__name__})"
        for name, module in model.named_modules()
        if isinstance(module, _BatchNorm)
    ]
    if norms:
        return f"{', '.join(norms)} normalises over the samples of a batch; use LayerNorm"
    return (
        "either samples of a batch influence each other in training, or head.num_targets is not the"
        " number of targets that head.loss averages over"
    )


def can_fork_processes() -> bool:
    """Return whether the check is possible here; with a GPU autograd's threads forbid a fork."""
    can_fork = "fork" in multiprocessing.get_all_start_methods()
    return can_fork and distributed.is_gloo_available() and not torch.cuda.is_available()


def _is_random(build: Build, batch: Batch) -> bool:
    """Return whether the gradients depend on random numbers."""
    gradients = []
    for seed in (1, 2):
        with torch.random.fork_rng(devices=[]):
            model = build()
            torch.manual_seed(seed)
            gradients.append(_gradients(model, batch))
    first, second = gradients
    return any(not torch.equal(gradient, second[name]) for name, gradient in first.items())


def _gradients(
    model: Model | DistributedDataParallel, batch: Batch, factor: float = 1.0
) -> Gradients:
    inner = cast(Model, model.module) if isinstance(model, DistributedDataParallel) else model
    torch.autograd.backward(inner.head.loss(model(batch), batch) * factor)
    return {name: p.grad for name, p in inner.named_parameters() if p.grad is not None}


def _gradients_of_two_ranks(build: Build, batch: Batch) -> Gradients:
    """Return the gradients of rank 0 of two forks of this process."""
    context = multiprocessing.get_context("fork")
    with tempfile.TemporaryDirectory(prefix="quintain-check-") as folder:
        pipes = [context.Pipe(duplex=False) for _ in range(WORLD_SIZE)]
        store = Path(folder) / "store"
        ranks = [
            context.Process(target=_run_rank, args=(rank, store, build, batch, end))
            for rank, (_, end) in enumerate(pipes)
        ]
        with _started(ranks):
            for _, child_end in pipes:
                child_end.close()
            for answer in _receive_answers([parent_end for parent_end, _ in pipes]):
                assert not isinstance(answer, str), f"in two processes: {answer}"
                if answer is not None:
                    return {name: torch.from_numpy(value) for name, value in answer.items()}
    raise AssertionError("rank 0 of two processes has no gradients")


def _receive_answers(pipes: list[Connection]) -> Iterator[Any]:
    """Yield the answer of each process, the first one to answer first."""
    pending: list[Any] = list(pipes)
    timeout = 2 * TIMEOUT.total_seconds()
    while pending:
        ready = connection.wait(pending, timeout)
        assert ready, f"two processes gave no answer within {timeout:.0f} s"
        for pipe in ready:
            pending.remove(pipe)
            try:
                yield cast(Connection, pipe).recv()
            except EOFError:
                raise AssertionError("one of two processes ended without an answer") from None


@contextlib.contextmanager
def _started(processes: list[Any]) -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # Python 3.12: a fork with threads
        for process in processes:
            process.start()
    try:
        yield
        for process in processes:
            process.join(TIMEOUT.total_seconds())
    finally:
        for process in processes:
            process.kill()
            process.join()


def _run_rank(rank: int, store: Path, build: Build, batch: Batch, pipe: Connection) -> None:
    """Send the gradients (rank 0), None (rank 1), or the message of an error."""
    torch.set_num_threads(1)  # a fork has none of OpenMP's threads, and would wait for them
    try:
        distributed.init_process_group(
            "gloo", store=FileStore(str(store), WORLD_SIZE), rank=rank, world_size=WORLD_SIZE,
            timeout=TIMEOUT,
        )  # fmt: skip
        parts = [_part_of_batch(batch, k) for k in range(WORLD_SIZE)]
        model = build()
        counts = [model.head.num_targets(part) for part in parts]
        factor = WORLD_SIZE * counts[rank] / sum(counts)
        gradients = _gradients(DistributedDataParallel(model), parts[rank], factor)
        pipe.send({k: v.numpy() for k, v in gradients.items()} if rank == 0 else None)
        distributed.destroy_process_group()
    except Exception as error:
        pipe.send(f"{type(error).__name__}: {error}")


def _part_of_batch(batch: Batch, rank: int) -> Batch:
    """Return two thirds of the samples for rank 0, the rest for rank 1: unequal weights."""
    cut = 2 * len(batch.x) // 3
    rows = slice(cut, None) if rank else slice(cut)
    return Batch(*(None if t is None else t[rows] for t in batch))  # type: ignore[arg-type]


def _to_double(batch: Batch) -> Batch:
    x, y = (t.double() if t.is_floating_point() else t for t in batch[:2])
    return batch._replace(x=x, y=y)
