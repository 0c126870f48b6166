"""Published values beside a run's cells: numbers next to numbers, and no test."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from mribench.interfaces.document import TableSpec, TidyColumns
from mribench.interfaces.table import Cell, Column, Row, Sentence, Table, said
from mribench.interfaces.table_source import Beside, Question, RunResults
from mribench.wording import NOTHING, list_some
from mribench_paper.claims import place
from mribench_paper.published import Published

NAME = "against"
OWN = Question(own_sequence=True)
"""Each site and sequence, as the published tables have them."""
COLUMNS: TidyColumns = {
    "published": "string", "published_mean": "float64", "published_se": "float64", "difference": "float64",
    "same_cohort": "boolean", "definition": "string",
}  # fmt: skip
"""What the tidy rows have beside those of a run: ``definition`` says how the published metric differs."""
_NOT_TESTED = "Differences, run - published, are shown as numbers and not tested."


def beside(published: Published) -> Beside:
    """Return the table of published values beside a run's."""
    spec = TableSpec[RunResults](
        NAME,
        "results",
        lambda run: against_tables(run, published),
        lambda run: against_frame(run, published),
        COLUMNS,
    )
    return Beside(spec, {"published": published.name, "source": published.about.source})


def against_frame(run: RunResults, published: Published) -> pd.DataFrame:
    """Return the run's cells with a published value: the columns of ``cell_frame`` and ``COLUMNS``.

    ``published_mean`` and ``published_se`` are in the run's units, shares of 1 where the run's are;
    ``decimals`` are those printed, and ``number`` is the place of the value in ``published.cells``.
    """
    match = published.about.match
    theirs = published.cells.reset_index(names="number")
    found = []
    cells: list[dict[str, Any]] = run.cells(OWN).to_dict("records")  # type: ignore[assignment]
    for cell in cells:
        for row in _fitting(cell, theirs, published, run):
            scale = run.metric(cell["task"], cell["metric"]).scale if row["unit"] == "%" else 1.0
            mean = row["mean"] / scale
            found.append(
                cell
                | {
                    "published": published.name,
                    "number": row["number"],
                    "decimals": row["decimals"],
                    "published_mean": mean,
                    "published_se": row["se"] / scale,
                    "difference": cell["mean"] - mean,
                    "same_cohort": _same_cohort(run, cell["task"], row["task"], published),
                    "definition": match.metrics.get(row["metric"], {}).get(cell["metric"], ""),
                }
            )
    columns = [*run.cells(OWN).columns, *COLUMNS, "number", "decimals"]
    return pd.DataFrame(found, columns=list(dict.fromkeys(columns)))


def against_tables(run: RunResults, published: Published) -> list[Table]:
    """Return, for each task with matched cells, site, sequence and fraction × metric, method and side.

    Without any match: one table without rows, that says so.
    """
    frame = against_frame(run, published)
    tables = [_table(run, published, str(task), cells) for task, cells in frame.groupby("task", sort=False)]
    if tables:
        return tables
    source = (f"Source: {published.about.source}",) if published.about.source else ()
    caption = ("No cell of this run has a published value.", *nothing_in_common(run, published), *source)
    return [Table(NAME, f"{run.benchmark} against {published.name}", ("site",), (), (), (), said(*caption))]


def nothing_in_common(run: RunResults, published: Published) -> list[str]:
    """Return one sentence for each kind of name that a run and published results share none of.

    Where they share some of each kind, and still no cell, one sentence says that.
    """
    cells = run.cells(OWN)
    own: list[dict[str, Any]] = cells[cells["arm"].eq("frozen")].to_dict("records")  # type: ignore[assignment]
    asked = [_names(cell, published, run) for cell in own]
    sentences = []
    for kind in _KINDS:
        known = set(published.cells[kind])
        if not any(known.intersection(names[kind]) for names in asked):
            mine = dict.fromkeys(cell[_COLUMN.get(kind, f"test_{kind}")] for cell in own)
            theirs = dict.fromkeys(published.cells[kind])
            sentences.append(f"No {kind} in common: {_some(mine)} in the run, {_some(theirs)} published.")
    return sentences or ["Both have the same names, but no cell with the same ones."]


_KINDS = ("task", "site", "method", "metric", "sequence", "fraction")
_COLUMN = {kind: kind for kind in ("task", "method", "metric", "fraction")}
_SHOWN = 6


def _some(values: Mapping[Any, None]) -> str:
    texts = [f"{value:g}" if isinstance(value, float) else str(value) for value in values]
    return list_some(texts, _SHOWN) or "none"


def _fitting(
    cell: Mapping[str, Any], theirs: pd.DataFrame, published: Published, run: RunResults
) -> list[dict[str, Any]]:
    """Return the published values that are of this cell: none or one, unless names are given twice."""
    if cell["arm"] != "frozen":
        return []
    keep = pd.Series(True, index=theirs.index)
    for name, values in _names(cell, published, run).items():
        keep &= theirs[name].isin(values)
    rows: list[dict[str, Any]] = theirs[keep].to_dict("records")  # type: ignore[assignment]
    return rows


def _names(cell: Mapping[str, Any], published: Published, run: RunResults) -> dict[str, list[Any]]:
    """Return what a cell of a run may be called in published results, by column."""
    match = published.about.match
    entry = run.tasks[cell["task"]].entry
    return {
        "task": [name for name, task in match.tasks.items() if task.task == entry] or [cell["task"]],
        "site": [name for name, own in match.sites.items() if cell["test_site"] in own]
        or [cell["test_site"]],
        "method": [name for name, own in match.methods.items() if own == cell["method"]] or [cell["method"]],
        "metric": [name for name, own in match.metrics.items() if cell["metric"] in own] or [cell["metric"]],
        "sequence": [cell["test_sequence"]],
        "fraction": [cell["fraction"]],
    }


def _same_cohort(run: RunResults, task: str, theirs: str, published: Published) -> bool:
    """Whether the run read the dataset that the published values are of; false where that is not known."""
    known = published.about.match.tasks.get(theirs)
    return bool(known and known.data and run.tasks[task].dataset == known.data)


def _table(run: RunResults, published: Published, task: str, frame: pd.DataFrame) -> Table:
    same = bool(frame["same_cohort"].all())
    sides = ("this run", "published" if same else "published, another cohort", "difference")
    cells: list[Any] = list(frame.itertuples(index=False))
    at = {(_row(cell), (run.metric(task, cell.metric).label, str(cell.row))): cell for cell in cells}
    places = [list(dict.fromkeys(frame[name])) for name in ("test_site", "test_sequence")]
    ordered = sorted(
        cells, key=lambda c: (places[0].index(c.test_site), places[1].index(c.test_sequence), c.fraction)
    )
    rows = list(dict.fromkeys(map(_row, ordered)))
    columns = list(dict.fromkeys(column for _, column in at))
    return Table(
        name=f"{NAME}-{task}",
        title=f"{run.benchmark}: {task} against {published.name}",
        row_names=("site", "sequence", "fraction"),
        rows=tuple(Row(row) for row in rows),
        columns=tuple(Column((*column, side)) for column in columns for side in sides),
        cells=tuple(_sides(run, at, row, columns) for row in rows),
        sentences=_caption(run, published, task, frame, same=same),
    )


def _row(cell: Any) -> tuple[str, ...]:
    return (cell.test_site, cell.test_sequence, f"{100 * cell.fraction:g} %")


def _sides(
    run: RunResults, at: Mapping[Any, Any], row: Any, columns: Sequence[Any]
) -> tuple[Cell | None, ...]:
    """Return the run's value, the published one and their difference, in each column of a row."""
    sides = (_cells(run, at.get((row, column))) for column in columns)
    return tuple(itertools.chain.from_iterable(sides))


def _cells(run: RunResults, cell: Any) -> Sequence[Cell | None]:
    if cell is None:
        return (None, None, None)
    shown = run.metric(cell.task, cell.metric)
    scale = shown.scale
    own = Cell(
        cell.mean, cell.se, cell.n_subjects, cell.n_subjects_total, cell.jobs_done, cell.jobs_expected,
        cell.status, scale=scale, digits=shown.digits,
    )  # fmt: skip
    theirs = Cell(cell.published_mean, cell.published_se, status="ok", scale=scale, digits=int(cell.decimals))
    difference = round(cell.difference * scale, int(cell.decimals)) + 0.0
    text = NOTHING if math.isnan(cell.difference) else f"{difference:+.{int(cell.decimals)}f}"
    return (own, theirs, Cell(cell.difference, status="ok", scale=scale, text=text))


def _caption(
    run: RunResults, published: Published, task: str, frame: pd.DataFrame, *, same: bool
) -> tuple[Sentence, ...]:
    about = published.about
    theirs = published.cells
    listed = ", ".join(sorted(set(theirs.loc[frame["number"], "table"])))
    tasks = set(theirs.loc[frame["number"], "task"])
    unmatched = theirs[theirs["task"].isin(tasks)].drop(index=list(set(frame["number"])))
    cells = run.cells(OWN)
    mine = cells[(cells["task"] == task) & (cells["arm"] != "identity")]
    alone = len(mine) - len(
        frame.drop_duplicates(["row", "metric", "test_site", "test_sequence", "fraction"])
    )
    dataset = run.tasks[task].dataset
    reader = f" ({dataset})" if dataset else ""
    cohort = "" if same else f"; this run's cohort is another{reader}"
    pairs = frame.loc[frame["definition"].ne(""), ["metric", "definition"]].drop_duplicates()
    differing = [": ".join(pair) for pair in pairs.itertuples(index=False, name=None)]
    left = (
        f"Published cells without one of this run: {len(unmatched)}{_examples(unmatched)}; cells of this run"
        f" without a published one, references and all metrics included: {alone}."
    )
    return said(
        Sentence(f"Mean ± SE of this run beside table {listed} of {published.name}.", "what"),
        f"Published: {about.other}{cohort}.",
        _NOT_TESTED,
        f"Not the same definition: {'; '.join(differing)}." if differing else "",
        left,
        run.profile_sentence(),
        *about.notes,
        f"Source: {about.source}" if about.source else "",
    )


def _examples(cells: pd.DataFrame) -> str:
    if cells.empty:
        return ""
    first = cells.iloc[0]
    return f" (such as {first['method']} {first['metric']} on {place(first)})"
