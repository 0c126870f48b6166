"""The checks of probes and of tasks about people find what breaks their rules."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from mribench.interfaces import Encoder, Probe, ProbeSubjects, SetMetric, SetScore, SubjectTask
from mribench.testing import ConformanceError, check_probe, check_task


class Nearest(Probe):
    """The target of the nearest training subject."""

    def __init__(self, n_classes: int) -> None:
        self.n_classes = n_classes

    def fit(self, training: ProbeSubjects, validation: ProbeSubjects) -> None:
        del validation
        self.embeddings, self.targets = training.embeddings.copy(), training.targets.copy()

    def predict(self, embeddings: np.ndarray) -> np.ndarray:
        apart = ((embeddings[:, None] - self.embeddings[None]) ** 2).sum(-1)
        targets = self.targets[apart.argmin(1)]
        return np.eye(self.n_classes)[targets.astype(int)] if self.n_classes else targets

    def state(self) -> dict[str, Tensor]:
        return {"embeddings": torch.tensor(self.embeddings), "targets": torch.tensor(self.targets)}

    def load(self, state: Mapping[str, Tensor]) -> None:
        self.embeddings, self.targets = state["embeddings"].numpy(), state["targets"].numpy()


class Forgets(Nearest):
    def load(self, state: Mapping[str, Tensor]) -> None:
        super().load({**state, "targets": state["targets"].flip(0)})


class Guesses(Nearest):
    def predict(self, embeddings: np.ndarray) -> np.ndarray:
        return np.roll(super().predict(embeddings), 1, axis=0)


class Draws(Nearest):
    def fit(self, training: ProbeSubjects, validation: ProbeSubjects) -> None:
        torch.rand(1)
        super().fit(training, validation)


class Scales(Nearest):
    def fit(self, training: ProbeSubjects, validation: ProbeSubjects) -> None:
        super().fit(training, validation)
        training.embeddings[:] = 0


class Doubts(Nearest):
    def predict(self, embeddings: np.ndarray) -> np.ndarray:
        return super().predict(embeddings) * (0.5 if self.n_classes else 1)


class Flat(Nearest):
    def predict(self, embeddings: np.ndarray) -> np.ndarray:
        return super().predict(embeddings).ravel()


class Stateless(Nearest):
    def state(self) -> dict[str, Tensor]:
        return {}


def test_a_sound_probe_conforms() -> None:
    check_probe(Nearest)


@pytest.mark.parametrize(
    ("probe", "message"),
    [
        (Forgets, "a new one with its state predicts something else"),
        (Guesses, "on an easy relation its mean squared error is"),
        (Draws, "global random state"),
        (Scales, "fit\\(\\) changes the arrays that it is given"),
        (Doubts, "probe of 2 classes: predict\\(\\) gives no probabilities"),
        (Flat, "probe of 2 classes: predict\\(\\) gives the shape"),
        (Stateless, "state\\(\\) is empty"),
    ],
)
def test_broken_probes(probe: type[Probe], message: str) -> None:
    with pytest.raises(ConformanceError, match=message):
        check_probe(probe)  # type: ignore[arg-type]


class Error(SetMetric):
    id = "error"
    of = "numbers"

    def score_set(self, predictions: np.ndarray, targets: np.ndarray) -> SetScore:
        components = np.abs(predictions - targets)
        return SetScore(float(components.mean()), components)


class Age(SubjectTask):
    """The age, by a head that is trained."""

    target_name = "age"
    covariates = ("age",)
    metrics = (Error(),)

    def target(self, covariates: Mapping[str, object]) -> float | None:
        return float(str(covariates["age"]))


class Mean(nn.Module):
    """Adds a mean that it does not store."""

    def __init__(self, width: int, mean: float) -> None:
        super().__init__()
        self.linear, self.mean = nn.Linear(width, 1), mean

    def forward(self, embedding: Tensor) -> Tensor:
        output: Tensor = self.linear(embedding) + self.mean
        return output


class KeepsTheMeanToItself(Age):
    def build_head(self, encoder: Encoder) -> nn.Module:
        return Mean(encoder.embedding_dim, self.training.mean)


class OneTarget(Age):
    def target(self, covariates: Mapping[str, object]) -> float | None:
        del covariates
        return 1.0


class Groups(Age):
    classes = ("young", "old")

    def target(self, covariates: Mapping[str, object]) -> float | None:
        return float(covariates["age"] == "old")


class NoCovariate(Age):
    covariates = ()


class SharesItsProbe(Age):
    probe = Nearest(0)

    def build_probe(self) -> Probe:
        return self.probe


class OwnProbe(Age):
    def build_probe(self) -> Probe:
        return Nearest(0)


@pytest.mark.parametrize("task", [Age, OwnProbe])
def test_sound_tasks_about_people_conform(task: type[SubjectTask]) -> None:
    check_task(task())


@pytest.mark.parametrize(
    ("task", "message"),
    [
        (KeepsTheMeanToItself, "is to be a buffer of the head"),
        (OneTarget, "have one target alone"),
        (Groups, "'error' in 'metrics' is no SetMetric of classes"),
        (NoCovariate, "'covariates' is empty"),
        (SharesItsProbe, "the same probe twice"),
    ],
)
def test_broken_tasks_about_people(task: type[SubjectTask], message: str) -> None:
    with pytest.raises(ConformanceError, match=message):
        check_task(task())
