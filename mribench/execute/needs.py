"""How much memory of a GPU jobs take, by those that are done and cost the same."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cached_property

import pandas as pd

from mribench.execute.alike import configuration
from mribench.plan import Job
from mribench.results import Store
from mribench.results.durations import read_newest
from mribench.results.records import JOB_SCHEMA, read_tables


class MemoryNeeds:
    """What was measured, by configuration; read when it is first asked for.

    Args:
        jobs: of the run, by key.
        store: the results directory.
    """

    def __init__(self, jobs: Mapping[str, Job], store: Store) -> None:
        self._jobs, self._store = jobs, store
        self._configurations: dict[str, str] = {}

    def learn(self, key: str) -> None:
        """Take what a job took that is done."""
        path = self._store.directory(key) / "job.parquet"
        self._add(self._peaks, read_tables([path], JOB_SCHEMA))

    def of(self, keys: Iterable[str]) -> int | None:
        """Return the bytes of the largest of some jobs; None where one has none like it that is done."""
        peaks = [self._peaks.get(self._configuration(key)) for key in keys]
        known = [peak for peak in peaks if peak is not None]
        return max(known) if len(known) == len(peaks) else None

    @cached_property
    def _peaks(self) -> dict[str, int]:
        peaks: dict[str, int] = {}
        self._add(peaks, read_newest(self._store.root / "jobs"))
        return peaks

    def _add(self, peaks: dict[str, int], rows: pd.DataFrame) -> None:
        """Take the largest of each configuration; what was computed on a CPU says nothing of a GPU."""
        measured = rows.dropna(subset=["peak_memory_bytes", "device"])
        for key, peak, device in measured[["job_key", "peak_memory_bytes", "device"]].itertuples(index=False):
            if key in self._jobs and not device.startswith("cpu"):
                name = self._configuration(key)
                peaks[name] = max(peaks.get(name, 0), int(peak))

    def _configuration(self, key: str) -> str:
        if key not in self._configurations:
            self._configurations[key] = configuration(self._jobs[key].spec)
        return self._configurations[key]
