"""The embed jobs of a run: what was planned, and which result of it counts."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import pandas as pd

from mribench.results.manifest import JobKind, PlannedJob
from mribench.results.records import EMBEDDED_COLUMNS

IDENTITY = ["benchmark", "profile", "method", "arm", "dataset", "seed"]
"""The columns that say which encoder and cohort a job is about; the others describe it."""


def list_planned_rows(
    planned: Iterable[PlannedJob], kind: JobKind, status: Mapping[str, str], blame: Mapping[str, str]
) -> list[dict[str, Any]]:
    """Return the cell of each planned job of a kind, with its keys, its state, and whom to blame for that.

    Args:
        planned: jobs of the manifests.
        kind: of the jobs.
        status: state of each job by key.
        blame: id of the job that failed, by key.
    """
    return [
        {
            **dict(job.cell),
            "key": job.key,
            "adapt": job.adapt,
            "pretrain": job.pretrain,
            "state": status.get(job.key or "", "todo"),
            "blame": blame.get(job.key or "", ""),
        }
        for job in planned
        if job.cell and job.kind == kind
    ]


def planned_embeds(
    planned: Iterable[PlannedJob],
    status: Mapping[str, str],
    blame: Mapping[str, str],
    written: Mapping[str, str],
) -> pd.DataFrame:
    """Return one row per planned embed job.

    Columns: ``EMBEDDED_COLUMNS``, ``key``, ``pretrain``, ``state``, ``blame``, and ``superseded``, which is
    true where a newer result of the same encoder and cohort is there: the last one that was finished counts,
    else the last one planned.

    Args:
        planned: jobs of the manifests, the oldest manifest first.
        status: state of each job by key.
        blame: id of the job that failed, by key.
        written: when the state of a job was written, by key.
    """
    rows = list_planned_rows(planned, "embed", status, blame)
    frame = pd.DataFrame(rows, columns=[*EMBEDDED_COLUMNS, "key", "pretrain", "state", "blame"])
    frame = frame.drop_duplicates([*IDENTITY, "key"], keep="last", ignore_index=True)
    done = frame["state"].eq("done")
    ends = frame["key"].map(written).where(done, "")
    order = frame.assign(done=done, ends=ends).sort_values(["done", "ends"], kind="stable")
    older = order.duplicated(IDENTITY, keep="last").reindex(frame.index)
    return frame.assign(superseded=older)
