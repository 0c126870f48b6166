"""Split rules: which subjects train, validate and test."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from mribench.interfaces.dataset import Subject


@dataclass(frozen=True)
class Split:
    """Subject ids by role.

    Attributes:
        train: whom a label fraction f draws ``max(1, round(f n))`` of, whatever their order.
        validation: for selection and the held-out checks.
        test: ids by site; the first site is the in-domain one.
        leaks: whether the rule was told, by the name of that defect, to let test subjects train.
    """

    train: tuple[str, ...]
    validation: tuple[str, ...]
    test: Mapping[str, tuple[str, ...]]
    leaks: bool = False


class SplitRule(ABC):
    """Divides subjects (never scans) into train, validation and test."""

    @abstractmethod
    def split(self, subjects: Sequence[Subject]) -> Split:
        """Return the split; the same subjects always give the same one.

        Raises:
            DataError: when there are too few subjects for what was asked.
        """

    def sites(self) -> Sequence[str]:
        """Return the test sites, in-domain first, where the rule knows them without data."""
        return ()
