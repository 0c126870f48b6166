"""A cohort that a job reads."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Self

from mribench.interfaces.options import DatasetRef


@dataclass(frozen=True, kw_only=True)
class ReadCohort:
    """A cohort that a job reads.

    Attributes:
        cohort: its name in the benchmark file.
        data: its dataset.
    """

    cohort: str
    data: DatasetRef

    def moved(self, roots: Mapping[str, str]) -> Self:
        """Return it with the folder that its name has in ``roots``, if any."""
        root = roots.get(self.cohort)
        if root is None:
            return self
        return replace(
            self, data=self.data.model_copy(update={"options": {**self.data.options, "root": root}})
        )


@dataclass(frozen=True, kw_only=True)
class TrainedCohort(ReadCohort):
    """A cohort that an encoder is pretrained on.

    Attributes:
        train: ids of the subjects to train on.
        held_out: ids of the subjects to check the encoder on.
        sequences: of the scans that are shown; None for all that the views can use.
        share: of each batch, in 0..1.
    """

    train: tuple[str, ...]
    held_out: tuple[str, ...]
    sequences: tuple[str, ...] | None = None
    share: float = 1.0
