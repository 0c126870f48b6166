"""The only exceptions users see; the command line catches them once, in ``mribench.cli``."""

from __future__ import annotations

import difflib
import errno
from collections.abc import Iterable
from pathlib import Path


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


class DamagedError(StoreError):
    """A file of a done job is not as it was written; the job has to be run again.

    Args:
        message: names the file.
        directory: folder of the job.
    """

    def __init__(self, message: str, directory: Path) -> None:
        super().__init__(message, "mribench run FILE makes it again")
        self.directory = directory


class JobError(MRIBenchError):
    """A job cannot do what it was asked to do."""


_SHORT_OF = {errno.EAGAIN, errno.ENOMEM, errno.EMFILE, errno.ENFILE}
_FORBIDDEN = {errno.EACCES, errno.EPERM}


def hint_for(error: BaseException, damaged: str) -> str:
    """Return what to do about a file that cannot be read.

    Args:
        error: why.
        damaged: what to do where the file itself is the reason.
    """
    number = error.errno if isinstance(error, OSError) else None
    if number in _SHORT_OF or isinstance(error, MemoryError):
        return (
            "the machine is short of threads, memory or open files, and no file is damaged: try again later"
        )
    if number in _FORBIDDEN:
        return "check the permissions; the file itself may be sound"
    return damaged


def close_name(name: str, known: Iterable[str]) -> str:
    """Return ``"did you mean 'x'?"`` for the closest of ``known``, or an empty string."""
    close = difflib.get_close_matches(name, sorted(known), n=1, cutoff=0.6)
    return f"did you mean '{close[0]}'?" if close else ""


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Return ``"did you mean 'x'?"`` for the closest of ``known``, else the list of what there is."""
    names = sorted(known)
    return close_name(name, names) or (f"known: {', '.join(names)}" if names else "there are none")
