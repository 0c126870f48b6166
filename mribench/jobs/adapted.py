"""What an adapt job trained, for the evaluations of a batch: loaded once, as long as it stays as it is."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from mribench.interfaces.task import Task
from mribench.jobs.context import Context
from mribench.jobs.model import adapted_model, list_weights
from mribench.jobs.still import StillEncoder
from mribench.results.sound import require_sound
from mribench.results.specification import EvaluateSpec

_OF_A_CELL = ("cell", "subjects", "covariates", "data", "cohort", "channels", "split_digest")
"""What evaluations of one adaptation are asked differently. The number of channels counts all the same."""


class AdaptedModel:
    """A trained model, which must not change while scans are evaluated.

    Attributes:
        model: on its device, in evaluation mode.
        n_parameters: of the model.
    """

    def __init__(self, spec: EvaluateSpec, context: Context, task: Task, edges_vox: Sequence[int]) -> None:
        self.model = adapted_model(spec, context, task)
        self._still = StillEncoder(self.model.encoder, edges_vox, context.device)
        self.n_parameters = sum(p.numel() for p in self.model.parameters())
        self._state = _state_of(self.model)
        self._drawn = _get_generators(context.device)

    @classmethod
    def take(cls, spec: EvaluateSpec, context: Context, task: Task, edges_vox: Sequence[int]) -> AdaptedModel:
        """Return the model of a job, that of the job before it where it is the same one.

        Args:
            spec: of the job.
            context: of the job.
            task: of the job.
            edges_vox: of the image that is to have the same maps before and after the job.

        Raises:
            DamagedError: when a file of its weights is not as it was written.
        """
        found = context.shared.take(
            _ask(spec, context, edges_vox), lambda: cls(spec, context, task, edges_vox)
        )
        found._begin(list_weights(spec, context), context.device)
        return found

    def give_back(self, spec: EvaluateSpec, context: Context, edges_vox: Sequence[int]) -> None:
        """End a job: the next one may have the model, unless something of it was written to.

        Raises:
            JobError: when the encoder gives other maps than before.
        """
        self._still.require_unchanged("while scans were evaluated")
        if _state_of(self.model) == self._state:
            context.shared.give_back(_ask(spec, context, edges_vox), self)

    def _begin(self, weights: Sequence[Path], device: torch.device) -> None:
        """Begin as if it was loaded now: torch's own generator stands where building the model leaves it."""
        for path in weights:
            require_sound(path)
        torch.set_rng_state(self._drawn[0])
        if device.type == "cuda":
            torch.cuda.set_rng_state(self._drawn[1], device)


def _ask(spec: EvaluateSpec, context: Context, edges_vox: Sequence[int]) -> dict[str, Any]:
    said = {name: value for name, value in spec.to_json().items() if name not in _OF_A_CELL}
    shape = {"n_channels": len(spec.channels), "edges_vox": list(edges_vox)}
    where = {"jobs": str(context.jobs), "device": str(context.device)}
    return {"what": "adapted model", **said, "arm": spec.arm, "seed": spec.seed, **shape, **where}


def _state_of(model: torch.nn.Module) -> list[tuple[int, int]]:
    """Return what tells whether a parameter or buffer was put in another's place, or written to."""
    tensors = [*model.parameters(), *model.buffers()]
    return [(id(tensor), tensor._version) for tensor in tensors]


def _get_generators(device: torch.device) -> list[torch.Tensor]:
    on_device = [torch.cuda.get_rng_state(device)] if device.type == "cuda" else []
    return [torch.get_rng_state(), *on_device]
