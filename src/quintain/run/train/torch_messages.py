"""Errors of torch in words that name the parameter, the module or the rank to change."""

from __future__ import annotations

from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from quintain.contracts import Batch
from quintain.run.distributed.context import DistContext


def check_parameters_used(model: nn.Module, dist: DistContext, step: int) -> None:
    """Check after a backward pass of one of several ranks that each parameter has a gradient.

    DDP would not average the gradients that share a bucket with a missing one; it only fails later,
    with the numbers of the parameters (torch.nn.parallel.DistributedDataParallel, "Internal
    Design").

    Raises:
        ValueError: names the parameters without a gradient.
    """
    parameters = model.named_parameters()
    unused = [name for name, p in parameters if p.requires_grad and p.grad is None]
    if unused:
        raise ValueError(
            f"no gradient reaches {', '.join(unused)} on rank {dist.rank} at step {step}: on"
            " several devices each trainable parameter must take part in each batch; use it, remove"
            " it, or freeze it (requires_grad=False)"
        )


def translate_training_error(
    error: Exception, model: nn.Module, batch: Batch, dist: DistContext
) -> Exception | None:
    """Return an error with a message that a user can act on, or None if `error` has one."""
    text = str(error)
    if "Expected more than 1 value per channel" in text:
        return ValueError(_describe_single_value(model, batch, dist))
    if "does not require grad and does not have a grad_fn" in text:
        return ValueError(
            "the loss depends on no trainable parameter: a part of the model is detached"
            " (detach, no_grad, argmax), or all parameters are frozen"
        )
    return None


def _describe_single_value(model: nn.Module, batch: Batch, dist: DistContext) -> str:
    """Return a message about a BatchNorm that got one value per channel."""
    norms = [name for name, module in model.named_modules() if isinstance(module, _BatchNorm)]
    rule = f"{', '.join(norms) or 'a layer'} normalises over the samples of a batch"
    if len(batch.x) > 1:
        return f"{rule} and got one value per channel: use LayerNorm or GroupNorm"
    who = "the batch" if dist.is_single else f"rank {dist.rank}"
    return (
        f"{who} has one sample, but {rule}: set budget.batch_size to {2 * dist.world_size} or more,"
        " or use LayerNorm or GroupNorm"
    )
