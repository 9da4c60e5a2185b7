"""The state with which a run resumes bit for bit, as plain values and tensors.

*Shared* state is equal on all ranks. *Local* state belongs to one rank: its random generators and
measurements. A loaded state is one dict with both.
"""

from __future__ import annotations

import random
from dataclasses import asdict
from typing import Any

import numpy as np
import torch

from quintain.run.train.checkpoint import State
from quintain.run.train.history import ValidationPoint
from quintain.run.train.module import TrainingModule


def get_rng_state() -> State:
    """Return the state of every random generator that a run may use."""
    numpy_state: Any = np.random.get_state()
    name, keys, position, has_normal, normal = numpy_state
    version, numbers, next_normal = random.getstate()
    state: State = {
        "torch": torch.get_rng_state(),
        "numpy": [str(name), keys.tolist(), int(position), int(has_normal), float(normal)],
        "python": [version, list(numbers), next_normal],
    }
    if torch.cuda.is_available() and torch.cuda.is_initialized():  # type: ignore[no-untyped-call]
        state["cuda"] = torch.cuda.get_rng_state()
    if torch.backends.mps.is_available():
        state["mps"] = torch.mps.get_rng_state()
    return state


def set_rng_state(state: State) -> None:
    """Set the random generators to a state from `get_rng_state`."""
    torch.set_rng_state(state["torch"])
    name, keys, position, has_normal, normal = state["numpy"]
    np.random.set_state((name, np.array(keys, dtype=np.uint32), position, has_normal, normal))
    version, numbers, next_normal = state["python"]
    random.setstate((version, tuple(numbers), next_normal))
    if "cuda" in state:
        torch.cuda.set_rng_state(state["cuda"])
    if "mps" in state:
        torch.mps.set_rng_state(state["mps"])


def state_dict(module: TrainingModule, optimizer: torch.optim.Optimizer) -> State:
    """Return the shared state of training."""
    history = module.history
    return {
        "model": module.model.state_dict(),
        "optimizer": optimizer.state_dict(),
        "steps": module.steps_done,
        "micro_batches": [module.micro_batcher.training, module.micro_batcher.evaluation],
        "losses": torch.stack(module.losses) if module.losses else None,
        "curve": [asdict(point) for point in history.curve],
        "best": None if history.best is None else history.curve.index(history.best),
        "best_weights": history.best_weights,
    }


def local_state_dict(module: TrainingModule) -> State:
    """Return the step times of this rank."""
    return {
        "step_ms": torch.tensor(module.history.step_ms, dtype=torch.float64),
        "all_reduce_ms": torch.tensor(module.history.all_reduce_ms, dtype=torch.float64),
    }


def load_state_dict(module: TrainingModule, state: State) -> None:
    """Load the state into a module whose optimizer does not exist yet.

    Raises:
        Exception: the state does not fit; the module must not be used.
    """
    history, losses = module.history, state["losses"]
    module.model.load_state_dict(state["model"])
    module.steps_done = state["steps"]
    module.micro_batcher.training, module.micro_batcher.evaluation = state["micro_batches"]
    module.losses = [] if losses is None else list(losses.unbind())
    history.curve = [ValidationPoint(**point) for point in state["curve"]]
    history.best = None if state["best"] is None else history.curve[state["best"]]
    history.best_weights = state["best_weights"]
    history.step_ms += state["step_ms"].tolist()
    history.all_reduce_ms += state["all_reduce_ms"].tolist()


def load_device_state(
    module: TrainingModule, optimizer: torch.optim.Optimizer, state: State
) -> None:
    """Load the state that needs the optimizer and the device, after Lightning has set both up.

    Raises:
        Exception: the state does not fit.
    """
    module.model.load_state_dict(state["model"])  # again, in the precision of the run
    optimizer.load_state_dict(state["optimizer"])
    module.losses = [loss.to(module.device) for loss in module.losses]
    set_rng_state(state["rng"])
