"""The only exceptions users see; the command line catches them once, in ``mribench.cli``."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class MRIBenchError(Exception):
    """A human error: one sentence that says what is wrong, and a hint that says what to do.

    Args:
        message: what is wrong, naming the file, key or subject.
        hint: what to do about it.
    """

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message, hint)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message}\n  hint: {self.hint}" if self.hint else self.message


class ConfigError(MRIBenchError):
    """The benchmark file, or a ``--set``, is wrong."""


class PluginError(MRIBenchError):
    """A plugin is broken, unknown, or there twice."""


class DataError(MRIBenchError):
    """A volume, a label or a cohort cannot be used."""


class LeakageError(MRIBenchError):
    """Subjects are shared between pretraining or training and test."""


class StoreError(MRIBenchError):
    """The results directory cannot be read or written."""


class JobError(MRIBenchError):
    """A job cannot do what it was asked to do."""


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Return ``"did you mean 'x'?"`` for the closest of ``known``, else the list of what there is."""
    names = sorted(known)
    close = difflib.get_close_matches(name, names, n=1, cutoff=0.6)
    if close:
        return f"did you mean '{close[0]}'?"
    return f"known: {', '.join(names)}" if names else "there are none"
