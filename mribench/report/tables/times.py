"""The table ``time``: what the jobs of each kind took, and how much of it was training or embedding."""

from __future__ import annotations

import math
from collections.abc import Iterator

from mribench.interfaces.table import Cell, Header, Sentence, Table, said, table_of, text_cell
from mribench.report.material import Material

COLUMNS = ("jobs", "s in all", "s a job", "s of networks", "s of all else")
_WHAT = "Seconds of the jobs that are done, whichever run did them."
_PARTS = (
    "Of networks: training, embedding, or fitting a probe; all else is reading, and checks of embeddings."
    " Evaluations do not tell them apart. Starts of processes and waiting are in no job: `mribench run` says"
    " them."
)


def time_table(material: Material) -> Table:
    """Return kinds of jobs as rows; how many there are and what they took as columns."""
    cells = list(_cells(material))
    return table_of(
        "time",
        f"{material.benchmark}: time",
        ("kind",),
        cells,
        said(Sentence(_WHAT, "what"), _PARTS),
        columns=[(column,) for column in COLUMNS],
    )


def _cells(material: Material) -> Iterator[tuple[Header, Header, Cell]]:
    jobs = material.run.jobs.drop_duplicates("job_key")
    for kind, group in jobs.groupby("kind", sort=False):
        wall_s, device_s = group["wall_s"].astype(float), group["device_s"].astype(float)
        networks_s = device_s.sum(min_count=len(group))
        values = (len(group), wall_s.sum(), wall_s.mean(), networks_s, wall_s.sum() - networks_s)
        for column, value in zip(COLUMNS, map(float, values), strict=True):
            shown = Cell(value, status="ok", digits=0 if column == "jobs" else 1)
            yield (str(kind),), (column,), text_cell("–") if math.isnan(value) else shown
