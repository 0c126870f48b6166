"""Checkpoints: what a killed job goes on from, to the same result bit for bit."""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.optim import Optimizer

from mribench.digests import canonical_json
from mribench.errors import StoreError, hint_for
from mribench.interfaces.executor import CHECKPOINT_EVERY_S
from mribench.results.atomic import ReplaceFile, replace_file

logger = logging.getLogger("mribench")

V = TypeVar("V")
_DIGEST = "sha256"

FORMAT = "3"
"""Of the file; one of another format lacks what a job needs to go on to the same rows."""


class Checkpoint:
    """Model, optimiser, history and counts of a job in one safetensors file, with a digest of it all.

    Random state is not in it: every draw is derived from (job, step, sample).

    Args:
        path: the file.
        every_s: seconds between two checkpoints; one is also written when a job is interrupted.
        replace: puts the file there in one step.
    """

    def __init__(
        self, path: Path, every_s: float = CHECKPOINT_EVERY_S, replace: ReplaceFile = replace_file
    ) -> None:
        self.path = path
        self.every_s = every_s
        self._replace = replace

    def save(self, module: nn.Module, optimiser: Optimizer, step: int, extra: dict[str, Any]) -> None:
        """Write the state after ``step`` steps; values of ``extra`` are tensors, or what JSON can hold."""
        tensors = {f"module.{name}": value for name, value in module.state_dict().items()}
        for index, state in optimiser.state_dict()["state"].items():
            tensors |= {f"optimiser.{index}.{name}": torch.as_tensor(value) for name, value in state.items()}
        tensors |= {f"extra.{name}": value for name, value in extra.items() if isinstance(value, Tensor)}
        tensors = {name: value.detach().cpu().contiguous().clone() for name, value in tensors.items()}
        plain = {name: value for name, value in extra.items() if not isinstance(value, Tensor)}
        metadata = {"format": FORMAT, "step": str(step), "extra": json.dumps(plain)}
        metadata[_DIGEST] = _digest(tensors, metadata)
        self._replace(self.path, lambda temporary: save_file(tensors, temporary, metadata))

    def restore(self, module: nn.Module, optimiser: Optimizer) -> tuple[int, dict[str, Any]]:
        """Load the state if there is one; return the steps done and ``extra``.

        A checkpoint that is damaged, or that another version of mribench wrote, is left alone: the job begins
        anew, and says so.

        Raises:
            StoreError: when the file cannot be read now, or does not fit the network.
        """
        if not self.path.exists():
            return 0, {}
        state = self._read()
        if state is None:
            return 0, {}
        tensors, metadata = state
        try:
            module.load_state_dict(take_below(tensors, "module."))
        except RuntimeError as error:
            raise StoreError(
                f"the checkpoint {self.path} does not fit: {error}", "delete it and run again"
            ) from error
        moments: dict[int, dict[str, Tensor]] = {}
        for name, value in take_below(tensors, "optimiser.").items():
            index, _, field = name.partition(".")
            moments.setdefault(int(index), {})[field] = value
        optimiser.load_state_dict({**optimiser.state_dict(), "state": moments})
        _lay_out_like_parameters(optimiser)
        return int(metadata["step"]), {**json.loads(metadata["extra"]), **take_below(tensors, "extra.")}

    def _read(self) -> tuple[dict[str, Tensor], dict[str, str]] | None:
        """Return what the file holds; None where the job must begin anew."""
        try:
            with safe_open(self.path, framework="pt") as file:
                metadata = dict(file.metadata() or {})
                tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not a dict
        except (SafetensorError, UnicodeDecodeError, OverflowError) as error:
            logger.warning("%s is damaged (%s): the job begins anew", self.path, error)
            return None
        except OSError as error:
            raise StoreError(
                f"cannot read the checkpoint {self.path}: {error}", hint_for(error, "delete it and run again")
            ) from error
        noted = metadata.pop(_DIGEST, None)
        if noted is None and metadata.get("format") != FORMAT:
            logger.warning("%s is of another version of mribench: the job begins anew", self.path)
            return None
        if noted != _digest(tensors, metadata):
            logger.warning("%s is damaged (its digest is another): the job begins anew", self.path)
            return None
        return tensors, metadata


def _digest(tensors: Mapping[str, Tensor], metadata: Mapping[str, str]) -> str:
    """Return a digest of names, types, shapes and values, and of what is said beside them."""
    digest = hashlib.sha256(canonical_json(dict(metadata)).encode())
    for name, value in sorted(tensors.items()):
        digest.update(f"{name} {value.dtype} {tuple(value.shape)}".encode())
        # a copy has stride 1: that of one value may be anything, and bytes are seen at stride 1 alone
        flat = value.reshape(-1).clone(memory_format=torch.contiguous_format)
        digest.update(flat.view(torch.uint8).numpy().data)
    return digest.hexdigest()


def _lay_out_like_parameters(optimiser: Optimizer) -> None:
    """Give the moments the memory layout of their parameters, as they had it before they were written.

    Otherwise a step on a GPU falls from a few kernels for all parameters to some for each.
    """
    for parameter, state in optimiser.state.items():
        for name, value in state.items():
            if value.shape == parameter.shape and value.stride() != parameter.stride():
                state[name] = torch.empty_like(parameter, dtype=value.dtype).copy_(value)


def take_below(named: Mapping[str, V], prefix: str) -> dict[str, V]:
    """Return what has a prefix in its name, without the prefix."""
    return {name.removeprefix(prefix): value for name, value in named.items() if name.startswith(prefix)}
