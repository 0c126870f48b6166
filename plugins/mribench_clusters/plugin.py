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
        Entry(
            "executor",
            "dask",
            DaskExecutor,
            DaskOptions,
            "processes on Dask workers, for several short jobs one",
        ),
        Entry(
            "executor", "slurm", SlurmExecutor, SlurmOptions, "SLURM batch jobs, for several short jobs one"
        ),
    ]
