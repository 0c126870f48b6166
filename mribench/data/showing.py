"""Which scans of a subject a view generator may be shown, alone or together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from mribench.errors import DataError
from mribench.interfaces.dataset import Scan, Subject
from mribench.interfaces.views import ViewGenerator


@dataclass(frozen=True)
class Showing:
    """What a sample of pretraining is made of.

    Attributes:
        needs: maps that each scan must have.
        sequences: of the scans; None for all.
        images: scans in a sample, of as many sequences of one session.
        label: that each scan must have itself; empty where none is read.
    """

    needs: tuple[str, ...]
    sequences: tuple[str, ...] | None = None
    images: int = 1
    label: str = ""

    @classmethod
    def of(cls, generator: ViewGenerator, sequences: Sequence[str] | None) -> Showing:
        """Return what a view generator asks of scans of some sequences; None for all."""
        chosen = None if sequences is None else tuple(sequences)
        return cls(tuple(generator.needs), chosen, generator.images, generator.needs_label)

    def groups(self, subject: Subject) -> list[tuple[Scan, ...]]:
        """Return the scans of a subject by what can be shown together, in the dataset's order.

        With one image in a sample each scan is a group of its own; with several, the scans of a session that
        has so many sequences are one. The first scan of a group gives the grid.
        """
        usable = [scan for scan in subject.scans if self._is_usable(scan)]
        if self.images == 1:
            return [(scan,) for scan in usable]
        sessions = dict.fromkeys(scan.session for scan in usable)
        together = (tuple(scan for scan in usable if scan.session == session) for session in sessions)
        return [group for group in together if len({scan.sequence for scan in group}) >= self.images]

    def require_groups(self, subject: Subject) -> list[tuple[Scan, ...]]:
        """Return ``groups``.

        Raises:
            DataError: when there is none.
        """
        groups = self.groups(subject)
        if not groups:
            raise DataError(
                f"subject {subject.id} has no {self.describe()}",
                "exclude the subject, or choose another view generator",
            )
        return groups

    def describe(self) -> str:
        """Return what a subject needs, for messages: ``scan with the maps PD, R1``."""
        label = f" and a {self.label} label" if self.label else ""
        maps = f"with the maps {', '.join(self.needs)}{label}"
        of = f" of the sequences {', '.join(self.sequences)}" if self.sequences else ""
        if self.images == 1:
            return f"scan {maps}{of}"
        return f"session with scans of {self.images} sequences {maps}{of}"

    def draw(self, group: Sequence[Scan], generator: torch.Generator) -> list[Scan]:
        """Draw the scans of a sample from a group: of different sequences, in a random order."""
        if self.images == 1:
            return list(group)
        order = torch.randperm(len(group), generator=generator).tolist()
        drawn: dict[str, Scan] = {}
        for place in order:
            drawn.setdefault(group[place].sequence, group[place])
        return list(drawn.values())[: self.images]

    def _is_usable(self, scan: Scan) -> bool:
        wanted = self.sequences is None or scan.sequence in self.sequences
        labelled = not self.label or self.label in scan.labels
        return wanted and labelled and scan.images.keys() >= set(self.needs)


def image_names(images: int) -> list[str]:
    """Return the names of the images of a sample, as a view generator gets them: ``image``, ``image_2`` …."""
    return ["image", *(f"image_{place}" for place in range(2, images + 1))]
