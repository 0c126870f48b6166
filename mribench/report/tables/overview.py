"""The first table of the page: who leads where, and whether that can be told from chance."""

from __future__ import annotations

from typing import Any

import pandas as pd

from mribench.interfaces.table import Cell, Column, Row, Sentence, Table, said
from mribench.report.material import Material, Panel
from mribench.results.shown import NO_INTERVAL, interval_of, seeds_of
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


def overview(material: Material) -> list[Table]:
    """Return a row per task, metric and profile: the best, the next, what is not separated from the best."""
    found = [
        (panel, str(profile), mine)
        for panel in material.panels
        if len(cells := _competing(material, panel))
        for profile, mine in cells.groupby("profile", sort=True)
    ]
    if not found:
        return []
    tested = any(cells["mark_style"].eq(TESTED).any() for _, _, cells in found)
    several = len(material.run.manifest.profiles) > 1
    columns = ["best mean", "mean", "next", "its mean"]
    columns += ["not separated from the best"] if tested else []
    return [
        Table(
            "at-a-glance", "At a glance", ("task", "metric"),
            tuple(
                Row((f"{panel.title} [{profile}]" if several else panel.title, panel.label))
                for panel, profile, _ in found
            ),
            tuple(Column((name,)) for name in columns),
            tuple(_line(panel, cells)[: len(columns)] for panel, _, cells in found),
            said(Sentence(_WHAT, "what"), _TESTED if tested else "", *_seeds(found), material.claim),
        )
    ]  # fmt: skip


def _seeds(found: list[tuple[Panel, str, pd.DataFrame]]) -> tuple[str, str]:
    """Return the sentences on how many seeds there are, and on what two of them do to an interval."""
    of_best = sorted({int(cells["n_seeds"].iloc[0]) for _, _, cells in found})
    two = any(cells["n_seeds"].eq(2).any() for _, _, cells in found)
    return f"Train seeds of the best: {' or '.join(map(str, of_best))}.", NO_INTERVAL if two else ""


def _competing(material: Material, panel: Panel) -> pd.DataFrame:
    """Return the complete cells of a panel, the best first."""
    frame = material.in_domain
    if frame.empty:
        return frame
    here = frame["task"].eq(panel.task) & frame["metric"].eq(panel.metric)
    here &= frame["fraction"].eq(panel.fraction) & frame["arm"].ne("identity") & frame["status"].eq("ok")
    cells = frame[here & frame["mean"].notna() & frame["out"].eq("")]
    return cells.sort_values("mean", ascending=not panel.higher_is_better, kind="stable")


def _line(panel: Panel, cells: pd.DataFrame) -> tuple[Cell | None, ...]:
    ranked: list[Any] = list(cells.itertuples(index=False))
    first, second = ranked[0], ranked[1] if len(ranked) > 1 else None
    others = [cell.row for cell in ranked[1:] if cell.mark == "best"]
    tested = first.mark_style == TESTED
    return (
        _text(first.row),
        _mean(first, panel),
        _text(second.row) if second else None,
        _mean(second, panel) if second else None,
        _text((", ".join(others) or "none") if tested else _UNTESTED),
    )


def _text(text: str) -> Cell:
    return Cell(status="ok", text=str(text))


def _mean(cell: Any, panel: Panel) -> Cell:
    return Cell(
        cell.mean, cell.se, int(cell.n_subjects), int(cell.n_subjects_total), status="ok",
        scale=panel.scale, digits=panel.digits, interval=interval_of(cell), seeds=seeds_of(cell),
    )  # fmt: skip
