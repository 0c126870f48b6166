"""NT-Xent plus reconstruction, the objective of the seed paper (Chalcroft et al. 2025, section 3.1)."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor

from mribench.interfaces import Defect, Encoder, Objective, ProtocolOptions, View
from mribench_objectives.heads import ProjectorNorm, projector, reconstructor
from mribench_objectives.nt_xent import nt_xent

SUMMED_RECONSTRUCTION = Defect(
    "summed-reconstruction",
    "the reconstruction's L1 is summed over the two views, which doubles its weight",
    "training scripts of the released code",
)


class SimclrReconOptions(ProtocolOptions):
    """Options of the objective ``simclr-recon``; what is None follows the profile."""

    temperature: float = Field(0.5, ge=0.01, description="divides the cosine similarities of NT-Xent")
    projector_hidden: int = Field(512, gt=0, description="width of the projector's hidden layer")
    projector_out: int = Field(128, gt=0, description="dimension in which views are compared")
    projector_norm: ProjectorNorm | None = Field(
        None,
        description="norm of the projector's hidden layer: batch in 'corrected', none in the other profiles, "
        "where NT-Xent stays at its chance value in small settings",
    )
    reconstruction_weight: float = Field(1.0, ge=0, description="weight of the reconstruction's L1")
    same_subject_negatives: bool | None = Field(
        None,
        description="whether two crops of one subject in a batch are negatives of each other: no in "
        "'corrected', yes in the other profiles",
    )

    @property
    def resolved_projector_norm(self) -> ProjectorNorm:
        """The projector's norm, by profile unless given."""
        return self.projector_norm or ("batch" if self.profile == "corrected" else "none")

    @property
    def resolved_same_subject_negatives(self) -> bool:
        """Whether rows of one subject are negatives, by profile unless given."""
        if self.same_subject_negatives is None:
            return self.profile != "corrected"
        return self.same_subject_negatives


class SimclrRecon(Objective):
    """SimCLR (Chen et al. 2020, doi:10.48550/arXiv.2002.05709) with a reconstruction branch.

    ``contrastive`` is NT-Xent between the projections of two views. ``reconstruction`` is the L1
    distance of the image decoded from the coarsest feature map to the view without its artefacts,
    averaged over the two views; the sum of the two with the defect ``summed-reconstruction``.
    """

    min_batch = 2  # of one subject there is no negative, and NT-Xent is 0

    def __init__(self, options: SimclrReconOptions, encoder: Encoder) -> None:
        super().__init__()
        self.options = options
        self.encoder = encoder
        self.projector = projector(
            encoder.embedding_dim,
            options.projector_hidden,
            options.projector_out,
            options.resolved_projector_norm,
        )
        self.reconstructor = reconstructor(encoder)
        self.weights = {"reconstruction": options.reconstruction_weight}

    def loss(self, views: list[View], step: int, total_steps: int) -> dict[str, Tensor]:
        """Return the terms ``contrastive`` and ``reconstruction`` of two views of equal size."""
        del step, total_steps
        first, second = views
        maps, embedding = self.encoder.maps_and_embedding(torch.cat([first.image, second.image]))
        one, other = self.projector(embedding).chunk(2)
        subjects = () if self.options.resolved_same_subject_negatives else first.subjects
        reconstruction = F.l1_loss(
            self.reconstructor(maps[-1]).float(), torch.cat([first.target, second.target]).float()
        )
        summed = 2.0 if self.options.shows(SUMMED_RECONSTRUCTION.name) else 1.0
        return {
            "contrastive": nt_xent(one, other, self.options.temperature, subjects),
            "reconstruction": summed * reconstruction,
        }

    def chance_losses(self, batch_size: int) -> dict[str, float]:
        """Return ln(2B - 1) for ``contrastive``: all embeddings equal, all subjects different."""
        return {"contrastive": math.log(2 * batch_size - 1)}
