"""One process against two: the gradients of a batch are those of its two halves, put together."""

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
from torch import Tensor, distributed, nn
from torch.distributed import FileStore  # type: ignore[attr-defined]
from torch.nn.parallel import DistributedDataParallel

from quintain.contracts import Batch, DataSpec
from quintain.testing.specs import fake_batch
from quintain.testing.wiring import Whole, module, seeded

WORLD = 2
LIMIT = timedelta(seconds=200)  # that a process waits for the other, on a machine under load
CLOSE = 1e-8  # float64: sums in another order

Gradients = dict[str, Tensor]


def two_processes(make: Callable[[], Whole], spec: DataSpec) -> None:
    """DDP over two processes gives the gradients of one, in float64; needs gloo and fork.

    It fails where samples of a batch look at each other in training, where the graph differs from
    batch to batch, and where `head.weight` is not what `head.loss` is a mean over.
    """
    if not can_be_checked():
        return
    batch = _doubled(fake_batch(spec))
    quiet = _draws(make, batch)
    one = _gradients(_made(make, quiet), batch, 1.0)
    two = _over_ranks(make, batch, quiet)
    assert one.keys() == two.keys(), f"gradients reach {sorted(one)} alone, {sorted(two)} in two"
    for name, gradient in one.items():
        far = (gradient - two[name]).abs().max()
        assert far <= CLOSE * (1 + gradient.abs().max()), (
            f"the gradient of {name} in two processes is off by up to {far:.2g}: in training"
            " samples of a batch look at each other (BatchNorm?), or head.weight is not what"
            " head.loss is a mean over"
        )


def can_be_checked() -> bool:
    """Processes can be forked here and talk through gloo; autograd's threads of GPUs forbid it."""
    forks = "fork" in multiprocessing.get_all_start_methods()
    return forks and distributed.is_gloo_available() and not torch.cuda.is_available()


def _made(make: Callable[[], Whole], quiet: bool) -> nn.Module:
    """In double precision and, where it draws at random in training, without that."""
    return module(seeded(make)).double().train(not quiet)


def _draws(make: Callable[[], Whole], batch: Batch) -> bool:
    """Whether training draws at random: two ranks would draw apart."""
    found = []
    for seed in (1, 2):
        with torch.random.fork_rng(devices=[]):
            model = _made(make, False)
            torch.manual_seed(seed)
            found.append(_gradients(model, batch, 1.0))
    return any(not torch.equal(value, found[1][name]) for name, value in found[0].items())


def _gradients(model: nn.Module, batch: Batch, factor: float) -> Gradients:
    inner = cast(Whole, getattr(model, "module", model))
    torch.autograd.backward(inner.head.loss(model(batch), batch) * factor)
    named = module(inner).named_parameters()
    return {name: p.grad for name, p in named if p.grad is not None}


def _over_ranks(make: Callable[[], Whole], batch: Batch, quiet: bool) -> Gradients:
    """What rank 0 of two forks of this process finds."""
    context = multiprocessing.get_context("fork")
    with tempfile.TemporaryDirectory(prefix="quintain-check-") as folder:
        pipes = [context.Pipe(duplex=False) for _ in range(WORLD)]  # two writers to one would mix
        file = Path(folder) / "store"
        ranks = [
            context.Process(target=_rank, args=(rank, file, make, batch, quiet, theirs))
            for rank, (_, theirs) in enumerate(pipes)
        ]
        with _ended(ranks):
            for _, theirs in pipes:
                theirs.close()
            for said in _answers([ours for ours, _ in pipes]):
                assert not isinstance(said, str), f"in two processes: {said}"
                if said is not None:
                    return {name: torch.from_numpy(value) for name, value in said.items()}
    raise AssertionError("rank 0 of two processes has no gradients")


def _answers(pipes: list[Connection]) -> Iterator[Any]:
    """What each process says, as it says it."""
    waiting: list[Any] = list(pipes)
    while waiting:
        ready = connection.wait(waiting, patience := 2 * LIMIT.total_seconds())
        assert ready, f"two processes gave no answer within {patience:.0f} s"
        for pipe in ready:
            waiting.remove(pipe)
            try:
                yield cast(Connection, pipe).recv()
            except EOFError:
                raise AssertionError("a process of two ended without a word") from None


@contextlib.contextmanager
def _ended(ranks: list[Any]) -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # Python 3.12 warns of fork and threads
        for rank in ranks:
            rank.start()
    try:
        yield
        for rank in ranks:
            rank.join(LIMIT.total_seconds())
    finally:
        for rank in ranks:
            rank.kill()
            rank.join()


def _rank(
    rank: int,
    file: Path,
    make: Callable[[], Whole],
    batch: Batch,
    quiet: bool,
    answer: Connection,
) -> None:
    """Tells the gradients (rank 0), None (the other), or in words what went wrong."""
    torch.set_num_threads(1)  # OpenMP's threads did not come along, and it would wait for them
    store = FileStore(str(file), WORLD)
    try:
        distributed.init_process_group(
            "gloo", store=store, rank=rank, world_size=WORLD, timeout=LIMIT
        )
        found = _share(rank, make, batch, quiet)
        answer.send({k: v.numpy() for k, v in found.items()} if rank == 0 else None)
        distributed.destroy_process_group()
    except Exception as error:
        answer.send(f"{type(error).__name__}: {error}")


def _share(rank: int, make: Callable[[], Whole], batch: Batch, quiet: bool) -> Gradients:
    parts = [_part(batch, k) for k in range(WORLD)]
    model = _made(make, quiet)
    weights = [cast(Whole, model).head.weight(part) for part in parts]
    together = DistributedDataParallel(model)
    return _gradients(together, parts[rank], WORLD * weights[rank] / sum(weights))


def _part(batch: Batch, rank: int) -> Batch:
    """Two thirds for rank 0 and the rest for rank 1, so that weights matter."""
    cut = 2 * len(batch.x) // 3
    share = slice(cut, None) if rank else slice(cut)
    return Batch(*(None if t is None else t[share] for t in batch))  # type: ignore[arg-type]


def _doubled(batch: Batch) -> Batch:
    x, y = (t.double() if t.is_floating_point() else t for t in batch[:2])
    return batch._replace(x=x, y=y)
