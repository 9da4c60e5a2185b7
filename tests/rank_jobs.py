"""Several ranks for tests: forks of the warm server that train the same cells together."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from multiprocessing.connection import Connection
from typing import Any

from cells_factory import node

from quintain.compose.cells import PARTS, Cell, make_cell
from quintain.contracts import Batch, Split
from quintain.launch.server import context, warm
from quintain.testing.specs import EXAMPLE_SPECS, SPLITS, ExampleDataset, fake_batch

WAIT = 120


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


def learn_together(world: int, cells: Sequence[str]) -> list[list[dict[str, Any]]]:
    """For each rank, for each cell (as JSON): weights, curve, test scores; an error as text."""
    from torch.distributed import TCPStore

    warm()
    store = TCPStore("127.0.0.1", 0, world + 1, is_master=True, wait_for_workers=False)
    pipes, processes = [], []
    for rank in range(world):
        ours, theirs = context().Pipe(duplex=False)
        process = context().Process(target=_rank, args=(rank, world, store.port, cells, theirs))
        process.start()
        theirs.close()
        pipes.append(ours)
        processes.append(process)
    try:
        assert all(pipe.poll(WAIT) for pipe in pipes), "a rank does not answer"
        return [pipe.recv() for pipe in pipes]
    finally:
        for process in processes:
            process.kill()
            process.join()


def _rank(rank: int, world: int, port: int, cells: Sequence[str], pipe: Connection) -> None:
    from datetime import timedelta

    from torch.distributed import PrefixStore, TCPStore

    from quintain.kit.cluster import Place
    from quintain.run.quiet import quiet
    from quintain.run.ranks import Ranks

    warnings.simplefilter("error")
    place = Place(rank=rank, local_rank=rank, world=world, address="", port=port)
    store = TCPStore("127.0.0.1", port, world + 1, is_master=False, wait_for_workers=False)
    found = []
    for index, text in enumerate(cells):
        job = PrefixStore(str(index), store)
        ranks = Ranks() if world == 1 else Ranks(place, job, timedelta(seconds=60))
        try:
            with quiet():
                found.append(_learned(Cell.from_json(text), ranks))
        except Exception as error:
            found.append({"error": f"{type(error).__name__}: {error}"})
            ranks.leave()
    pipe.send(found)


def _learned(job: Cell, ranks: Any) -> dict[str, Any]:
    from quintain.plugins.hardware.cpu_ddp import CpuDdp
    from quintain.run.execute import _learn, _prepare

    hardware = CpuDdp(devices=ranks.world, precision=job.config["hardware"]["precision"])
    run = _prepare(job, hardware, ranks)
    done = _learn(run, lambda step, steps: None)
    trace = done.task.trace
    return {
        "weights": {k: v.numpy() for k, v in done.task.model.state_dict().items()},
        "curve": [(p.step, p.train_loss, p.scores) for p in trace.curve],
        "test": trace.test,
        "steps": done.task.steps_done,
        "reports": len(run.reports),
    }
