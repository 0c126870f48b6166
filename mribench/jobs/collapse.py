"""Is the encoder collapsed, or odd in another way? Measured on embeddings, for any objective."""

from __future__ import annotations

import functools
import itertools
import math
from dataclasses import dataclass

import numpy as np
from scipy.stats import rankdata
from threadpoolctl import threadpool_limits
from torch import Tensor

from mribench.jobs.invariance import effective_rank_of, singular_values
from mribench.results.records import MIN_CHECKED, JobRow

ALPHA = 0.01
"""Of the test that embeddings say something of the subject."""
MAX_SUBJECTS = 8
"""All 8! orders of subjects are tried."""
MAX_COSINE = 0.95
"""Between embeddings of different subjects; above it they are anisotropic."""
MAX_DIRECTION_SHARE = 0.95
"""Of the variance along one direction; above it embeddings are of low rank."""
ONE_POINT = 1e-5
"""Embeddings that differ by less than this share of the largest value are one point, but for rounding."""


@dataclass(frozen=True)
class CollapseCheck:
    """What the embeddings of two views of each subject show.

    Attributes:
        subjects: how many.
        not_finite: embeddings with a value that is NaN or infinite; with one, nothing below is measured: NaN.
        one_point: whether all embeddings are the same, but for rounding.
        retrieval_hits: views whose nearest second view is of the same subject; None where it is not measured.
        retrieval_queries: views asked.
        retrieval_chance: expected share of hits without any information.
        retrieval_p: share of the orders of the subjects in which the second views lie as near or nearer, by
            the sum of their ranks: that sees more than the hits. Subjects are the units: what is wrong about
            one subject is wrong in all its draws.
        mean_cosine: mean cosine between embeddings of different subjects, as they are (not centred).
        effective_rank: exponential of the entropy of the singular values of the centred embeddings
            (Roy and Vetterli 2007, EUSIPCO, definition 1).
        direction_share: largest share of the variance along one direction.
        embedding_sd: mean over dimensions of the standard deviation.
    """

    subjects: int
    not_finite: int
    one_point: bool
    retrieval_hits: int | None
    retrieval_queries: int
    retrieval_chance: float
    retrieval_p: float
    mean_cosine: float
    effective_rank: float
    direction_share: float
    embedding_sd: float

    def collapsed(self) -> bool | None:
        """Return whether the embeddings say nothing of the subject; None where that cannot be told."""
        if self.not_finite:
            return None
        if self.one_point:
            return True
        return self.retrieval_p >= ALPHA if self.subjects >= MIN_CHECKED else None

    def retrieval(self) -> float:
        """Return the share of hits."""
        return math.nan if self.retrieval_hits is None else self.retrieval_hits / self.retrieval_queries

    def reason(self) -> str:
        """Return why the encoder counts as collapsed, or an empty string."""
        if not self.collapsed():
            return ""
        if self.one_point:
            return "all embeddings are one point"
        return (
            f"retrieval {self.retrieval_hits}/{self.retrieval_queries} not above chance "
            f"{self.retrieval_queries * self.retrieval_chance:g}, p = {self.retrieval_p:.2g} "
            f"over {self.subjects} subjects"
        )

    def remarks(self) -> list[str]:
        """Return what else is odd about the embeddings, each by its name."""
        if self.not_finite:
            return [f"not finite: {self.not_finite} of {2 * self.retrieval_queries} embeddings"]
        if self.collapsed():
            return []
        remarks = []
        if self.mean_cosine > MAX_COSINE:
            remarks.append(f"anisotropic: mean cosine {self.mean_cosine:.3f} between subjects")
        if self.direction_share > MAX_DIRECTION_SHARE:
            share = 100 * self.direction_share
            remarks.append(f"low rank: {share:.3g} % of the variance along one direction")
        return remarks

    def row(self, untrained: CollapseCheck, *, trained: bool) -> JobRow:
        """Return the columns of the job row.

        Args:
            untrained: the check of the same encoder before training.
            trained: whether training changed any of its parameters.
        """
        reason = self.reason()
        remarks = self.remarks() if trained else ["not trained: no parameter has changed", *self.remarks()]
        if reason and not self.one_point:
            reason += f" (untrained {untrained.retrieval_hits}/{untrained.retrieval_queries})"
        return {
            "subjects_checked": self.subjects,
            "retrieval_hits": self.retrieval_hits,
            "retrieval_queries": self.retrieval_queries,
            "retrieval_chance": self.retrieval_chance,
            "retrieval_p": self.retrieval_p,
            "mean_cosine": self.mean_cosine,
            "effective_rank": self.effective_rank,
            "direction_share": self.direction_share,
            "embedding_sd": self.embedding_sd,
            "untrained_retrieval_hits": untrained.retrieval_hits,
            "untrained_retrieval_p": untrained.retrieval_p,
            "untrained_mean_cosine": untrained.mean_cosine,
            "untrained_effective_rank": untrained.effective_rank,
            "untrained_direction_share": untrained.direction_share,
            "collapsed": self.collapsed(),
            "collapse_reason": reason,
            "encoder_remarks": "; ".join(remarks),
        }


def check_collapse(first: Tensor, second: Tensor) -> CollapseCheck:
    """Check embeddings of two views.

    Args:
        first: ``(R, N, D)`` embeddings of R draws of one view of N subjects, ``MAX_SUBJECTS`` at most.
        second: the other view of the same draws, ``(R, N, D)``.

    Raises:
        ValueError: for more subjects.
    """
    a, b = first.double().numpy(), second.double().numpy()
    rounds, n, _ = a.shape
    if n > MAX_SUBJECTS:
        raise ValueError(f"at most {MAX_SUBJECTS} subjects can be checked, got {n}")
    everything = np.concatenate([a, b]).reshape(2 * rounds * n, -1)
    not_finite = int((~np.isfinite(everything)).any(axis=1).sum())
    if not_finite:
        return CollapseCheck(n, not_finite, False, None, rounds * n, 1 / n, *(math.nan,) * 5)
    # Euclidean: a constant offset does not count, and a single direction can tell subjects apart.
    distances = np.linalg.norm(a[:, :, None] - b[:, None], axis=-1)
    # Matrices are so small that threads of BLAS only wait for each other, and for other jobs.
    with threadpool_limits(limits=1, user_api="blas"):
        values, mean_cosine = singular_values(everything), _mean_cosine(a, b)
    return CollapseCheck(
        subjects=n,
        not_finite=0,
        one_point=_is_one_point(everything),
        retrieval_hits=int((distances.argmin(axis=2) == np.arange(n)).sum()),
        retrieval_queries=rounds * n,
        retrieval_chance=1 / n,
        retrieval_p=_permutation_p(rankdata(distances, axis=2).sum(axis=0)),
        mean_cosine=mean_cosine,
        effective_rank=effective_rank_of(values, everything),
        direction_share=_direction_share(values),
        embedding_sd=float(everything.std(axis=0).mean()),
    )


def _permutation_p(ranks: np.ndarray) -> float:
    """Test that own views lie nearer than those of other subjects.

    Args:
        ranks: of the second view of subject j among all, for subject i, summed over draws, ``(N, N)``.
    """
    subjects = np.arange(len(ranks))
    if len(subjects) < 2:
        return 1.0
    sums = ranks[subjects, _list_orders(len(subjects))].sum(axis=1)  # of halves: without rounding
    return float((sums <= np.trace(ranks)).mean())


@functools.lru_cache(maxsize=MAX_SUBJECTS)
def _list_orders(n: int) -> np.ndarray:
    """Return all orders of n subjects, ``(n!, n)``; scipy's permutation test lists them anew each time."""
    return np.array(list(itertools.permutations(range(n))), dtype=np.int8)


def _mean_cosine(a: np.ndarray, b: np.ndarray) -> float:
    """NaN for one subject: there is no other."""
    n = a.shape[1]
    if n < 2:
        return math.nan
    cosines = _unit(a) @ _unit(b).transpose(0, 2, 1)
    return float(cosines[:, ~np.eye(n, dtype=bool)].mean())


def _unit(x: np.ndarray) -> np.ndarray:
    norms = np.linalg.norm(x, axis=-1, keepdims=True)
    unit: np.ndarray = x / np.maximum(norms, 1e-12)
    return unit


def _is_one_point(x: np.ndarray) -> bool:
    return bool(np.ptp(x, axis=0).max() <= ONE_POINT * np.abs(x).max())


def _direction_share(values: np.ndarray) -> float:
    """Take singular values; 1 where all embeddings coincide."""
    variances = values**2
    total = variances.sum()
    return float(variances[0] / total) if total > 0 else 1.0
