"""The table ``at-a-glance``: who leads where, and whether that can be told from chance."""

from __future__ import annotations

from typing import Any, NamedTuple

import pandas as pd

from mribench.arms import IDENTITY
from mribench.interfaces.table import Cell, Sentence, Table, said, table_of, text_cell
from mribench.report.material import Material, Panel, at_panel
from mribench.results.shown import NO_INTERVAL, mean_cell
from mribench.statistics.marking import TESTED

_WHAT = (
    "The best two rows by mean at the largest fraction of labels, on the site and sequence trained on; "
    "mean ± SE; identity and incomplete cells do not compete."
)
_TESTED = (
    "Not separated from the best: all pairs tested (crossed over seeds and subjects, Holm); not separated is "
    "not equal."
)
_UNTESTED = "not tested"


class _Ranking(NamedTuple):
    """The complete cells of a panel and profile, the best first."""

    panel: Panel
    profile: str
    cells: pd.DataFrame


def overview_rows(material: Material) -> pd.DataFrame:
    """Return the tidy rows: all that compete, with their ``rank`` by mean."""
    frames = [each.cells.assign(rank=range(1, len(each.cells) + 1)) for each in _rankings(material)]
    return pd.concat(frames, ignore_index=True) if frames else pd.DataFrame(columns=["row"])


def overview(material: Material) -> list[Table]:
    """Return a row per task, metric and profile: the best, the next, what is not separated from the best."""
    rankings = _rankings(material)
    if not rankings:
        return []
    tested = any(each.cells["mark_style"].eq(TESTED).any() for each in rankings)
    several = len(material.run.manifest.profiles) > 1
    placed = [
        (
            (f"{each.panel.title} [{each.profile}]" if several else each.panel.title, each.panel.label),
            (name,),
            cell,
        )
        for each in rankings
        for name, cell in _cells(each, tested=tested).items()
    ]
    of_best = sorted({int(each.cells["n_seeds"].iloc[0]) for each in rankings})
    two_seeds = any(each.cells["n_seeds"].eq(2).any() for each in rankings)
    sentences = said(
        Sentence(_WHAT, "what"),
        _TESTED if tested else "",
        f"Train seeds of the best: {' or '.join(map(str, of_best))}.",
        NO_INTERVAL if two_seeds else "",
        material.claim,
    )
    return [table_of("at-a-glance", "At a glance", ("task", "metric"), placed, sentences)]


def _rankings(material: Material) -> list[_Ranking]:
    return [
        _Ranking(panel, str(profile), cells)
        for panel in material.panels
        for profile, cells in _competing(material, panel).groupby("profile", sort=True)
    ]


def _competing(material: Material, panel: Panel) -> pd.DataFrame:
    """Return the complete cells of a panel, the best first."""
    cells = at_panel(material.in_domain, panel)
    whole = cells["status"].eq("ok") & cells["mean"].notna() & cells["out"].eq("")
    cells = cells[whole & cells["arm"].ne(IDENTITY)]
    return cells.sort_values("mean", ascending=not panel.higher_is_better, kind="stable")


def _cells(ranking: _Ranking, *, tested: bool) -> dict[str, Cell | None]:
    """Return the cells of a row by their headers."""
    ranked: list[Any] = list(ranking.cells.itertuples(index=False))
    best = ranked[0]
    cells: dict[str, Cell | None] = dict.fromkeys(("best mean", "mean", "next", "its mean"))
    for cell, (name, mean) in zip(ranked, (("best mean", "mean"), ("next", "its mean")), strict=False):
        cells[name] = text_cell(cell.row)
        cells[mean] = mean_cell(cell, ranking.panel, cell.n_subjects_total)
    if tested:
        others = [cell.row for cell in ranked[1:] if cell.mark == "best"]
        shown = ", ".join(others) or "none"
        cells["not separated from the best"] = text_cell(shown if best.mark_style == TESTED else _UNTESTED)
    return cells
