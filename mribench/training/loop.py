"""One training loop for pretraining and adaptation."""

from __future__ import annotations

import contextlib
import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from typing import Literal

import torch
from torch import Tensor, nn

from mribench.errors import JobError
from mribench.seeding import Identity, derive_seed
from mribench.training.checkpoint import Checkpoint

DTYPES = {"bf16": torch.bfloat16, "fp16": torch.float16}


class Interrupted(Exception):  # noqa: N818 - not an error: the job goes on later
    """The job was asked to stop; its checkpoint is written."""


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


@dataclass
class History:
    """Loss terms by step."""

    rows: list[dict[str, float]] = field(default_factory=list)

    def mean(self, name: str, first: bool, share: float = 0.1) -> float:
        """Return the mean of a term over the first or last ``share`` of the steps."""
        n = max(1, round(share * len(self.rows)))
        rows = self.rows[:n] if first else self.rows[-n:]
        return sum(row[name] for row in rows) / len(rows)


def autocast(precision: str, device: torch.device) -> contextlib.AbstractContextManager[object]:
    """Return the autocast context of a precision."""
    if precision == "fp32":
        return contextlib.nullcontext()
    return torch.autocast(device.type, DTYPES[precision])


def train(
    module: nn.Module,
    losses: Callable[[int], Mapping[str, Tensor]],
    options: LoopOptions,
    *,
    identity: tuple[Identity, ...],
    device: torch.device,
    weights: Mapping[str, float] | None = None,
    checkpoint: Checkpoint | None = None,
    after_step: Callable[[int, int], None] | None = None,
    on_step: Callable[[int, int], None] | None = None,
    rates: Callable[[str], float] | None = None,
    clipped: Callable[[str], bool] | None = None,
    watch: Callable[[list[dict[str, float]]], None] | None = None,
) -> History:
    """Train every parameter of ``module`` that wants a gradient; resume from the checkpoint if there is one.

    Args:
        module: what is trained.
        losses: the named loss terms of a step.
        options: optimiser and schedule.
        identity: seeds dropout, step by step.
        device: where the module lies.
        weights: of the loss terms; 1 where not named.
        checkpoint: where the state is kept while the job runs.
        after_step: called with (step, total) after each optimiser step.
        on_step: called with (steps done, total), for progress; may raise ``Interrupted``.
        rates: peak learning rate of a parameter by its name; ``options.lr`` for all when None.
        clipped: whether the gradient of a parameter is clipped, by its name; all of them when None.
        watch: called once, with the list that the row of each step is appended to.

    Raises:
        JobError: when a loss is not finite.
        Interrupted: from ``on_step``, after a checkpoint was written.
    """
    optimiser = _optimiser(module, options, rates)
    to_clip = [
        p for name, p in module.named_parameters() if p.requires_grad and (clipped is None or clipped(name))
    ]
    peaks = [group["lr"] for group in optimiser.param_groups]
    scaler = torch.amp.GradScaler(device.type, enabled=options.precision == "fp16")
    done, extra = checkpoint.restore(module, optimiser) if checkpoint else (0, {})
    history = History(extra.get("history", []))
    if watch:
        watch(history.rows)
    saved_at = time.monotonic()
    for step in range(done, options.steps):
        # Dropout can only draw from torch's own generator: seeded by (job, step), it depends on nothing else.
        torch.manual_seed(derive_seed("dropout", *identity, step))
        for group, peak in zip(optimiser.param_groups, peaks, strict=True):
            group["lr"] = peak * options.rate(step)
        with autocast(options.precision, device):
            terms = losses(step)
            total = torch.stack(
                [(weights or {}).get(name, 1.0) * value for name, value in terms.items()]
            ).sum()
        history.rows.append(_finite(step, {**terms, "total": total}))
        optimiser.zero_grad(set_to_none=True)
        scaler.scale(total).backward()
        scaler.unscale_(optimiser)
        nn.utils.clip_grad_norm_(to_clip, options.clip_norm)
        scaler.step(optimiser)
        scaler.update()
        if after_step:
            after_step(step, options.steps)
        try:
            if on_step:
                on_step(step + 1, options.steps)
        except Interrupted:
            if checkpoint:
                checkpoint.save(module, optimiser, step + 1, {"history": history.rows})
            raise
        if checkpoint and time.monotonic() - saved_at > checkpoint.every_s:
            checkpoint.save(module, optimiser, step + 1, {"history": history.rows})
            saved_at = time.monotonic()
    return history


def _optimiser(
    module: nn.Module, options: LoopOptions, rates: Callable[[str], float] | None
) -> torch.optim.AdamW:
    groups: dict[float, list[nn.Parameter]] = {}
    for name, parameter in module.named_parameters():
        if parameter.requires_grad:
            groups.setdefault(rates(name) if rates else options.lr, []).append(parameter)
    if not groups:
        raise JobError("nothing to train: every parameter is frozen", "check the arm and the task's head")
    return torch.optim.AdamW(
        [{"params": parameters, "lr": lr} for lr, parameters in groups.items()],
        weight_decay=options.weight_decay,
    )


def _finite(step: int, terms: Mapping[str, Tensor]) -> dict[str, float]:
    values = {name: float(value.detach()) for name, value in terms.items()}
    wrong = [f"{name} = {value}" for name, value in values.items() if not math.isfinite(value)]
    if wrong:
        raise JobError(
            f"the loss is not finite at step {step}: {', '.join(wrong)}", "lower the learning rate"
        )
    return {"step": step, **values}
