"""Optimisers by their name in benchmark files."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor
from torch.optim import SGD, AdamW, Optimizer

from mribench.config.settings import Optimisation


class Lars(Optimizer):
    """Momentum SGD whose steps are scaled layer by layer (You et al. 2017, doi:10.48550/arXiv.1708.03888).

    A weight's gradient g, with its decay, is scaled by ``trust |w| / |g|``. Parameters of one axis (norms,
    biases) are not scaled.

    Args:
        groups: of parameters, each with its ``lr``.
        momentum: of the scaled gradients.
        weight_decay: where a group has none of its own.
        trust: the layers' trust coefficient.
    """

    def __init__(
        self,
        groups: Iterable[dict[str, Any]],
        momentum: float,
        weight_decay: float = 0.0,
        trust: float = 0.001,
    ) -> None:
        super().__init__(groups, {"momentum": momentum, "weight_decay": weight_decay, "trust": trust})

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> None:  # type: ignore[override]
        """Update the parameters that have a gradient."""
        del closure
        for group in self.param_groups:
            for parameter in group["params"]:
                if parameter.grad is not None:
                    self._update(parameter, group)

    def _update(self, parameter: Tensor, group: dict[str, Any]) -> None:
        change = parameter.grad.add(parameter, alpha=group["weight_decay"])  # type: ignore[union-attr]
        if parameter.ndim > 1:
            weight, gradient = parameter.norm(), change.norm()
            scale = group["trust"] * weight / gradient
            # without a weight or a gradient there is nothing to compare: the step is as it is
            change = change * torch.where((weight > 0) & (gradient > 0), scale, torch.ones_like(scale))
        state = self.state[parameter]
        if "momentum_buffer" not in state:
            state["momentum_buffer"] = torch.zeros_like(parameter)
        state["momentum_buffer"].mul_(group["momentum"]).add_(change)
        parameter.sub_(group["lr"] * state["momentum_buffer"])


def make_optimiser(options: Optimisation, groups: list[dict[str, Any]]) -> Optimizer:
    """Return the optimiser of a training.

    Args:
        options: its name and its momenta.
        groups: of parameters, each with its peak ``lr``.
    """
    decay = options.weight_decay
    if options.optimiser == "sgd":
        return SGD(groups, momentum=options.momentum, weight_decay=decay)
    if options.optimiser == "lars":
        return Lars(groups, options.momentum, decay)
    first, second = options.betas
    return AdamW(groups, betas=(first, second), weight_decay=decay)
