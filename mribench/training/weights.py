"""Weights as safetensors: nothing is ever unpickled."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from mribench.errors import StoreError, hint_for
from mribench.results import replace_file
from mribench.results.sound import require_sound


def save_weights(path: Path, state: Mapping[str, Tensor]) -> None:
    """Write a state dict in one step."""
    replace_file(path, lambda temporary: write_weights(temporary, state))


def write_weights(path: Path, state: Mapping[str, Tensor]) -> None:
    """Write a state dict into a file that is moved to its place afterwards."""
    tensors = {name: value.detach().cpu().contiguous().clone() for name, value in state.items()}
    save_file(tensors, path)


def read_weights(path: Path) -> dict[str, Tensor]:
    """Read a safetensors file of a job.

    Raises:
        DamagedError: when it is not as the job wrote it.
        StoreError: when it cannot be read.
    """
    require_sound(path)
    try:
        return load_file(path)
    except (SafetensorError, OSError) as error:
        raise StoreError(
            f"cannot read the weights {path}: {error}",
            hint_for(error, "delete the job's folder and run again"),
        ) from error


def load_weights(module: nn.Module, path: Path, prefix: str = "") -> None:
    """Load a module's weights; every name must be there, and no other.

    Args:
        module: to load into.
        path: a safetensors file.
        prefix: of the module's names in the file; names without it are left alone.

    Raises:
        DamagedError: when the file is not as it was written.
        StoreError: when it cannot be read, or does not fit the module.
    """
    state = read_weights(path)
    try:
        module.load_state_dict(
            {name.removeprefix(prefix): value for name, value in state.items() if name.startswith(prefix)}
        )
    except RuntimeError as error:
        raise StoreError(f"the weights {path} do not fit the network: {error}") from error


def state_digest(module: nn.Module) -> str:
    """Return a digest of a module's parameters and buffers, whatever their memory format."""
    return _digest(module.state_dict())


def parameters_digest(module: nn.Module) -> str:
    """Return a digest of a module's parameters: a pass in training mode does not change it."""
    return _digest(dict(module.named_parameters()))


def _digest(tensors: Mapping[str, Tensor]) -> str:
    digest = hashlib.sha256()
    for name, value in sorted(tensors.items()):
        digest.update(name.encode())
        # A copy: a tensor with an edge of 1 may count as contiguous with strides that no byte view takes.
        plain = value.detach().cpu().clone(memory_format=torch.contiguous_format)
        digest.update(plain.view(torch.uint8).numpy().tobytes() if value.ndim else str(value.item()).encode())
    return digest.hexdigest()[:16]
