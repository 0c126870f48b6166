"""The scans of a task's subjects."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from mribench.data.maps import by_id
from mribench.data.prepare import load_task_volume
from mribench.interfaces.dataset import Dataset, Scan, Subject
from mribench.interfaces.options import DatasetRef
from mribench.interfaces.task import Task, TaskVolume
from mribench.jobs.context import Context


class TaskScans:
    """Reads the scans of one sequence, one by one.

    Attributes:
        label_sources: how many labels lay beside the image (``own``) and how many were the subject's.
    """

    def __init__(
        self,
        payload: Mapping[str, Any],
        context: Context,
        task: Task,
        ids: Sequence[str],
        sequence: str,
        spacing_mm: float | None,
    ) -> None:
        self._dataset: Dataset = context.make(DatasetRef, payload["data"], payload["profile"])
        self._task = task
        self._spacing_mm = spacing_mm
        self._scans = [
            (subject, scan)
            for subject in by_id(self._dataset, ids)
            for scan in subject.scans
            if scan.sequence == sequence
        ]
        self.label_sources: Counter[str] = Counter()

    def __len__(self) -> int:
        return len(self._scans)

    def __iter__(self) -> Iterator[TaskVolume]:
        return (self.read(subject, scan) for subject, scan in self._scans)

    def pairs(self) -> Sequence[tuple[Subject, Scan]]:
        """Return the scans without reading them."""
        return self._scans

    def read(self, subject: Subject, scan: Scan) -> TaskVolume:
        """Read one scan."""
        volume, source = load_task_volume(self._dataset, subject, scan, self._task, self._spacing_mm)
        self.label_sources[source] += 1
        return volume

    def label_source(self) -> str:
        """Return the label sources as the job row has them: ``own:6 subject:1``."""
        return " ".join(f"{source}:{count}" for source, count in sorted(self.label_sources.items()))
