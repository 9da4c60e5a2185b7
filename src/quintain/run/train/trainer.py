"""Builds the Lightning Trainer of a run from its settings alone."""

from __future__ import annotations

import inspect
import os
from collections.abc import Sequence
from typing import Any, cast

import pytorch_lightning as pl
from lightning_fabric.plugins.environments.lightning import LightningEnvironment

from quintain.run.budget import Budget
from quintain.run.distributed.context import SINGLE_PROCESS, DistContext
from quintain.run.distributed.strategy import RankEnvironment, build_strategy
from quintain.run.train.loaders import TrainLoader


def make_trainer(
    arguments: dict[str, Any],
    loader: TrainLoader,
    budget: Budget,
    dist: DistContext = SINGLE_PROCESS,
    callbacks: Sequence[pl.Callback] = (),
) -> pl.Trainer:
    """Return a Trainer without the features of Lightning that cost time in each step."""
    interval = max(1, loader.total_chunks // min(budget.validations, budget.steps))
    if arguments["accelerator"] == "cpu":
        # Lightning sets this; then each optimizer step opens NVML to look for a GPU: 75 µs.
        os.environ.pop("PYTORCH_NVML_BASED_CUDA_CHECK", None)
    if not dist.is_single:
        strategy = build_strategy(arguments["strategy"], arguments["accelerator"], dist)
        arguments = arguments | {"strategy": strategy}
    settings = dict(
        # A single process must not use the Slurm environment, which Lightning would detect.
        plugins=[LightningEnvironment() if dist.is_single else RankEnvironment(dist)],
        callbacks=list(callbacks),
        max_epochs=1,
        limit_train_batches=len(loader),
        val_check_interval=interval,
        check_val_every_n_epoch=None,
        num_sanity_val_steps=0,
        deterministic="warn",
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        use_distributed_sampler=False,
        **arguments,
    )
    # Lightning reads an argument that is not given from an environment variable, PL_TRAINER_….
    defaults = {name: p.default for name, p in inspect.signature(pl.Trainer).parameters.items()}
    trainer = pl.Trainer(**defaults | settings)
    # Installed packages can add callbacks (entry point pytorch_lightning.callbacks_factory).
    cast("Any", trainer).callbacks = list(callbacks)
    # Lightning validates by its own count of batches, which must include those before a resumption.
    trainer.fit_loop.epoch_loop.batch_progress.total.ready = loader.total_chunks - len(loader)
    return trainer
