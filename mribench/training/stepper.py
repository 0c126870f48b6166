"""One optimiser step: losses, gradients, clipping, update."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from mribench.errors import JobError
from mribench.training.options import LoopOptions, autocast


class Stepper:
    """Trains every parameter of a module that wants a gradient, step by step.

    Args:
        module: what is trained.
        options: optimiser and schedule.
        device: where the module lies.
        weights: of the loss terms; 1 where not named.
        rates: peak learning rate of a parameter by its name; ``options.lr`` for all when None.
        clipped: whether the gradient of a parameter is clipped, by its name; all of them when None.

    Attributes:
        optimiser: AdamW, one group for each peak learning rate.

    Raises:
        JobError: when nothing wants a gradient.
    """

    def __init__(
        self,
        module: nn.Module,
        options: LoopOptions,
        device: torch.device,
        weights: Mapping[str, float] | None = None,
        rates: Callable[[str], float] | None = None,
        clipped: Callable[[str], bool] | None = None,
    ) -> None:
        self.optimiser = _optimiser(module, options, rates)
        self._options, self._device, self._weights = options, device, weights or {}
        self._peaks = [group["lr"] for group in self.optimiser.param_groups]
        self._clipped = [
            parameter
            for name, parameter in module.named_parameters()
            if parameter.requires_grad and (clipped is None or clipped(name))
        ]
        self._scaler = torch.amp.GradScaler(device.type, enabled=options.precision == "fp16")

    def step(self, number: int, losses: Callable[[int], Mapping[str, Tensor]]) -> dict[str, float]:
        """Take a step.

        Args:
            number: of the step, from 0.
            losses: the named loss terms of a step, scalars.

        Returns:
            The row of the history: ``step``, the terms, and ``total``, their weighted sum.

        Raises:
            JobError: when a loss is not finite; nothing is updated then.
        """
        self._set_rates(number)
        with autocast(self._options.precision, self._device):
            terms = losses(number)
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
        return torch.stack([self._weights.get(name, 1.0) * value for name, value in terms.items()]).sum()

    def _update(self, total: Tensor) -> None:
        self.optimiser.zero_grad(set_to_none=True)
        self._scaler.scale(total).backward()
        self._scaler.unscale_(self.optimiser)
        nn.utils.clip_grad_norm_(self._clipped, self._options.clip_norm)
        self._scaler.step(self.optimiser)
        self._scaler.update()


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
