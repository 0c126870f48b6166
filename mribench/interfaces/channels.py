"""The images that a network sees at once."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Channels:
    """Sequences of one session, each a channel of one sample; the first gives the grid.

    Attributes:
        sequences: in the order of the channels.
    """

    sequences: tuple[str, ...]

    @property
    def name(self) -> str:
        """How cells, ids and tables write them: ``T1w+FLAIR``; nothing reads that back."""
        return "+".join(self.sequences)

    def __len__(self) -> int:
        """Return how many there are."""
        return len(self.sequences)
