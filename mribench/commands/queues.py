"""Asks the queues that executors submit jobs to, for whoever watches a run."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path

from mribench.errors import MRIBenchError
from mribench.interfaces.executor import Queued
from mribench.plugins import load_executors
from mribench.wording import with_hint

ASKED_EVERY_S = 30.0
"""A queue is everybody's: who watches for hours does not ask it at every look."""


class Queues:
    """The queues of all executors, asked every now and then.

    Attributes:
        problems: of the last time that they were asked, a sentence for each that gave no answer.
    """

    def __init__(self) -> None:
        self.problems: list[str] = []
        self._known: dict[str, Queued] = {}
        self._asked_s = -ASKED_EVERY_S

    def ask(self, directories: Mapping[str, Path]) -> Mapping[str, Queued]:
        """Return what queues say of jobs, by key.

        Args:
            directories: folders of the jobs that are neither done nor running.
        """
        if time.monotonic() - self._asked_s >= ASKED_EVERY_S:
            self._ask_all(directories)
            self._asked_s = time.monotonic()
        return {key: queued for key, queued in self._known.items() if key in directories}

    def _ask_all(self, directories: Mapping[str, Path]) -> None:
        executors, skipped = load_executors()
        self._known, self.problems = {}, list(skipped)
        for executor in executors:
            try:
                self._known.update(executor.look_up(directories))
            except MRIBenchError as error:
                self.problems.append(with_hint(error.message, error.hint))
