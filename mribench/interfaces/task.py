"""Downstream tasks."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
import torch
from torch import Tensor, nn

from mribench.interfaces.encoder import Decoder, Encoder
from mribench.interfaces.metric import Metric, Score, SetMetric
from mribench.wording import list_some

_SHOWN = 8
Forward = Callable[[Tensor], Tensor]
"""Maps a whole volume ``(1, I, J, K)`` to the model's output for it: ``(C, I, J, K)``, by sliding
windows, for a dense task; to ``(C,)``, the head on the mean embedding of windows, for one of embeddings. A
map is on the model's device: ``.to(volume.image)`` brings it to the scan."""


@dataclass
class TaskVolume:
    """One scan, ready for a task. Its arrays may be mapped from disk: they are read where they are used.

    Attributes:
        subject: subject id.
        session: session of the scan.
        sequence: e.g. ``T1w``; of several channels ``T1w+FLAIR``.
        image: ``(C, I, J, K)``, each channel z-scored, RAS, on the working grid of the first; C is 1 unless
            the task is ``multichannel`` and the benchmark file asks for more.
        foreground: ``(I, J, K)`` boolean, head against air, on the working grid.
        label: class map ``(I, J, K)`` on the working grid, or None; of the smallest integer type that holds
            it (uint8 as a rule): crops of it are to be brought to int64.
        native_label: class map on the image's own grid (in RAS), where scores are computed, or None; of a
            small integer type too.
        spacing_mm: voxel size of the working grid.
        native_spacing_mm: voxel size of the image's own grid.
        to_native: resamples ``(C, I, J, K)`` from the working to the image's own grid, on the device where
            the values lie.
        covariates: the subject's.
        mean: of the image in its own units, clipped as it is before it is z-scored: ``image * sd + mean`` has
            those units.
        sd: its standard deviation.
        target: image ``(1, I, J, K)`` of the task's ``target_sequence``, from the same session, z-scored, on
            the working grid of ``image``; None where the task has none.
    """

    subject: str
    session: str
    sequence: str
    image: Tensor
    foreground: Tensor
    label: Tensor | None
    native_label: np.ndarray | None
    spacing_mm: tuple[float, float, float]
    native_spacing_mm: tuple[float, float, float]
    to_native: Callable[[Tensor], Tensor]
    covariates: dict[str, object]
    mean: float = 0.0
    sd: float = 1.0
    target: Tensor | None = None


@dataclass(frozen=True)
class LabelScore:
    """The score of one label (``GM``, ``lesion``, ``image``) by one metric."""

    label: str
    metric: Metric
    score: Score


class Task(ABC):
    """A downstream task: its data, head, loss, inference and scores.

    Attributes:
        label: which label of the dataset it learns from; None when the image itself is the target.
        dense: whether the head gets feature maps (True) or the embedding (False).
        metrics: what it is scored by.
        covariates: that its subjects must have; who lacks one is left out.
        class_numbers: the numbers of each class in a label map; empty where nothing is said of them.
        background_numbers: numbers besides 0 that are background; None where all are that no class has.
        target_sequence: of the image that is to be predicted; None where it predicts no other image.
        multichannel: whether images may have several channels.
    """

    label: str | None = None
    dense: bool = True
    metrics: Sequence[Metric] | Sequence[SetMetric]
    covariates: Sequence[str] = ()
    class_numbers: Mapping[str, Sequence[int]] = MappingProxyType({})
    background_numbers: Sequence[int] | None = None
    target_sequence: str | None = None
    multichannel: bool = False

    def label_map(self, memberships: np.ndarray) -> np.ndarray:
        """Return the class map ``(I, J, K)`` of class memberships ``(C, I, J, K)``.

        A dataset may also give one map of whole numbers ``(1, I, J, K)``.
        """
        raise NotImplementedError(f"{type(self).__name__} has no label")

    @abstractmethod
    def build_head(self, encoder: Encoder) -> nn.Module:
        """Return the module that maps features (a list of maps, or an embedding) to the output."""

    def decoder_of(self, head: nn.Module) -> Decoder | None:
        """Return the part of a head that may start as a pretrained decoder; None where there is none."""
        del head
        return None

    @property
    def takes_decoder(self) -> bool:
        """Whether the task overrides ``decoder_of``."""
        return type(self).decoder_of is not Task.decoder_of

    @abstractmethod
    def training_sample(
        self, volume: TaskVolume, patch_vox: int, generator: torch.Generator
    ) -> dict[str, Tensor]:
        """Return one training sample; ``image`` is what the model sees, ``(1, i, j, k)``."""

    @abstractmethod
    def loss(self, output: Tensor, batch: dict[str, Tensor]) -> Tensor:
        """Return the scalar loss of the model's output for a batch of training samples."""

    @abstractmethod
    def predict(self, forward: Forward, volume: TaskVolume, generator: torch.Generator) -> Tensor:
        """Return the prediction for a test volume, e.g. a class map or a restored image.

        Args:
            forward: runs the model over a whole volume.
            volume: the test scan.
            generator: the test noise; the same for every method.
        """

    def identity(self, volume: TaskVolume, generator: torch.Generator) -> Tensor | None:
        """Return what doing nothing predicts, or None where the task does not define it."""
        del volume, generator
        return None

    @property
    def has_identity(self) -> bool:
        """Whether the task overrides ``identity``."""
        return type(self).identity is not Task.identity

    @abstractmethod
    def score(self, prediction: Tensor, volume: TaskVolume) -> list[LabelScore]:
        """Return every score of one prediction."""


def unnamed_numbers(task: Task, numbers: Collection[int]) -> str:
    """Return those numbers of a label map that a task knows nothing of, in words, or an empty string.

    Args:
        task: says which numbers are whose.
        numbers: that a label has; 0 is the background.
    """
    if task.background_numbers is None:
        return ""
    known = {0, *task.background_numbers}.union(*task.class_numbers.values())
    unknown = sorted(set(numbers) - known)
    noun = "number" if len(unknown) == 1 else "numbers"
    return f"the {noun} {list_some([str(number) for number in unknown], _SHOWN)}" if unknown else ""
