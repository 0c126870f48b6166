"""One optimiser step: losses, gradients, clipping, update."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from mribench.errors import JobError
from mribench.training.options import LoopOptions, autocast
from mribench.training.trainee import Trainee


class Stepper:
    """Trains every parameter of a module that wants a gradient, step by step.

    Args:
        trainee: what is trained.
        options: optimiser and schedule.
        device: where the module lies.

    Attributes:
        optimiser: AdamW, one group for each peak learning rate.

    Raises:
        JobError: when nothing wants a gradient.
    """

    def __init__(self, trainee: Trainee, options: LoopOptions, device: torch.device) -> None:
        self.optimiser = _optimiser(trainee, options)
        self._trainee, self._options, self._device = trainee, options, device
        self._peaks = [group["lr"] for group in self.optimiser.param_groups]
        self._clipped = [parameter for name, parameter in _trained(trainee) if trainee.is_clipped(name)]
        self._scaler = torch.amp.GradScaler(device.type, enabled=options.precision == "fp16")

    def step(self, number: int) -> dict[str, float]:
        """Take a step.

        Args:
            number: of the step, from 0.

        Returns:
            The row of the history: ``step``, the terms, and ``total``, their weighted sum.

        Raises:
            JobError: when a loss is not finite; nothing is updated then.
        """
        self._set_rates(number)
        with autocast(self._options.precision, self._device):
            terms = self._trainee.losses(number)
            total = self._total(terms)
        # Before the gradients: while they are computed on a GPU, the host is free for the next batch.
        row = _finite_row(number, {**terms, "total": total})
        self._update(total)
        return row

    def state_dict(self) -> dict[str, Any]:
        """Return what is neither in the module nor in the optimiser: the loss scale; JSON."""
        return self._scaler.state_dict()

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from a state."""
        self._scaler.load_state_dict(state)

    def _set_rates(self, number: int) -> None:
        for group, peak in zip(self.optimiser.param_groups, self._peaks, strict=True):
            group["lr"] = peak * self._options.rate(number)

    def _total(self, terms: Mapping[str, Tensor]) -> Tensor:
        weights = self._trainee.weights
        return torch.stack([weights.get(name, 1.0) * value for name, value in terms.items()]).sum()

    def _update(self, total: Tensor) -> None:
        self.optimiser.zero_grad(set_to_none=True)
        self._scaler.scale(total).backward()
        self._scaler.unscale_(self.optimiser)
        nn.utils.clip_grad_norm_(self._clipped, self._options.clip_norm)
        self._scaler.step(self.optimiser)
        self._scaler.update()


def _trained(trainee: Trainee) -> Iterator[tuple[str, nn.Parameter]]:
    return ((name, each) for name, each in trainee.module.named_parameters() if each.requires_grad)


def _optimiser(trainee: Trainee, options: LoopOptions) -> torch.optim.AdamW:
    groups: dict[float, list[nn.Parameter]] = {}
    for name, parameter in _trained(trainee):
        groups.setdefault(trainee.peak_rate(name, options.lr), []).append(parameter)
    if not groups:
        raise JobError("nothing to train: every parameter is frozen", "check the arm and the task's head")
    return torch.optim.AdamW(
        [{"params": parameters, "lr": lr} for lr, parameters in groups.items()],
        weight_decay=options.weight_decay,
    )


def _finite_row(step: int, terms: Mapping[str, Tensor]) -> dict[str, float]:
    # one transfer: on a GPU every one of them waits
    numbers = torch.stack([value.detach().reshape(()) for value in terms.values()]).tolist()
    values = dict(zip(terms, map(float, numbers), strict=True))
    wrong = [f"{name} = {value}" for name, value in values.items() if not math.isfinite(value)]
    if wrong:
        raise JobError(
            f"the loss is not finite at step {step}: {', '.join(wrong)}", "lower the learning rate"
        )
    return {"step": step, **values}
