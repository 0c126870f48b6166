"""Seeds derived from what they are for. There is no global random state anywhere in mribench.

Seeds that methods must share (splits, label subsets, crops, test noise) leave the method out of the
identity, so that every comparison is paired.
"""

from __future__ import annotations

import hashlib
import json

import numpy as np
import torch

Identity = str | int | float | bool | None


def derive_seed(*identity: Identity) -> int:
    """Return a seed in [0, 2**63) that depends on ``identity`` alone.

    Args:
        identity: what the seed is for, e.g. ``("crop", task, seed, step, sample)``.
    """
    text = json.dumps(identity, separators=(",", ":"))
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1


def torch_generator(*identity: Identity, device: torch.device | str = "cpu") -> torch.Generator:
    """Return a fresh ``torch.Generator`` seeded by ``identity``."""
    return torch.Generator(device=device).manual_seed(derive_seed(*identity))


def numpy_generator(*identity: Identity) -> np.random.Generator:
    """Return a fresh NumPy generator seeded by ``identity``."""
    return np.random.Generator(np.random.PCG64(derive_seed(*identity)))
