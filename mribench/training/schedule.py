"""Learning rate, weight decay and precision, step by step."""

from __future__ import annotations

import contextlib
import math

import torch

from mribench.config.settings import Optimisation

DTYPES = {"bf16": torch.bfloat16, "fp16": torch.float16}


def rate_share(options: Optimisation, step: int) -> float:
    """Return the share of the peak learning rate at a step: a linear warm-up, then a decay to 0."""
    warm = math.ceil(options.warmup_fraction * options.steps)
    if step < warm:
        return (step + 1) / warm
    gone = (step - warm) / max(1, options.steps - warm)
    if options.schedule == "cosine":
        return (1 + math.cos(math.pi * gone)) / 2
    return (1 - gone) ** options.decay_power


def weight_decay_at(options: Optimisation, step: int) -> float:
    """Return the weight decay at a step: along half a cosine where it has an end."""
    first, last = options.weight_decay, options.weight_decay_end
    if last is None:
        return first
    gone = step / max(1, options.steps - 1)
    return last + (first - last) * (1 + math.cos(math.pi * gone)) / 2


def autocast(precision: str, device: torch.device) -> contextlib.AbstractContextManager[object]:
    """Return the autocast context of a precision."""
    if precision == "fp32":
        return contextlib.nullcontext()
    return torch.autocast(device.type, DTYPES[precision])
