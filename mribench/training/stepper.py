"""One optimiser step: losses, gradients, clipping, update."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from mribench.config.settings import Optimisation
from mribench.errors import JobError
from mribench.interfaces.objective import ParameterGroup
from mribench.training.optimisers import make_optimiser
from mribench.training.schedule import autocast, rate_share, weight_decay_at
from mribench.training.trainee import Trainee


class DivergenceError(JobError):
    """A loss is not finite."""


_USUAL = ParameterGroup("")


@dataclass(frozen=True)
class _Recipe:
    """What parameters of one group of the optimiser have in common."""

    peak: float
    decays: bool
    scheduled: bool


class Stepper:
    """Trains every parameter of a module that wants a gradient, step by step.

    Args:
        trainee: what is trained.
        options: optimiser and schedule.
        device: where the module lies.

    Attributes:
        optimiser: with one group for each peak learning rate, and what else parameters differ in.

    Raises:
        JobError: when nothing wants a gradient.
    """

    def __init__(self, trainee: Trainee, options: Optimisation, device: torch.device) -> None:
        grouped = _group_by_recipe(trainee, options)
        self._recipes = list(grouped)
        # rates and decays are set at every step
        groups = [{"params": parameters, "lr": recipe.peak} for recipe, parameters in grouped.items()]
        self.optimiser = make_optimiser(options, groups)
        self._trainee, self._options, self._device = trainee, options, device
        self._clipped = [parameter for name, parameter in _trained(trainee) if trainee.is_clipped(name)]
        shares = [(each, _find_group(trainee.groups, name).frozen_share) for name, each in _trained(trainee)]
        self._frozen = [(parameter, share) for parameter, share in shares if share > 0]
        self._scaler = torch.amp.GradScaler(device.type, enabled=options.precision == "fp16")

    def step(self, number: int) -> dict[str, float]:
        """Take a step.

        Args:
            number: of the step, from 0.

        Returns:
            The row of the history: ``step``, the terms, and ``total``, their weighted sum; means over the
            step's batches.

        Raises:
            DivergenceError: when a loss is not finite; nothing is updated then.
        """
        self._set_rates(number)
        self.optimiser.zero_grad(set_to_none=True)
        parts = self._options.accumulate
        rows = [self._add_gradients(number, number * parts + part) for part in range(parts)]
        self._update(number)
        means: dict[str, float] = {"step": number}
        for name in rows[0]:
            means[name] = statistics.fmean(row[name] for row in rows)
        return means

    def state_dict(self) -> dict[str, Any]:
        """Return what is neither in the module nor in the optimiser: the loss scale; JSON."""
        return self._scaler.state_dict()

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from a state."""
        self._scaler.load_state_dict(state)

    def _set_rates(self, number: int) -> None:
        share, decay = rate_share(self._options, number), weight_decay_at(self._options, number)
        for group, recipe in zip(self.optimiser.param_groups, self._recipes, strict=True):
            group["lr"] = recipe.peak * (share if recipe.scheduled else 1.0)
            group["weight_decay"] = decay * recipe.decays

    def _add_gradients(self, number: int, batch: int) -> dict[str, float]:
        with autocast(self._options.precision, self._device):
            terms = self._trainee.losses(number, batch)
            total = self._total(terms)
        # Before the gradients: while they are computed on a GPU, the host is free for the next batch.
        row = _read_finite(number, {**terms, "total": total})
        self._scaler.scale(total / self._options.accumulate).backward()
        return row

    def _total(self, terms: Mapping[str, Tensor]) -> Tensor:
        weights = self._trainee.weights
        return torch.stack([weights.get(name, 1.0) * value for name, value in terms.items()]).sum()

    def _update(self, number: int) -> None:
        for parameter, share in self._frozen:
            if number < share * self._options.steps:
                parameter.grad = None  # not a rate of 0: the optimiser's means stay as they are too
        self._scaler.unscale_(self.optimiser)
        nn.utils.clip_grad_norm_(self._clipped, self._options.clip_norm)
        self._scaler.step(self.optimiser)
        self._scaler.update()


def _trained(trainee: Trainee) -> Iterator[tuple[str, nn.Parameter]]:
    return ((name, each) for name, each in trainee.module.named_parameters() if each.requires_grad)


def _find_group(groups: Sequence[ParameterGroup], name: str) -> ParameterGroup:
    return next((group for group in groups if name.startswith(group.prefix)), _USUAL)


def _group_by_recipe(trainee: Trainee, options: Optimisation) -> dict[_Recipe, list[nn.Parameter]]:
    grouped: dict[_Recipe, list[nn.Parameter]] = {}
    for name, parameter in _trained(trainee):
        group = _find_group(trainee.groups, name)
        recipe = _Recipe(
            peak=group.rate * trainee.peak_rate(name, options.lr),
            decays=group.decays and (options.decay_norms or parameter.ndim > 1),
            scheduled=group.scheduled,
        )
        grouped.setdefault(recipe, []).append(parameter)
    if not grouped:
        raise JobError("nothing to train: every parameter is frozen", "check the arm and the task's head")
    return grouped


def _read_finite(step: int, terms: Mapping[str, Tensor]) -> dict[str, float]:
    # one transfer: on a GPU every one of them waits
    numbers = torch.stack([value.detach().reshape(()) for value in terms.values()]).tolist()
    values = dict(zip(terms, map(float, numbers), strict=True))
    wrong = [f"{name} = {value}" for name, value in values.items() if not math.isfinite(value)]
    if wrong:
        raise DivergenceError(
            f"the loss is not finite at step {step}: {', '.join(wrong)}", "lower the learning rate"
        )
    return values
