"""Weights as safetensors: nothing is ever unpickled."""

from __future__ import annotations

import hashlib
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from mribench.errors import StoreError
from mribench.store import replace_file


def save_weights(path: Path, state: dict[str, Tensor]) -> None:
    """Write a state dict in one step."""
    tensors = {name: value.detach().cpu().contiguous().clone() for name, value in state.items()}
    replace_file(path, lambda temporary: save_file(tensors, temporary))


def load_weights(module: nn.Module, path: Path, prefix: str = "") -> None:
    """Load a module's weights; every name must be there, and no other.

    Args:
        module: to load into.
        path: a safetensors file.
        prefix: of the module's names in the file; names without it are left alone.

    Raises:
        StoreError: when the file is damaged, or does not fit the module.
    """
    try:
        state = load_file(path)
    except (SafetensorError, OSError) as error:
        raise StoreError(
            f"cannot read the weights {path}: {error}", "delete the job's folder and run again"
        ) from error
    try:
        module.load_state_dict(
            {name.removeprefix(prefix): value for name, value in state.items() if name.startswith(prefix)}
        )
    except RuntimeError as error:
        raise StoreError(f"the weights {path} do not fit the network: {error}") from error


def state_digest(module: nn.Module) -> str:
    """Return a digest of a module's parameters and buffers."""
    digest = hashlib.sha256()
    for name, value in sorted(module.state_dict().items()):
        digest.update(name.encode())
        digest.update(
            value.detach().cpu().contiguous().view(torch.uint8).numpy().tobytes()
            if value.ndim
            else str(value.item()).encode()
        )
    return digest.hexdigest()[:16]
