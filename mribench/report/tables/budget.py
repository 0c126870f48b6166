"""The table ``budget``: what each row of the leaderboard cost."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import pandas as pd

from mribench.interfaces.table import NOTHING_PLANNED, Cell, Header, Sentence, Table, said, table_of
from mribench.report.material import Material
from mribench.wording import count

PRETRAINING, ADAPTATION = "pretraining", "adaptation"


@dataclass(frozen=True)
class Cost:
    """A column of job rows, as the table shows it.

    Attributes:
        stage: which jobs.
        column: of ``JOB_SCHEMA``.
        name: what it is called.
        unit: of the values, once divided.
        divisor: from the column to the unit.
        digits: decimals shown.
    """

    stage: str
    column: str
    name: str
    unit: str = ""
    divisor: float = 1.0
    digits: int = 0

    @property
    def id(self) -> str:
        """As the rows of data have it."""
        return f"{self.stage}: {self.name}"

    @property
    def header(self) -> Header:
        """As the table has it."""
        return (self.stage, f"{self.name} {self.unit}".strip())


COSTS = (
    Cost(PRETRAINING, "steps", "steps"),
    Cost(PRETRAINING, "views_seen", "views seen"),
    Cost(PRETRAINING, "voxels_seen", "voxels seen"),
    Cost(PRETRAINING, "parameters", "parameters"),
    Cost(PRETRAINING, "wall_s", "wall", "s", digits=1),
    Cost(PRETRAINING, "device_s", "device", "s", digits=1),
    Cost(PRETRAINING, "peak_memory_bytes", "peak memory", "GB", 1e9, 2),
    Cost(ADAPTATION, "wall_s", "wall", "s", digits=1),
    Cost(ADAPTATION, "device_s", "device", "s", digits=1),
    Cost(ADAPTATION, "steps", "steps"),
    Cost(ADAPTATION, "parameters_trained", "parameters trained"),
)
_ADAPTATION = (
    "adaptation over all its tasks, sequences, fractions and seeds; rows without pretraining have none."
)
_COMPARED = (
    "Steps, views seen, voxels seen and parameters are compared between rows and flagged; seconds and peak "
    "memory are of the machine and the moment, and are not."
)
_JOB = {PRETRAINING: "pretrain", ADAPTATION: "adapt"}
_COLUMNS = [
    "row", "method", "arm", "metric", "unit", "mean", "n_seeds", "jobs_expected", "jobs_done", "status",
    "row_order",
]  # fmt: skip


def budget_frame(material: Material) -> pd.DataFrame:
    """Return one row per row of the leaderboard and cost: the mean over its jobs.

    Columns: ``row``, ``method``, ``arm``, ``metric`` (``pretraining: steps``), ``unit``, ``mean``,
    ``n_seeds``, ``jobs_expected``, ``jobs_done``, ``status``, ``row_order``. Rows without such jobs, as those
    that are not pretrained, are not there.
    """
    run = material.run
    jobs = run.jobs.drop_duplicates("job_key").set_index("job_key")
    given = {method.name for method in run.manifest.methods if method.weights}
    rows = []
    for (label, method, arm, order), cells in material.planned.groupby(
        ["row", "method", "arm", "row_order"], sort=False
    ):
        for stage, column in _JOB.items():
            untrained = arm not in run.manifest.arms or method in given
            if cells["seed"].isna().all() or (stage == PRETRAINING and untrained):
                continue
            used = cells[[column, "seed"]].drop_duplicates()
            done = used[used[column].isin(jobs.index)]
            done_jobs = jobs.loc[done[column]]
            of_row = {
                "row": label, "method": method, "arm": arm, "row_order": order,
                "n_seeds": done["seed"].nunique(), "jobs_expected": len(used), "jobs_done": len(done),
                "status": _status(len(done), len(used)),
            }  # fmt: skip
            for cost in (cost for cost in COSTS if cost.stage == stage):
                mean = done_jobs[cost.column].astype(float).mean() / cost.divisor
                rows.append({**of_row, "metric": cost.id, "unit": cost.unit, "mean": mean})
    return pd.DataFrame(rows, columns=_COLUMNS)


def budget_table(material: Material) -> Table:
    """Methods as rows, costs of pretraining and adaptation as columns."""
    frame = budget_frame(material)
    costs = {cost.id: cost for cost in COSTS}
    cells: list[Any] = list(frame.itertuples(index=False))
    return table_of(
        "budget",
        f"{material.benchmark}: budget",
        ("method",),
        [((cell.row,), costs[cell.metric].header, _cell(cell, costs[cell.metric])) for cell in cells],
        _caption(material, frame) if cells else (NOTHING_PLANNED,),
        rows=[(row,) for row in material.rows],
        columns=[cost.header for cost in COSTS],
        flags=material.flags.of,
    )


def _status(done: int, expected: int) -> str:
    if done == 0:
        return "missing"
    return "ok" if done == expected else "partial"


def _cell(cell: Any, cost: Cost) -> Cell:
    counts = {"jobs_done": cell.jobs_done, "jobs_expected": cell.jobs_expected}
    if cell.status == "missing" or math.isnan(cell.mean):
        return Cell(status=cell.status, **counts)
    part = f" (partial {cell.jobs_done}/{cell.jobs_expected})" if cell.status == "partial" else ""
    return Cell(cell.mean, status=cell.status, text=f"{cell.mean:,.{cost.digits}f}{part}", **counts)


def _caption(material: Material, frame: pd.DataFrame) -> tuple[Sentence, ...]:
    seeds = int(frame["n_seeds"].max())
    unfinished = frame[frame["status"].ne("ok")]["row"].nunique()
    return said(
        Sentence(f"Mean of one job; pretraining over {count(seeds, 'seed')}, {_ADAPTATION}", "what"),
        _COMPARED,
        Sentence(f"Incomplete: {unfinished} rows." if unfinished else "", "missing"),
        material.profile_sentence(),
        *material.flags.footnotes,
    )
