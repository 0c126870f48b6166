"""Cells, phrases and tidy columns that the tables of a comparison share."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

from mribench.compare.pairing import Place
from mribench.interfaces.document import TidyColumns
from mribench.interfaces.table import Cell, Column, Header, Row, Table, said
from mribench.results.cells import is_share, metric_label, scale_of
from mribench.results.formatting import cell_text
from mribench.results.shown import NO_INTERVAL, seeds_of
from mribench.statistics.difference import ENOUGH_SEEDS, Difference
from mribench.wording import ONE_SEED, too_few_seeds

PLACE_COLUMNS: TidyColumns = {
    "task": "string", "fraction": "float64", "test_site": "string", "metric": "string", "unit": "string",
    "higher_is_better": "boolean",
}  # fmt: skip
EXPLORATORY = (
    "Exploratory: all are shown, none is chosen, and nothing is adjusted for their number; of many intervals"
    " some leave out 0 by chance."
)


def place_record(place: Place) -> dict[str, Any]:
    """Return the tidy columns of where a place is and how its metric is read."""
    read = {"metric": place.metric, "unit": place.unit, "higher_is_better": place.higher_is_better}
    return {**place.where, **read}


def table_by_place(
    name: str,
    title: str,
    columns: Sequence[Header],
    cells_by_place: Iterable[tuple[Place, Sequence[Cell | None]]],
    *sentences: str,
) -> Table:
    """Return a table with a row per task, fraction and metric."""
    rows = list(cells_by_place)
    return Table(
        name,
        title,
        row_names=("task", "metric"),
        rows=tuple(Row((place_text(place), metric_label(place))) for place, _ in rows),
        columns=tuple(map(Column, columns)),
        cells=tuple(tuple(cells) for _, cells in rows),
        sentences=said(*sentences),
    )


def scope_text(differences: Sequence[Difference]) -> str:
    """Return what the seeds behind some differences allow to say."""
    seeds = sorted({one.n_seeds for one in differences} - {0})
    if not seeds:
        return "Nothing to compare."
    if seeds[-1] == 1:
        return ONE_SEED
    if seeds[0] < ENOUGH_SEEDS <= seeds[-1]:
        return (
            f"{seeds[0]} to {seeds[-1]} seeds, by row: those with fewer than {ENOUGH_SEEDS} do not speak of"
            " methods, those with one only of these checkpoints."
        )
    if seeds[0] < ENOUGH_SEEDS:
        two = f" {NO_INTERVAL}" if 2 in seeds else ""
        return f"{too_few_seeds(seeds[0])} ({ENOUGH_SEEDS} are needed).{two}"
    return f"{seeds[0]} seeds: about the methods, not only these checkpoints."


def value_cell(place: Place, value: float, low: float = math.nan, high: float = math.nan) -> Cell:
    """Return a value in the units of a place's metric; with an interval it is shown with its sign."""
    scale, digits = scale_of(place)
    if math.isnan(value):
        return Cell(status="missing", scale=scale, digits=digits, text="n/a")
    return Cell(mean=value, status="ok", scale=scale, digits=digits, low=low, high=high)


def signed_cell(place: Place, value: float) -> Cell:
    """Return a difference without an interval, with its sign."""
    cell = value_cell(place, value)
    if math.isnan(value):
        return cell
    shown = round(value * cell.scale, cell.digits) + 0.0
    return Cell(
        mean=value, status="ok", scale=cell.scale, digits=cell.digits, text=f"{shown:+.{cell.digits}f}"
    )


def difference_cell(place: Place, found: Difference) -> Cell:
    """Return a difference with its interval."""
    cell = value_cell(place, found.difference, found.low, found.high)
    return cell if cell.text else replace(cell, seeds=seeds_of(found), signed=True)


def interval_text(place: Place, found: Difference) -> str:
    """Return ``interval +3.2 [1.1, 5.3] %``, the seeds' own means of two seeds; empty without either."""
    unit = "%" if is_share(place.unit, place.value_range) else place.unit
    cell = difference_cell(place, found)
    if math.isnan(cell.low) and not cell.seeds:
        return ""
    kind = "" if cell.seeds else "interval "
    return f"{kind}{cell_text(cell)} {unit}".strip()


def place_text(place: Place) -> str:
    """Return ``tissue 10 %``."""
    return f"{place.where['task']} {100 * place.where['fraction']:g} %"


def p_text(p: float) -> str:
    """Return a p value as it is printed: three decimals, ``<0.001`` below."""
    if math.isnan(p):
        return "n/a"
    return "<0.001" if p < 0.001 else f"{p:.3f}"
