"""Momentum contrast with an MLP head (Chen et al. 2020)."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor

from mribench.interfaces import Encoder, Objective, Options, View
from mribench_objectives.heads import projector
from mribench_objectives.teachers import follow, make_teacher

_NOBODY = -1
"""Whose the random keys are that fill the queue at first."""


class MocoOptions(Options):
    """Options of the objective ``moco-v2``; the defaults are the paper's, but for the queue."""

    temperature: float = Field(0.2, ge=0.01, description="divides the cosine similarities")
    momentum: float = Field(
        0.999, ge=0, lt=1, description="share of its own weights that the key network keeps"
    )
    queue: int = Field(
        4096,
        gt=0,
        description="keys of earlier batches that are negatives (65 536 of 1.3 M images in the paper)",
    )
    hidden: int = Field(2048, gt=0, description="width of the projector's hidden layer")
    out: int = Field(128, gt=0, description="dimension in which views are compared")
    same_subject_negatives: bool = Field(
        False,
        description="whether earlier keys of a subject are its negatives, as the paper's images are never",
    )


class Moco(Objective):
    """MoCo v2: finds the other view's key among those of earlier batches.

    He et al. 2020, doi:10.1109/CVPR42600.2020.00975, equation 1, with the head and the temperature of Chen
    et al. 2020, doi:10.48550/arXiv.2003.04297. The first view asks, a slowly moving copy of the encoder makes
    the key of the second. The queue is full of random keys at first, as theirs is. There is no batch norm
    whose statistics could give the key away, so that nothing is shuffled.
    """

    subject_of: Tensor
    keys: Tensor
    place: Tensor

    def __init__(self, options: MocoOptions, encoder: Encoder) -> None:
        super().__init__()
        self.options, self.encoder = options, encoder
        self.projector = projector(encoder.embedding_dim, options.hidden, options.out, "none")
        self.key_encoder = make_teacher(encoder)
        self.key_projector = make_teacher(self.projector)
        self.register_buffer("keys", F.normalize(torch.randn(options.queue, options.out), dim=1))
        self.register_buffer("subject_of", torch.full((options.queue,), _NOBODY))
        self.register_buffer("place", torch.zeros((), dtype=torch.long))
        self._waiting: list[tuple[Tensor, Tensor]] = []

    def loss(self, views: list[View], step: int, total_steps: int) -> dict[str, Tensor]:
        """Return ``contrastive``: the key is to be found among those of the queue."""
        del step, total_steps
        first, second = views
        query = F.normalize(self.projector(self.encoder.embed(first.image)).float(), dim=1)
        with torch.no_grad():
            key = F.normalize(self.key_projector(self.key_encoder.embed(second.image)).float(), dim=1)
        subjects = _number(first.subjects).to(query.device)
        logits = torch.cat([(query * key).sum(1, keepdim=True), query @ self.keys.T], dim=1)
        logits = logits / self.options.temperature
        logits[:, 1:] = logits[:, 1:].masked_fill(self._find_no_negatives(subjects), -math.inf)
        if self.training:
            self._waiting.append((key, subjects))
        found = torch.zeros(len(query), dtype=torch.long, device=query.device)
        return {"contrastive": F.cross_entropy(logits, found)}

    def after_step(self, step: int, total_steps: int) -> None:
        """Let the key network follow, and put the step's keys into the queue."""
        del step, total_steps
        follow(self.key_encoder, self.encoder, self.options.momentum)
        follow(self.key_projector, self.projector, self.options.momentum)
        for keys, subjects in self._waiting:
            self._put(keys, subjects)
        self._waiting.clear()

    def _find_no_negatives(self, subjects: Tensor) -> Tensor:
        """Return ``(B, queue)``, true at keys that are no negatives of a sample."""
        own = subjects[:, None] == self.subject_of[None]
        return torch.zeros_like(own) if self.options.same_subject_negatives else own

    def _put(self, keys: Tensor, subjects: Tensor) -> None:
        """Write keys over the oldest ones."""
        size = self.options.queue
        keys, subjects = keys[-size:], subjects[-size:]
        places = (self.place + torch.arange(len(keys), device=keys.device)) % size
        self.keys[places] = keys
        self.subject_of[places] = subjects
        self.place.copy_((self.place + len(keys)) % size)


def _number(subjects: Sequence[str]) -> Tensor:
    """Return a number for each subject, ``(B,)``: the same in every batch, and not negative."""
    digests = [hashlib.sha256(subject.encode()).digest() for subject in subjects]
    return torch.tensor([int.from_bytes(digest[:7], "big") for digest in digests])
