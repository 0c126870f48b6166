"""What failed, what is missing and what was empty, as tables."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from mribench.interfaces.table import Cell, Header, Sentence, Table, said, table_of, text_cell
from mribench.report.material import Material
from mribench.results.cells import row_labels
from mribench.results.load import RunData

MOST_ROWS = 300
STATES = ("done", "failed", "interrupted", "damaged", "running", "todo")


def failure_tables(material: Material) -> list[Table]:
    """Return the states of the planned jobs, why some failed, and the scores without value."""
    tables = (_states(material), _reasons(material.run), _scores(material.run))
    return [table for table in tables if table is not None]


def counts(run: RunData) -> dict[str, int]:
    """Return the planned evaluate jobs of this report by state."""
    return {str(name): int(n) for name, n in run.cells["state"].value_counts().items()}


def _lay_out(
    name: str,
    title: str,
    row_names: tuple[str, ...],
    columns: Sequence[str],
    rows: Iterable[tuple[Header, Sequence[object]]],
    caption: Sequence[str],
) -> Table:
    """Return a table of words and counts in the neutral model; a count is sorted as one."""
    placed = [
        (header, (column,), _cell(value))
        for header, values in rows
        for column, value in zip(columns, values, strict=True)
    ]
    what, *notes = caption
    return table_of(name, title, row_names, placed, said(Sentence(what, "what"), *notes))


def _cell(value: object) -> Cell:
    return Cell(float(value), status="ok", digits=0) if isinstance(value, int) else text_cell(value)


def _states(material: Material) -> Table | None:
    cells = material.run.cells
    if cells.empty:
        return None
    cells = cells.assign(row=row_labels(cells, material.run.manifest))
    states = [*STATES, *(name for name in dict.fromkeys(cells["state"]) if name not in STATES)]
    counted = cells.groupby(["row", "task"], sort=False)["state"].value_counts().unstack(fill_value=0)
    counted = counted.reindex(columns=[name for name in states if name in set(cells["state"])], fill_value=0)
    rows = [((str(row), str(task)), list(map(int, counted.loc[(row, task)]))) for row, task in counted.index]
    waiting = int(cells["key"].isna().sum())
    caption = ["Evaluations planned, by state; each is one model on one site and sequence."]
    caption += [f"{waiting} of those to do wait for data that are not there."] if waiting else []
    columns = list(map(str, counted.columns))
    return _lay_out("states", "Evaluations by state", ("method", "task"), columns, rows, caption)


def _reasons(run: RunData) -> Table | None:
    blamed = run.cells["blame"].value_counts().to_dict()
    names = dict.fromkeys(
        name for part in (run.cells, run.embeds, run.variants) for name in part["blame"] if name
    )
    failed = {name: run.reasons.get(name) or "no reason given" for name in names}
    if not failed:
        return None
    rows = [
        ((name,), (reason, int(blamed.get(name, 0)))) for name, reason in list(failed.items())[:MOST_ROWS]
    ]
    left = len(failed) - len(rows)
    caption = ["Jobs that failed, and how many evaluations each keeps from being done."]
    caption += [f"{left} more are not listed."] if left else []
    return _lay_out("failed-jobs", "Failed jobs", ("job",), ("reason", "evaluations lost"), rows, caption)


def _scores(run: RunData) -> Table | None:
    odd = run.scores[~run.scores["status"].isin(["ok", "few"])]
    if odd.empty:
        return None
    odd = odd.assign(row=row_labels(odd, run.manifest))
    by = ["task", "test_site", "test_sequence", "subject", "metric", "status"]
    grouped = odd.astype({"row": str}).groupby(by, sort=False)["row"]
    counted = grouped.agg(n="size", rows=lambda names: ", ".join(dict.fromkeys(names))).reset_index()
    listed: list[Any] = list(counted.head(MOST_ROWS).itertuples(index=False))
    rows = [
        (
            (str(cell.task), str(cell.subject)),
            (cell.test_site, cell.test_sequence, cell.metric, cell.status, int(cell.n), cell.rows),
        )
        for cell in listed
    ]
    left = len(counted) - len(rows)
    reasons = "a scan that could not be read, an empty mask, or a set of subjects that gives none"
    caption = [f"Scores without a value of their own: {reasons}."]
    caption += [f"{left} more lines are not listed."] if left else []
    columns = ("site", "sequence", "metric", "status", "scores", "methods")
    return _lay_out("odd-scores", "Failed and empty scores", ("task", "subject"), columns, rows, caption)
