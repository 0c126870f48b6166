"""Bootstrap your own latent (Grill et al. 2020)."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from mribench.interfaces import Encoder, Objective, Options, View
from mribench_objectives.heads import projector
from mribench_objectives.teachers import follow, make_teacher, rise_along_cosine


class ByolOptions(Options):
    """Options of the objective ``byol``; the defaults are the paper's, of its shorter trainings."""

    hidden: int = Field(4096, gt=0, description="width of the hidden layers of projector and predictor")
    out: int = Field(256, gt=0, description="dimension in which views are compared")
    decay: float = Field(
        0.99,
        ge=0,
        lt=1,
        description="share of its own weights that the target network keeps at the first step; rises to 1 "
        "along half a cosine (the paper: 0.99 for 300 epochs, 0.996 for 1000)",
    )


class Byol(Objective):
    """Predicts a target network's projection of one view from the other view.

    Grill et al. 2020, doi:10.48550/arXiv.2006.07733, equations 1 and 2: the distance of unit vectors, over
    both directions. There are no negatives; batch norm in the two heads keeps the embeddings apart. The
    target network's weights are a moving average of the trained ones, which downstream tasks get.
    """

    min_batch = 2  # batch norm

    def __init__(self, options: ByolOptions, encoder: Encoder) -> None:
        super().__init__()
        self.options, self.encoder = options, encoder
        self.projector = projector(encoder.embedding_dim, options.hidden, options.out, "batch")
        self.predictor = projector(options.out, options.hidden, options.out, "batch")
        self.target_encoder = make_teacher(encoder)
        self.target_projector = make_teacher(self.projector)

    def loss(self, views: list[View], step: int, total_steps: int) -> dict[str, Tensor]:
        """Return ``prediction``: 0 where both predictions point as the targets do, 8 where against them."""
        del step, total_steps
        images = torch.cat([view.image for view in views])
        predicted = self.predictor(self.projector(self.encoder.embed(images)))
        with torch.no_grad():
            wanted = self.target_projector(self.target_encoder.embed(images))
        one, other = predicted.chunk(2)
        wanted_of_one, wanted_of_other = wanted.chunk(2)
        return {"prediction": _distance(one, wanted_of_other) + _distance(other, wanted_of_one)}

    def after_step(self, step: int, total_steps: int) -> None:
        """Let the target network follow."""
        decay = rise_along_cosine(self.options.decay, 1.0, step, total_steps)
        parts: list[tuple[nn.Module, nn.Module]] = [
            (self.target_encoder, self.encoder),
            (self.target_projector, self.projector),
        ]
        for teacher, student in parts:
            follow(teacher, student, decay)


def _distance(predicted: Tensor, wanted: Tensor) -> Tensor:
    """Return the mean squared distance of unit vectors ``(B, D)``: 2 - 2 cos."""
    return (2 - 2 * F.cosine_similarity(predicted.float(), wanted.float(), dim=1)).mean()
