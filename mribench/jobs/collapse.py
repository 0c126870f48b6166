"""Is the encoder collapsed? Measured on embeddings of held-out subjects, for any objective."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from scipy.stats import binomtest
from torch import Tensor

from mribench.statistics.invariance import effective_rank

MAX_COSINE = 0.95
MIN_EFFECTIVE_RANK = 2.0
ALPHA = 0.01


@dataclass(frozen=True)
class CollapseCheck:
    """What the embeddings of two views of each subject show.

    Attributes:
        retrieval_hits: views whose nearest second view is of the same subject.
        retrieval_queries: views asked.
        retrieval_chance: expected share of hits without any information.
        retrieval_p: one-sided binomial test of the hits against chance.
        mean_cosine: mean cosine between embeddings of different subjects.
        effective_rank: exponential of the entropy of the singular values of the centred embeddings
            (Roy and Vetterli 2007, EUSIPCO, definition 1).
        embedding_sd: mean over dimensions of the standard deviation.
    """

    retrieval_hits: int
    retrieval_queries: int
    retrieval_chance: float
    retrieval_p: float
    mean_cosine: float
    effective_rank: float
    embedding_sd: float

    def reason(self) -> str:
        """Return why the encoder counts as collapsed, or an empty string."""
        reasons = []
        if self.mean_cosine > MAX_COSINE:
            reasons.append(f"mean cosine {self.mean_cosine:.3f} > {MAX_COSINE}")
        if self.effective_rank < MIN_EFFECTIVE_RANK:
            reasons.append(f"effective rank {self.effective_rank:.2f} < {MIN_EFFECTIVE_RANK}")
        if self.retrieval_p >= ALPHA:
            reasons.append(
                f"retrieval {self.retrieval_hits}/{self.retrieval_queries} not above chance "
                f"{self.retrieval_chance:.3f} (p = {self.retrieval_p:.2g})"
            )
        return "; ".join(reasons)

    def row(self) -> dict[str, Any]:
        """Return the columns of the job row."""
        reason = self.reason()
        return {**asdict(self), "collapsed": bool(reason), "collapse_reason": reason}


def check_collapse(first: Tensor, second: Tensor) -> CollapseCheck:
    """Check embeddings of two views.

    Args:
        first: ``(R, N, D)`` embeddings of R draws of one view of N subjects.
        second: the other view of the same draws, ``(R, N, D)``.
    """
    a, b = first.double().numpy(), second.double().numpy()
    rounds, n, _ = a.shape
    unit_a, unit_b = _unit(a), _unit(b)
    cosines = unit_a @ unit_b.transpose(0, 2, 1)
    hits = int((cosines.argmax(axis=2) == np.arange(n)).sum())
    everything = np.concatenate([a, b]).reshape(2 * rounds * n, -1)
    return CollapseCheck(
        retrieval_hits=hits,
        retrieval_queries=rounds * n,
        retrieval_chance=1 / n,
        retrieval_p=float(binomtest(hits, rounds * n, 1 / n, alternative="greater").pvalue),
        mean_cosine=float(cosines[:, ~np.eye(n, dtype=bool)].mean()) if n > 1 else 1.0,
        effective_rank=effective_rank(everything),
        embedding_sd=float(everything.std(axis=0).mean()),
    )


def _unit(x: np.ndarray) -> np.ndarray:
    norms = np.linalg.norm(x, axis=-1, keepdims=True)
    unit: np.ndarray = x / np.maximum(norms, 1e-12)
    return unit
