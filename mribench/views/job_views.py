"""The batches of views of a pretrain job, made by the job's own code.

Nothing here derives a seed or cuts a crop: the job is set up as for training, so step k shows what step k of
the job shows.
"""

from __future__ import annotations

import math
from pathlib import Path

import torch

from mribench.interfaces.views import View
from mribench.jobs.context import Context
from mribench.jobs.pretrain import Pretraining
from mribench.registry import Registry
from mribench.results.specification import PretrainSpec


class JobViews:
    """The batches of views of a pretrain job, on the CPU.

    Args:
        spec: what the job is asked.
        registry: all entries.
    """

    def __init__(self, spec: PretrainSpec, registry: Registry) -> None:
        here = Path("views")  # nothing is written
        context = Context(registry, here, here, torch.device("cpu"), lambda *_: None, math.inf)
        self._job = Pretraining(spec, context)
        self.requests = tuple(self._job.objective.view_requests)
        self.labels = self._job.generator.labels

    def batch(self, step: int) -> list[View]:
        """Return the views that the objective gets in a step, one ``View`` for each request."""
        return self._job.views(step)
