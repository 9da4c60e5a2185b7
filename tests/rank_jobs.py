"""Several ranks for tests: forks of the warm server that train the same cells together."""

from __future__ import annotations

import faulthandler
import warnings
from collections.abc import Sequence
from datetime import timedelta
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

from cells_factory import node

from quintain.compose.cells import PARTS, Cell, make_cell
from quintain.contracts import Batch, Split
from quintain.launch.server import context, warm
from quintain.plugins.hardware.cpu_ddp import CpuDdp
from quintain.run.checkpoint import Interrupted, Keeper
from quintain.run.shared import SharedKeeper
from quintain.testing.specs import EXAMPLE_SPECS, SPLITS, ExampleDataset, fake_batch

SILENCE = 600.0  # seconds in which some rank must get on to its next job, on a machine under load
PATIENCE = timedelta(seconds=SILENCE / 2)  # that a rank has with another


class Example(ExampleDataset):
    """`samples` random ones a split, of the example that has this name."""

    def __init__(self, name: str, samples: tuple[int, int, int]) -> None:
        super().__init__(next(spec for spec in EXAMPLE_SPECS if spec.name == name))
        self.samples = samples

    def load(self) -> dict[Split, Batch]:
        counted = enumerate(zip(SPLITS, self.samples, strict=True))
        return {split: fake_batch(self.spec, count, seed) for seed, (split, count) in counted}


def spread(
    example: str, core: str, *, samples: tuple[int, int, int] = (20, 11, 7), **settings: Any
) -> Cell:
    """A small cell in float64, so that sums differ by rounding only; ranks are the caller's."""
    spec = next(spec for spec in EXAMPLE_SPECS if spec.name == example)
    config = {
        "dataset": {"_target_": "rank_jobs.Example", "name": example, "samples": list(samples)},
        "stem": node("stem", spec.modality),
        "head": node("head", spec.task),
        "model": node("model", core) | {"width": 6.0},
        "optimizer": node("optimizer", "adamw"),
        "hardware": node("hardware", "cpu_ddp") | {"precision": "64-true"},
        "budget": {"_target_": "quintain.run.budget.Budget", "params": None, "validations": 2},
    }
    config["budget"] |= {"steps": 4, "batch_size": 7}
    for part, changes in settings.items():
        config[part] = config[part] | changes
    return make_cell(config, dict.fromkeys(PARTS, example), seed=1)


class Spread(CpuDdp):
    """The ranks share one model between them, as those of `cuda_fsdp` do."""

    def trainer_arguments(self) -> dict[str, Any]:
        plain = super().trainer_arguments()
        return plain | ({"strategy": "fsdp"} if "strategy" in plain else {})


class Stops(Keeper):
    """Is asked to leave when training has come so far."""

    def __init__(self, folder: Path, chunks: int, key: str) -> None:
        super().__init__(folder, key, every=None)
        self.chunks = chunks

    def due(self) -> bool:
        self.chunks -= 1
        self.asked = self.chunks < 0
        return super().due()

    def hear(self) -> None: ...


Leaves = tuple[Path, int]
"""Where a run's state is kept, and the chunks after which it is asked to leave."""


def learn_together(
    world: int, cells: Sequence[str], leaves: Sequence[Leaves | None] = ()
) -> list[list[dict[str, Any]]]:
    """For each rank, for each cell (as JSON): weights, curve, test scores; an error as text."""
    from torch.distributed import TCPStore

    warm()
    jobs = list(zip(cells, leaves or [None] * len(cells), strict=True))
    store = TCPStore("127.0.0.1", 0, world + 1, is_master=True, wait_for_workers=False)
    pipes, processes = [], []
    for rank in range(world):
        ours, theirs = context().Pipe(duplex=False)
        process = context().Process(target=_rank, args=(rank, world, store.port, jobs, theirs))
        process.start()
        theirs.close()
        pipes.append(ours)
        processes.append(process)
    try:
        return _heard(pipes, processes)
    finally:
        for process in processes:
            process.kill()
            process.join()


def _heard(
    pipes: Sequence[Connection], processes: Sequence[BaseProcess]
) -> list[list[dict[str, Any]]]:
    """What all ranks have found; fails as soon as one is dead, or where none gets on."""
    found: dict[int, list[dict[str, Any]]] = {}
    jobs = [-1] * len(pipes)
    while len(found) < len(pipes):
        open_pipes = [pipe for rank, pipe in enumerate(pipes) if rank not in found]
        ready = wait(open_pipes, timeout=SILENCE)
        assert ready, f"no rank got on for {SILENCE:g} s; they are at jobs {jobs} (from 0)"
        for rank, pipe in enumerate(pipes):
            if pipe not in ready:
                continue
            try:
                said = pipe.recv()
            except EOFError:
                processes[rank].join()
                code = processes[rank].exitcode
                raise AssertionError(f"rank {rank} ended by {code} in job {jobs[rank]}") from None
            if isinstance(said, int):
                jobs[rank] = said
            else:
                found[rank] = said
    return [found[rank] for rank in range(len(pipes))]


def _rank(
    rank: int, world: int, port: int, jobs: Sequence[tuple[str, Leaves | None]], pipe: Connection
) -> None:
    """Tells the number of each job before it begins, and last what came of all."""
    from torch.distributed import PrefixStore, TCPStore

    from quintain.kit.cluster import Place
    from quintain.run.quiet import quiet
    from quintain.run.ranks import Ranks

    warnings.simplefilter("error")
    place = Place(rank=rank, local_rank=rank, world=world, address="", port=port)
    store = TCPStore("127.0.0.1", port, world + 1, is_master=False, wait_for_workers=False)
    found = []
    for index, (text, leaves) in enumerate(jobs):
        pipe.send(index)
        faulthandler.dump_traceback_later(0.9 * SILENCE)  # where it hangs
        apart = PrefixStore(str(index), store)
        ranks = Ranks() if world == 1 else Ranks(place, apart, PATIENCE)
        try:
            with quiet():
                found.append(_learned(Cell.from_json(text), ranks, leaves))
        except (Exception, Interrupted) as error:
            found.append({"error": f"{type(error).__name__}: {error}"})
            ranks.leave()
    faulthandler.cancel_dump_traceback_later()
    pipe.send(found)


def _learned(job: Cell, ranks: Any, leaves: Leaves | None) -> dict[str, Any]:
    from quintain.run.execute import _learn, _prepare

    kind = Spread if job.config["hardware"].get("strategy") == "fsdp" else CpuDdp
    hardware = kind(devices=ranks.world, precision=job.config["hardware"]["precision"])
    run = _prepare(job, hardware, ranks)
    if leaves is not None:
        run.keeper = SharedKeeper(ranks, Stops(*leaves, job.key) if ranks.rank == 0 else None)
    done = _learn(run, lambda step, steps: None)
    trace = done.task.trace
    return {
        "weights": {k: v.numpy() for k, v in done.task.model.state_dict().items()},
        "curve": [(p.step, p.train_loss, p.scores) for p in trace.curve],
        "test": trace.test,
        "steps": done.task.steps_done,
        "reports": [len(said.step_ms) for said in run.reports],
        "resumed_at": run.before["steps"] if run.before else 0,
    }
