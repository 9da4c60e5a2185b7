"""Several ranks for tests: forks of a warm server that train the same cells together."""

from __future__ import annotations

import faulthandler
import warnings
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

from helpers.cell_factory import load_option, resolve
from helpers.resume_checks import StoppingCheckpointer
from quintain.compose.settings import PARTS
from quintain.contracts import Batch, RankPlacement, Split
from quintain.errors import Interrupted
from quintain.launch.fork_server import fork_context, start_fork_server
from quintain.plan.cell import Cell, make_cell
from quintain.plugins.hardware.cpu_ddp import CpuDdp
from quintain.run.distributed.distributed_checkpoint import DistributedCheckpointer
from quintain.testing.specs import EXAMPLE_SPECS, SPLITS, ExampleDataset, fake_batch

JOB_TIMEOUT = 600.0  # seconds in which some rank must begin its next job, on a machine under load
RANK_TIMEOUT = timedelta(seconds=JOB_TIMEOUT / 2)  # that a rank waits for another


class Example(ExampleDataset):
    """Random samples of the example specification of a name; `samples` of each split."""

    def __init__(self, name: str, samples: tuple[int, int, int]) -> None:
        super().__init__(next(spec for spec in EXAMPLE_SPECS if spec.name == name))
        self.samples = samples

    def load(self) -> dict[Split, Batch]:
        sizes = enumerate(zip(SPLITS, self.samples, strict=True))
        return {split: fake_batch(self.spec, size, seed) for seed, (split, size) in sizes}


def build_rank_cell(
    example: str, core: str, *, samples: tuple[int, int, int] = (20, 11, 7), **settings: Any
) -> Cell:
    """Return a small cell in float64, so that sums over ranks differ by rounding only."""
    spec = next(spec for spec in EXAMPLE_SPECS if spec.name == example)
    config = {
        "dataset": {
            "_target_": "helpers.rank_jobs.Example",
            "name": example,
            "samples": list(samples),
        },
        "stem": load_option("stem", spec.modality),
        "head": load_option("head", spec.task),
        "model": load_option("model", core) | {"width": 6.0},
        "optimizer": load_option("optimizer", "adamw"),
        "hardware": load_option("hardware", "cpu_ddp") | {"precision": "64-true"},
        "budget": {"_target_": "quintain.run.budget.Budget", "params": None, "validations": 2},
    }
    config["budget"] |= {"steps": 4, "batch_size": 7}
    for part, values in settings.items():
        config[part] = config[part] | values
    return make_cell(resolve(config), dict.fromkeys(PARTS, example), seed=1)


class CpuFsdp(CpuDdp):
    """Ranks on the CPU that share one model, as those of `cuda_fsdp` do."""

    def trainer_arguments(self) -> dict[str, Any]:
        arguments = super().trainer_arguments()
        return arguments | ({"strategy": "fsdp"} if "strategy" in arguments else {})


Preemption = tuple[Path, int]
"""Folder of a run's checkpoints, and the chunks after which the run is preempted."""


def train_on_ranks(
    world_size: int, cells: Sequence[str], preemptions: Sequence[Preemption | None] = ()
) -> list[list[dict[str, Any]]]:
    """Return for each rank and each cell (as JSON) weights, curve and test scores, or an error."""
    from torch.distributed import TCPStore

    start_fork_server()
    jobs = list(zip(cells, preemptions or [None] * len(cells), strict=True))
    store = TCPStore("127.0.0.1", 0, world_size + 1, is_master=True, wait_for_workers=False)
    pipes, processes = [], []
    for rank in range(world_size):
        receiver, sender = fork_context().Pipe(duplex=False)
        arguments = (rank, world_size, store.port, jobs, sender)
        process = fork_context().Process(target=_run_rank, args=arguments)
        process.start()
        sender.close()
        pipes.append(receiver)
        processes.append(process)
    try:
        return _receive_results(pipes, processes)
    finally:
        for process in processes:
            process.kill()
            process.join()


def _receive_results(
    pipes: Sequence[Connection], processes: Sequence[BaseProcess]
) -> list[list[dict[str, Any]]]:
    """Wait for all ranks; fail as soon as one has died or none begins its next job."""
    results: dict[int, list[dict[str, Any]]] = {}
    jobs = [-1] * len(pipes)
    while len(results) < len(pipes):
        open_pipes = [pipe for rank, pipe in enumerate(pipes) if rank not in results]
        ready = wait(open_pipes, timeout=JOB_TIMEOUT)
        assert ready, f"no rank began a job for {JOB_TIMEOUT:g} s; jobs from 0: {jobs}"
        for rank, pipe in enumerate(pipes):
            if pipe not in ready:
                continue
            try:
                message = pipe.recv()
            except EOFError:
                processes[rank].join()
                code = processes[rank].exitcode
                raise AssertionError(f"rank {rank} ended by {code} in job {jobs[rank]}") from None
            if isinstance(message, int):
                jobs[rank] = message
            else:
                results[rank] = message
    return [results[rank] for rank in range(len(pipes))]


def _run_rank(
    rank: int,
    world_size: int,
    port: int,
    jobs: Sequence[tuple[str, Preemption | None]],
    pipe: Connection,
) -> None:
    """Send the number of each job before it begins, and at the end all results."""
    from torch.distributed import PrefixStore, TCPStore

    from quintain.run.distributed.context import DistContext
    from quintain.run.log_filters import filter_logs

    warnings.simplefilter("error")
    placement = RankPlacement(
        rank=rank, local_rank=rank, world_size=world_size, address="", port=port
    )
    store = TCPStore("127.0.0.1", port, world_size + 1, is_master=False, wait_for_workers=False)
    results = []
    for index, (text, preemption) in enumerate(jobs):
        pipe.send(index)
        faulthandler.dump_traceback_later(0.9 * JOB_TIMEOUT)  # shows where a rank hangs
        job_store = PrefixStore(str(index), store)
        alone = world_size == 1
        dist = DistContext() if alone else DistContext(placement, job_store, RANK_TIMEOUT)
        try:
            with filter_logs():
                results.append(_train(Cell.from_json(text), dist, preemption))
        except (Exception, Interrupted) as error:
            results.append({"error": f"{type(error).__name__}: {error}"})
            dist.destroy()
    faulthandler.cancel_dump_traceback_later()
    pipe.send(results)


def _train(cell: Cell, dist: Any, preemption: Preemption | None) -> dict[str, Any]:
    from quintain.run.session import prepare_run
    from quintain.run.training import train_and_test

    kind = CpuFsdp if cell.config["hardware"].get("strategy") == "fsdp" else CpuDdp
    hardware = kind(devices=dist.world_size, precision=cell.config["hardware"]["precision"])
    run = prepare_run(cell, hardware, dist)
    if preemption is not None:
        folder, chunks = preemption
        files = StoppingCheckpointer(folder, cell.key, chunks) if dist.rank == 0 else None
        run = replace(run, checkpointer=DistributedCheckpointer(dist, files))
    result = train_and_test(run)
    history = result.module.history
    return {
        "weights": {k: v.numpy() for k, v in result.module.model.state_dict().items()},
        "curve": [(p.step, p.train_loss, p.scores) for p in history.curve],
        "test": history.test,
        "steps": result.module.steps_done,
        "reports": [len(report.step_ms) for report in result.reports],
        "resumed_at": result.resume_step or 0,
    }
