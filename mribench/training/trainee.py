"""What is trained, and what its job has to do with it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any

from torch import Tensor, nn

from mribench.interfaces.objective import ParameterGroup
from mribench.seeding import Identity


class Trainee(ABC):
    """What is trained: every parameter of ``module`` that wants a gradient.

    Attributes:
        module: the network.
        identity: seeds dropout, step by step.
        weights: of the loss terms; 1 where not named.
        groups: of parameters that are not trained like the rest.
    """

    module: nn.Module
    identity: tuple[Identity, ...]
    weights: Mapping[str, float] = {}
    groups: Sequence[ParameterGroup] = ()

    @abstractmethod
    def losses(self, step: int, batch: int) -> Mapping[str, Tensor]:
        """Return the named loss terms of a batch, scalars.

        Args:
            step: of the optimiser, from 0.
            batch: counted over all steps, from 0; other than ``step`` where gradients are accumulated.
        """

    def after_step(self, step: int, total: int) -> None:  # noqa: B027 - most have nothing to do
        """Do what is to be done after each optimiser step, counted from 0."""

    def peak_rate(self, name: str, usual: float) -> float:
        """Return the peak learning rate of a parameter by its name; ``usual`` is that of the options."""
        del name
        return usual

    def is_clipped(self, name: str) -> bool:
        """Whether the gradient of a parameter is clipped, by its name."""
        del name
        return True

    def state_dict(self) -> dict[str, Any]:
        """Return what the job has found out so far, by name: tensors, and what JSON can hold.

        It is kept in the checkpoint, so that a job that goes on knows all of it.
        """
        return {}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:  # noqa: B027 - most know nothing
        """Go on from what ``state_dict`` returned."""
