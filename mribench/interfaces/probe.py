"""Probes: small models of frozen embeddings, fitted without an optimiser."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from torch import Tensor


@dataclass(frozen=True)
class ProbeSubjects:
    """Some subjects as a probe sees them, one row each.

    Attributes:
        embeddings: ``(N, D)`` float64, of frozen encoders.
        targets: ``(N,)`` float64, numbers or numbers of classes.
    """

    embeddings: np.ndarray
    targets: np.ndarray

    def __len__(self) -> int:
        return len(self.targets)


class Probe(ABC):
    """Predicts a target of people from their embeddings.

    Its factory gets, after the options, the number of classes: 0 where targets are numbers.
    ``mribench.testing.check_probe`` tries what is said here.
    """

    @abstractmethod
    def fit(self, training: ProbeSubjects, validation: ProbeSubjects) -> None:
        """Learn from training subjects; what has to be chosen is chosen on validation subjects.

        Nothing is drawn at random that does not follow from the data, and no array is changed.

        Args:
            training: two or more, with two different targets at least; of classes, not all may be there.
            validation: of the same columns; may be empty.
        """

    @abstractmethod
    def predict(self, embeddings: np.ndarray) -> np.ndarray:
        """Return predictions of ``(M, D)`` embeddings: ``(M,)`` numbers, or ``(M, C)`` probabilities."""

    @abstractmethod
    def state(self) -> dict[str, Tensor]:
        """Return all that ``predict`` needs, and what was chosen, as tensors by name."""

    @abstractmethod
    def load(self, state: Mapping[str, Tensor]) -> None:
        """Take the state of a probe that was fitted: predictions are then the same, bit for bit."""
