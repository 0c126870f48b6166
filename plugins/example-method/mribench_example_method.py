"""VICReg (Bardes et al. 2022, doi:10.48550/arXiv.2105.04906) as an mribench plugin."""

import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from mribench import hookimpl
from mribench.interfaces import Encoder, Entry, Objective, Options, View


class VicregOptions(Options):
    """What a benchmark file may set under ``objective: {name: vicreg, …}``."""

    width: int = Field(256, gt=0, description="width of the expander's layers")
    invariance: float = Field(25.0, ge=0, description="weight of the distance between the views")
    variance: float = Field(25.0, ge=0, description="weight of the hinge that keeps the spread at 1")
    covariance: float = Field(1.0, ge=0, description="weight of the correlation between dimensions")


class Vicreg(Objective):
    """Pulls two views together while each dimension keeps its spread and dimensions are decorrelated."""

    min_batch = 2  # the spread of one subject is not defined

    def __init__(self, options: VicregOptions, encoder: Encoder) -> None:
        super().__init__()
        self.encoder = encoder
        self.expander = nn.Sequential(
            nn.Linear(encoder.embedding_dim, options.width),
            nn.BatchNorm1d(options.width),
            nn.ReLU(),
            nn.Linear(options.width, options.width),
        )
        self.weights = {
            "invariance": options.invariance,
            "variance": options.variance,
            "covariance": options.covariance,
        }

    def loss(self, views: list[View], step: int, total_steps: int) -> dict[str, Tensor]:
        """Return the three terms, unweighted, averaged over dimensions as in the authors' code."""
        del step, total_steps
        first, second = (self.expander(self.encoder.embed(view.image)).float() for view in views)
        return {
            "invariance": F.mse_loss(first, second),
            "variance": (spread_hinge(first) + spread_hinge(second)) / 2,
            "covariance": correlation(first) + correlation(second),
        }


def spread_hinge(embeddings: Tensor) -> Tensor:
    """Return the mean over dimensions of max(0, 1 - standard deviation), ``(B, D)`` to a scalar."""
    return F.relu(1 - (embeddings.var(dim=0) + 1e-4).sqrt()).mean()


def correlation(embeddings: Tensor) -> Tensor:
    """Return the sum of squared covariances between different dimensions, divided by D."""
    covariance = embeddings.T.cov()
    return (covariance.square().sum() - covariance.diagonal().square().sum()) / len(covariance)


@hookimpl
def mribench_entries() -> list[Entry]:
    """Return what this plugin adds."""
    return [Entry("objective", "vicreg", Vicreg, VicregOptions, "variance, invariance, covariance")]
