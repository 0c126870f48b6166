"""Downstream tasks about people: one target for each subject, from its covariates."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mribench.interfaces.encoder import Encoder
from mribench.interfaces.metric import SetMetric
from mribench.interfaces.probe import Probe
from mribench.interfaces.task import Forward, LabelScore, Task, TaskVolume

_EXAMPLES = (40.0, 60.0)


@dataclass(frozen=True)
class TrainingSubject:
    """A subject that a task learns from.

    Attributes:
        subject: subject id.
        target: a number, or the number of a class.
        covariates: those that the task needs.
    """

    subject: str
    target: float
    covariates: Mapping[str, object]


@dataclass(frozen=True)
class TrainingTargets:
    """What the targets of the training subjects are like.

    Attributes:
        n: subjects.
        mean: of their targets.
        sd: of their targets, over n; 1 where all are the same.
        class_weights: of each class ``N / (classes there · its subjects)``, 0 of one that nobody has, so that
            the mean over subjects is 1; empty where targets are numbers.
    """

    n: int
    mean: float = 0.0
    sd: float = 1.0
    class_weights: tuple[float, ...] = ()

    @classmethod
    def of(cls, training: Sequence[TrainingSubject], n_classes: int) -> TrainingTargets:
        """Describe training subjects.

        Args:
            training: one or more.
            n_classes: 0 where targets are numbers.
        """
        targets = np.array([subject.target for subject in training], dtype=np.float64)
        if not n_classes:
            return cls(len(targets), float(targets.mean()), float(targets.std()) or 1.0)
        counts = np.bincount(targets.astype(np.int64), minlength=n_classes)
        there = int(np.count_nonzero(counts))
        weights = [len(targets) / (there * count) if count else 0.0 for count in counts.tolist()]
        return cls(len(targets), class_weights=tuple(weights))


class SubjectHead(nn.Module):
    """A linear layer on the embedding; what it must know of the training subjects is stored with it.

    Args:
        embedding_dim: channels of the embedding ``(B, D)``.
        n_classes: classes, whose logits ``(B, C)`` it gives; 0 for one number ``(B, 1)`` in its own unit.
        targets: of the training subjects.
    """

    mean: Tensor
    sd: Tensor

    def __init__(self, embedding_dim: int, n_classes: int, targets: TrainingTargets) -> None:
        super().__init__()
        self.linear = nn.Linear(embedding_dim, n_classes or 1)
        self.register_buffer("mean", torch.tensor(targets.mean))
        self.register_buffer("sd", torch.tensor(targets.sd))

    def forward(self, embedding: Tensor) -> Tensor:
        """Map ``(B, D)`` to ``(B, C)`` or ``(B, 1)``."""
        output: Tensor = self.linear(embedding).float() * self.sd + self.mean
        return output


class SubjectTask(Task):
    """A task about people: a number, or a class, for each subject.

    Either a probe is fitted on embeddings of a frozen encoder (``build_probe``), or a head is trained on
    embeddings of crops, with the encoder in the arms that train it. The head of this class is linear, its
    loss the squared error in standard deviations of the training subjects, or the cross-entropy weighted by
    class; a task may override each. Test subjects are scored all at once.

    Attributes:
        target_name: what is predicted, as tables label it.
        classes: their names, by number; empty where the target is a number.
        metrics: what predictions and targets of a whole set are scored by.
        training: what ``learn_from`` was told; of nobody before that.
    """

    dense = False
    label = None
    target_name: str
    classes: Sequence[str] = ()
    metrics: Sequence[SetMetric]
    training: TrainingTargets = TrainingTargets(0)

    @abstractmethod
    def target(self, covariates: Mapping[str, object]) -> float | None:
        """Return the target of a subject: a number, or the number of its class.

        Args:
            covariates: has all that ``self.covariates`` names.

        Returns:
            None where the task is not about this subject; it is left out, and `mribench plan` counts it.

        Raises:
            DataError: when a covariate is no number, or of no known class.
        """

    def build_probe(self) -> Probe | None:
        """Return a new probe, or None where a head is trained."""
        return None

    def learn_from(self, training: Sequence[TrainingSubject]) -> None:
        """Note what the training subjects are like, before the head is built.

        A test has a new task, which is told nothing: what it needs is to be a buffer of the head.
        """
        self.training = TrainingTargets.of(training, len(self.classes))

    def example_covariates(self) -> Sequence[Mapping[str, object]]:
        """Return the covariates of made-up subjects with different targets, for conformance checks."""
        values: Sequence[object] = self.classes or _EXAMPLES
        return [dict.fromkeys(self.covariates, value) for value in values]

    def build_head(self, encoder: Encoder) -> nn.Module:
        """Return a linear head."""
        return SubjectHead(encoder.embedding_dim, len(self.classes), self.training)

    def training_sample(
        self, volume: TaskVolume, patch_vox: int, generator: torch.Generator
    ) -> dict[str, Tensor]:
        """Return a random crop in the head, ``image`` ``(1, p, p, p)``, and the ``target`` ``()``."""
        return {
            "image": _crop(volume, patch_vox, generator),
            "target": torch.tensor(self.target(volume.covariates), dtype=torch.float32),
        }

    def loss(self, output: Tensor, batch: dict[str, Tensor]) -> Tensor:
        """Return the loss of ``(B, C)`` logits or ``(B, 1)`` numbers."""
        targets = batch["target"]
        if not self.classes:
            return F.mse_loss(output[:, 0] / self.training.sd, targets / self.training.sd)
        weights = torch.tensor(self.training.class_weights or [1.0] * len(self.classes), device=output.device)
        # Divided by the batch and not by its weights: a batch of one class counts by that class's weight too.
        return F.cross_entropy(output, targets.long(), weight=weights, reduction="none").mean()

    def predict(self, forward: Forward, volume: TaskVolume, generator: torch.Generator) -> Tensor:
        """Return the probabilities of the classes ``(C,)``, or the number ``(1,)``, for a test scan."""
        del generator
        output = forward(volume.image)
        return output.softmax(0) if self.classes else output

    def score(self, prediction: Tensor, volume: TaskVolume) -> list[LabelScore]:
        """Return nothing: one subject alone has no score of a set."""
        del prediction, volume
        return []


def _crop(volume: TaskVolume, patch_vox: int, generator: torch.Generator) -> Tensor:
    """Cut around a random voxel of the head; beyond the border the nearest value is repeated."""
    inside = np.flatnonzero(volume.foreground.numpy())
    flat = int(inside[int(torch.randint(len(inside), (), generator=generator))]) if len(inside) else 0
    centre = np.unravel_index(flat, tuple(volume.foreground.shape))
    crop = volume.image
    for axis, (middle, size) in enumerate(zip(centre, volume.foreground.shape, strict=True), start=1):
        low = (size - patch_vox) // 2
        if size > patch_vox:
            low = min(max(int(middle) - patch_vox // 2, 0), size - patch_vox)
        crop = crop.index_select(axis, torch.arange(low, low + patch_vox).clamp(0, size - 1))
    return crop
