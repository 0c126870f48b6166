"""Imported once by the server that job processes are forked from, so that none of them imports torch anew."""

from __future__ import annotations

import gc

import monai.inferers  # noqa: F401 - all of MONAI comes with it, which networks import when they are made
import scipy.interpolate
import scipy.spatial.transform  # noqa: F401
import torch

import mribench.execute.worker  # noqa: F401
from mribench.execute.provenance import versions
from mribench.plugins import load_registry

REGISTRY = load_registry()
"""All entries, for the processes that are forked from the server: none looks for them anew."""
versions()
if not torch.backends.cuda.is_built():
    # The first optimiser of a process imports torch's compiler, a second and more for every job that trains.
    # Where torch is built for GPUs each job does so itself: nothing may ask for a GPU before the fork.
    torch.optim.AdamW([torch.zeros(1, requires_grad=True)])
gc.freeze()  # a collection in a forked process would copy what it only looks at
