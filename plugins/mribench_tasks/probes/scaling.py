"""Embeddings brought to one scale, and the weights of classes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

_ROUNDING = 1e-6
"""Of embeddings in float32, as a share of the largest value."""
_SMALLEST = 1e-30


@dataclass(frozen=True)
class Scaling:
    """Mean and standard deviation of each dimension over the training subjects.

    Attributes:
        mean: ``(D,)``.
        sd: ``(D,)``; the largest value where a dimension is constant but for rounding, which is then about 0
            for everybody like them.
    """

    mean: np.ndarray
    sd: np.ndarray

    @classmethod
    def of(cls, embeddings: np.ndarray) -> Scaling:
        """Measure ``(N, D)`` embeddings."""
        mean, sd = embeddings.mean(axis=0), embeddings.std(axis=0)
        # what differs by rounding alone would be blown up to the size of all others
        largest = np.abs(embeddings).max(axis=0)
        constant = np.ptp(embeddings, axis=0) <= _ROUNDING * largest
        return cls(
            np.where(constant, embeddings[0], mean), np.where(constant, np.maximum(largest, _SMALLEST), sd)
        )

    def apply(self, embeddings: np.ndarray) -> np.ndarray:
        """Return ``(M, D)`` embeddings in standard deviations from the mean."""
        scaled: np.ndarray = (embeddings - self.mean) / self.sd
        return scaled


def class_weights(classes: np.ndarray, n_classes: int) -> np.ndarray:
    """Return the weight of each class ``(C,)``: all that are there count the same, the others are 0."""
    counts = np.bincount(classes, minlength=n_classes)
    there = np.count_nonzero(counts)
    weights: np.ndarray = np.divide(len(classes), there * counts, out=np.zeros(n_classes), where=counts > 0)
    return weights
