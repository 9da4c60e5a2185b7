"""What a run must remember to go on bit for bit: plain values and tensors, in and out."""

from __future__ import annotations

import random
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

if TYPE_CHECKING:
    from quintain.run.task import Task

State = dict[str, Any]


def draws() -> State:
    """The state of every generator of random numbers that a run may ask."""
    drawn: Any = np.random.get_state()
    name, words, place, has_normal, normal = drawn
    version, numbers, following = random.getstate()
    found: State = {
        "torch": torch.get_rng_state(),
        "numpy": [str(name), words.tolist(), int(place), int(has_normal), float(normal)],
        "python": [version, list(numbers), following],
    }
    if torch.cuda.is_available() and torch.cuda.is_initialized():  # type: ignore[no-untyped-call]
        found["cuda"] = torch.cuda.get_rng_state()
    if torch.backends.mps.is_available():
        found["mps"] = torch.mps.get_rng_state()
    return found


def draw_on(state: State) -> None:
    """Go on with the random numbers of `draws`."""
    torch.set_rng_state(state["torch"])
    name, words, place, has_normal, normal = state["numpy"]
    np.random.set_state((name, np.array(words, dtype=np.uint32), place, has_normal, normal))
    version, numbers, following = state["python"]
    random.setstate((version, tuple(numbers), following))
    if "cuda" in state:
        torch.cuda.set_rng_state(state["cuda"])
    if "mps" in state:
        torch.mps.set_rng_state(state["mps"])


def captured(task: Task, optimizer: torch.optim.Optimizer) -> State:
    """All that training has changed: weights, the optimizer, what was noted, the clocks."""
    trace = task.trace
    return {
        "model": task.model.state_dict(),
        "optimizer": optimizer.state_dict(),
        "steps": task.steps_done,
        "pieces": [task.pieces.training, task.pieces.evaluation],
        "losses": torch.stack(task.losses) if task.losses else None,
        "curve": [asdict(point) for point in trace.curve],
        "best": None if trace.best is None else trace.curve.index(trace.best),
        "weights": trace.weights,
        "step_ms": torch.tensor(trace.step_ms, dtype=torch.float64),
        "shared_ms": torch.tensor(trace.shared_ms, dtype=torch.float64),
        "seconds": task.clocks.seconds(),
    }


def put_back(task: Task, state: State) -> None:
    """The opposite, but for the optimizer, which is made later.

    Raises:
        Exception: what torch says of tensors that do not fit; the task is then spoilt.
    """
    from quintain.run.task import Point

    trace = task.trace
    task.model.load_state_dict(state["model"])
    task.steps_done = state["steps"]
    task.pieces.training, task.pieces.evaluation = state["pieces"]
    losses: Tensor | None = state["losses"]
    task.losses = [] if losses is None else list(losses.unbind())
    trace.curve = [Point(**point) for point in state["curve"]]
    trace.best = None if state["best"] is None else trace.curve[state["best"]]
    trace.weights = state["weights"]
    trace.step_ms, trace.shared_ms = state["step_ms"].tolist(), state["shared_ms"].tolist()
    task.clocks.add(state["seconds"])
