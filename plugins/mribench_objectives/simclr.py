"""SimCLR for any number of views (Chen et al. 2020; Khosla et al. 2020)."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor

from mribench.interfaces import Encoder, Objective, Options, View, ViewRequest
from mribench_objectives.heads import ProjectorNorm, projector


class SimclrOptions(Options):
    """Options of the objective ``simclr``."""

    temperature: float = Field(0.5, ge=0.01, description="divides the cosine similarities")
    views: int = Field(2, ge=2, le=8, description="views of each subject")
    hidden: int = Field(2048, gt=0, description="width of the projector's hidden layer")
    out: int = Field(128, gt=0, description="dimension in which views are compared")
    norm: ProjectorNorm = Field("batch", description="norm of the projector's hidden layer")


class Simclr(Objective):
    """Finds the other views of a subject among all views of a batch.

    SimCLR (Chen et al. 2020, doi:10.48550/arXiv.2002.05709) with two views. With more every other view of a
    subject is to be found: the loss L_out of Khosla et al. 2020, doi:10.48550/arXiv.2004.11362, equation 2,
    whose labels are the subjects here; of two views both are one.
    """

    min_batch = 2  # of one subject there is no negative

    def __init__(self, options: SimclrOptions, encoder: Encoder) -> None:
        super().__init__()
        self.options, self.encoder = options, encoder
        self.view_requests = (ViewRequest(),) * options.views
        self.projector = projector(encoder.embedding_dim, options.hidden, options.out, options.norm)

    def loss(self, views: list[View], step: int, total_steps: int) -> dict[str, Tensor]:
        """Return ``contrastive``."""
        del step, total_steps
        projected = self.projector(self.encoder.embed(torch.cat([view.image for view in views])))
        numbers = {subject: number for number, subject in enumerate(dict.fromkeys(views[0].subjects))}
        people = torch.tensor([numbers[subject] for subject in views[0].subjects] * len(views))
        return {"contrastive": contrast(projected, people.to(projected.device), self.options.temperature)}

    def chance_losses(self, batch_size: int) -> dict[str, float]:
        """Return ln(VB - 1): all embeddings equal, all subjects different."""
        return {"contrastive": math.log(self.options.views * batch_size - 1)}


def contrast(embeddings: Tensor, people: Tensor, temperature: float) -> Tensor:
    """Return L_out of Khosla et al. 2020: the mean over all rows, and over the other rows of their person.

    Args:
        embeddings: ``(N, D)``, of any length.
        people: number of the person of each row, ``(N,)``; each has two rows or more.
        temperature: divides the cosine similarities.
    """
    unit = F.normalize(embeddings.float(), dim=1)
    itself = torch.eye(len(unit), dtype=torch.bool, device=unit.device)
    logits = (unit @ unit.T / temperature).float().masked_fill(itself, -math.inf)
    surprise = -logits.log_softmax(1)
    positive = (people[:, None] == people[None]) & ~itself
    return (surprise.masked_fill(~positive, 0).sum(1) / positive.sum(1)).mean()
