"""The probe of nearest neighbours."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

import numpy as np
import torch
from pydantic import Field
from scipy.spatial.distance import cdist
from torch import Tensor

from mribench.interfaces import Options, Probe, ProbeSubjects
from mribench_tasks.probes.scaling import Scaling, class_weights

NEIGHBOURS = (1, 2, 3, 5, 7, 10, 15, 20, 30, 50)


class KNNOptions(Options):
    """Options of the probe ``knn``."""

    neighbours: tuple[Annotated[int, Field(ge=1)], ...] = Field(
        NEIGHBOURS,
        min_length=1,
        description="numbers of neighbours to choose from; those beyond the training subjects are left out",
    )


class KNNProbe(Probe):
    """The mean target of the nearest training subjects, or their shares of the classes.

    Neighbours are nearest by Euclidean distance of standardised embeddings (Cover and Hart 1967,
    doi:10.1109/TIT.1967.1053964); of equally near ones the first training subject. In shares each neighbour
    counts by the weight of its class, so that a large class has no advantage. The number of neighbours is
    that of the smallest squared error (of shares, the Brier score) on the validation subjects; without them,
    on the training subjects, each without itself. Of equally good ones the largest is taken.
    """

    def __init__(self, options: KNNOptions, n_classes: int) -> None:
        self._neighbours = sorted(options.neighbours, reverse=True)
        self._n_classes = n_classes
        self._scaling = Scaling(np.zeros(1), np.ones(1))
        self._embeddings, self._votes = np.zeros((1, 1)), np.zeros((1, max(1, n_classes)))
        self._k = self._neighbours[-1]

    def fit(self, training: ProbeSubjects, validation: ProbeSubjects) -> None:
        """Keep the training subjects, and choose the number of neighbours on the validation subjects."""
        self._scaling = Scaling.of(training.embeddings)
        self._embeddings = self._scaling.apply(training.embeddings)
        weights = np.ones(1)
        if self._n_classes:
            weights = class_weights(training.targets.astype(np.int64), self._n_classes)
        self._votes = self._one_hot(training.targets) * weights
        self._k = self._choose(training, validation, weights)

    def predict(self, embeddings: np.ndarray) -> np.ndarray:
        """Return ``(M,)`` numbers or ``(M, C)`` shares."""
        near = _nearest(self._embeddings, self._scaling.apply(embeddings), self._k)
        output = self._shares(near, self._k)
        return output if self._n_classes else output[:, 0]

    def state(self) -> dict[str, Tensor]:
        """Return the training subjects' embeddings and votes, the scaling, and the number of neighbours."""
        arrays = {
            "embeddings": self._embeddings,
            "votes": self._votes,
            "mean": self._scaling.mean,
            "sd": self._scaling.sd,
            "neighbours": np.array([self._k]),
        }
        return {name: torch.from_numpy(np.ascontiguousarray(array)) for name, array in arrays.items()}

    def load(self, state: Mapping[str, Tensor]) -> None:
        """Take the state of a fitted probe."""
        arrays = {name: tensor.numpy() for name, tensor in state.items()}
        self._embeddings, self._votes = arrays["embeddings"], arrays["votes"]
        self._scaling = Scaling(arrays["mean"], arrays["sd"])
        self._k = int(arrays["neighbours"].item())

    def _one_hot(self, targets: np.ndarray) -> np.ndarray:
        if not self._n_classes:
            return targets[:, None]
        one_hot: np.ndarray = np.eye(self._n_classes)[targets.astype(np.int64)]
        return one_hot

    def _shares(self, near: np.ndarray, k: int) -> np.ndarray:
        """Return the mean vote of the first ``k`` neighbours ``(M, C or 1)``, shares adding up to 1."""
        votes = self._votes[near[:, :k]].sum(axis=1)
        total = votes.sum(axis=1, keepdims=True) if self._n_classes else float(k)
        shares: np.ndarray = votes / total
        return shares

    def _choose(self, training: ProbeSubjects, validation: ProbeSubjects, weights: np.ndarray) -> int:
        without_itself = not len(validation)
        tested = training if without_itself else validation
        most = len(training) - without_itself
        known = [k for k in self._neighbours if k <= most] or [most]
        queries = self._scaling.apply(tested.embeddings)
        near = _nearest(self._embeddings, queries, known[0], without_itself=without_itself)
        wanted = self._one_hot(tested.targets)
        importance = weights[tested.targets.astype(np.int64)] if self._n_classes else np.ones(len(tested))

        def error(k: int) -> float:
            return float((((self._shares(near, k) - wanted) ** 2).sum(axis=1) * importance).sum())

        return min(known, key=error)


def _nearest(
    embeddings: np.ndarray, queries: np.ndarray, k: int, *, without_itself: bool = False
) -> np.ndarray:
    """Return the places of the ``k`` nearest rows of each query ``(M, k)``, nearest first.

    Args:
        embeddings: ``(N, D)``.
        queries: ``(M, D)``.
        k: how many.
        without_itself: whether the queries are the rows themselves, and none is its own neighbour.
    """
    distances = cdist(queries, embeddings)
    if without_itself:
        np.fill_diagonal(distances, np.inf)
    near: np.ndarray = np.argsort(distances, axis=1, kind="stable")[:, :k]
    return near
