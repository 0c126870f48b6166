"""How the optimiser runs: rates, clipping, precision."""

from __future__ import annotations

import contextlib
import math
from dataclasses import dataclass, fields
from typing import Literal

import torch

DTYPES = {"bf16": torch.bfloat16, "fp16": torch.float16}


@dataclass(frozen=True)
class LoopOptions:
    """How the optimiser runs: AdamW, linear warm-up, polynomial decay, gradient clipping.

    Attributes:
        steps: optimiser steps.
        lr: peak learning rate.
        weight_decay: AdamW's.
        warmup_fraction: share of the steps over which the rate rises linearly.
        decay_power: power p of (1 - t)^p.
        clip_norm: largest gradient norm over all trained parameters.
        precision: fp32, or autocast in bf16 or fp16 (with loss scaling).
    """

    steps: int
    lr: float
    weight_decay: float = 0.01
    warmup_fraction: float = 0.0
    decay_power: float = 0.9
    clip_norm: float = 12.0
    precision: Literal["fp32", "bf16", "fp16"] = "fp32"

    @classmethod
    def of(cls, options: object) -> LoopOptions:
        """Take the fields of the same names from a benchmark file's pretrain or adapt options."""
        return cls(**{field.name: getattr(options, field.name) for field in fields(cls)})

    def rate(self, step: int) -> float:
        """Return the share of the peak learning rate at a step."""
        warm = math.ceil(self.warmup_fraction * self.steps)
        if step < warm:
            return (step + 1) / warm
        return (1 - (step - warm) / max(1, self.steps - warm)) ** self.decay_power


def autocast(precision: str, device: torch.device) -> contextlib.AbstractContextManager[object]:
    """Return the autocast context of a precision."""
    if precision == "fp32":
        return contextlib.nullcontext()
    return torch.autocast(device.type, DTYPES[precision])
