"""What the jobs of one batch have in common, made once: they are run in one process, one after another."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar, cast

from mribench.digests import digest_of

Made = TypeVar("Made")

MOST = 4
"""Things that are kept; what was used last stays."""


class Shared:
    """Keeps what jobs give back, until another one takes it.

    What a job has taken is nobody else's: of a job that fails nothing is kept.
    """

    def __init__(self) -> None:
        self._kept: dict[str, object] = {}

    def take(self, asked: object, make: Callable[[], Made]) -> Made:
        """Return what a job gave back under the same request, else what ``make`` makes.

        Args:
            asked: all that the thing depends on, JSON-ready.
            make: makes one.
        """
        key = digest_of(asked)
        return cast("Made", self._kept.pop(key)) if key in self._kept else make()

    def give_back(self, asked: object, thing: object) -> None:
        """Keep a thing, as good as new, for the next job that asks for it."""
        self._kept[digest_of(asked)] = thing
        while len(self._kept) > MOST:
            del self._kept[next(iter(self._kept))]
