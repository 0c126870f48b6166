"""What this package registers."""

from __future__ import annotations

from mribench import hookimpl
from mribench.interfaces import Entry
from mribench_clusters.dask_executor import DaskExecutor, DaskOptions
from mribench_clusters.slurm import SlurmExecutor, SlurmOptions


@hookimpl
def mribench_entries() -> list[Entry]:
    """Return the executors of clusters."""
    return [
        Entry("executor", "dask", DaskExecutor, DaskOptions, "a process on a Dask worker for each job"),
        Entry("executor", "slurm", SlurmExecutor, SlurmOptions, "a SLURM batch job for each job"),
    ]
