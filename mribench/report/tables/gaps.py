"""In-domain minus out-of-domain as a table: what a method loses on each site that it never saw."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import pandas as pd

from mribench.interfaces.table import Cell, Column, Row, Sentence, Table, said
from mribench.report.material import Material, Panel, at_panel
from mribench.report.sentences import seeds_sentence
from mribench.results.shown import NO_INTERVAL, interval_of, seeds_of
from mribench.statistics import estimate
from mribench.statistics.difference import Difference, difference
from mribench.statistics.domain_gap import Gap, gap
from mribench.statistics.tables import SUBJECT

Pairing = Literal["others", "same", "some"]
"""Whether the subjects of two sites are others, the same, or some of them the same."""

_WHAT = (
    "The mean on the site trained on minus the mean on another, with its 95 % interval, at the largest "
    "fraction of labels, sequences averaged; the means themselves ± crossed SE."
)
_SIGN = "Above 0: a ↑ metric is worse elsewhere; below 0: a ↓ metric is."
_HOW = {
    "others": "The models (seeds) are the same on both sites, the subjects are others: each site adds its "
    "own spread between subjects, and n of a gap counts the subjects of both: {}.",
    "same": "The same subjects were scanned on both sites and are compared with themselves: {}.",
    "some": "No gap where only some subjects are on both sites, neither paired nor independent: {}.",
}
_UNTRAINED = "Rows that need no training show what the sites differ by without a model."


@dataclass(frozen=True)
class _Place:
    """A panel with its sites and the rows of ``subject_means`` by (row, site)."""

    panel: Panel
    home: str
    away: tuple[str, ...]
    means: dict[tuple[str, str], pd.DataFrame]

    @property
    def columns(self) -> list[Column]:
        names = [name for site in self.away for name in (site, f"{self.home} - {site} [95 %]")]
        return [Column((self.panel.title, self.panel.label, name)) for name in (self.home, *names)]


@dataclass(frozen=True)
class _Found:
    """A gap as a cell, and what it rests on."""

    cell: Cell | None
    pairing: Pairing
    n_seeds: int


def gap_table(material: Material) -> list[Table]:
    """Return the gaps of every row: rows × (task and metric, site); none where no task has several sites."""
    places = [place for panel in material.panels if (place := _place(material, panel))]
    rows = [row for row in material.rows if any((row, place.home) in place.means for place in places)]
    if not rows:
        return []
    gaps = {
        (row, number, site): _compare(place, row, site)
        for row in rows
        for number, place in enumerate(places)
        for site in place.away
        if (row, place.home) in place.means and (row, site) in place.means
    }
    cells = tuple(
        tuple(cell for number, place in enumerate(places) for cell in _line(place, row, number, gaps))
        for row in rows
    )
    untrained = any(means["seed"].lt(0).any() for place in places for means in place.means.values())
    sentences = said(
        Sentence(_WHAT, "what"),
        _SIGN,
        *_pairings(places, gaps),
        seeds_sentence(each.n_seeds for each in gaps.values()),
        NO_INTERVAL if any(each.n_seeds == 2 for each in gaps.values()) else "",
        _UNTRAINED if untrained else "",
        material.claim,
    )
    return [
        Table(
            "domain-gap", "In-domain minus out-of-domain", ("method",), tuple(Row((row,)) for row in rows),
            tuple(column for place in places for column in place.columns), cells,
            sentences,
        )
    ]  # fmt: skip


def why_no_gap(material: Material) -> str:
    """Return which tasks are in no gap, and why; or an empty string."""
    tasks = material.run.manifest.tasks
    shown = {place.panel.task for panel in material.panels if (place := _place(material, panel))}
    single = [task for task, spec in tasks.items() if len(spec.sites) < 2]
    undone = [task for task in tasks if task not in shown and task not in single]
    texts = [f"{', '.join(single)}: tested on one site"] if single else []
    texts += [f"{', '.join(undone)}: not done on two sites"] if undone else []
    return f"No gap of {'; '.join(texts)}." if texts else ""


def _place(material: Material, panel: Panel) -> _Place | None:
    """Return a panel with what there is to subtract; None where it was done on fewer than two sites."""
    home, *others = material.run.manifest.tasks[panel.task].sites or ("",)
    means = at_panel(material.site_values, panel)
    groups = means.groupby(["row", "test_site"], sort=False)
    found = {(str(row), str(site)): each for (row, site), each in groups if each["value"].notna().any()}
    there = {site for _, site in found}
    away = tuple(site for site in others if site in there)
    return _Place(panel, home, away, found) if home in there and away else None


def _compare(place: _Place, row: str, site: str) -> _Found:
    inside, outside = place.means[row, place.home], place.means[row, site]
    one, other = set(inside[SUBJECT]), set(outside[SUBJECT])
    pairing: Pairing = "others" if not one & other else "same" if one == other else "some"
    if pairing == "some":
        return _Found(None, pairing, 0)
    if pairing == "same":
        paired = difference(inside, outside)
        found: Difference | Gap = paired
        mean, n = paired.difference, paired.n_subjects
    else:
        apart = gap(inside, outside)
        found, mean, n = apart, apart.gap, apart.n_inside + apart.n_outside
    if math.isnan(mean):
        return _Found(None, pairing, 0)
    cell = Cell(
        mean, found.se, n, n, status="ok", scale=place.panel.scale, digits=place.panel.digits,
        low=found.low, high=found.high, seeds=seeds_of(found), signed=True,
    )  # fmt: skip
    return _Found(cell, pairing, 0 if inside["seed"].lt(0).all() else found.n_seeds)


def _line(
    place: _Place, row: str, number: int, gaps: dict[tuple[str, int, str], _Found]
) -> Sequence[Cell | None]:
    cells = [_mean(place, row, place.home)]
    for site in place.away:
        found = gaps.get((row, number, site))
        cells += [_mean(place, row, site), found.cell if found else None]
    return cells


def _mean(place: _Place, row: str, site: str) -> Cell | None:
    means = place.means.get((row, site))
    if means is None:
        return None
    found = estimate(means, place.panel.value_range)
    return Cell(
        found.mean, found.se, found.n_subjects, found.n_subjects_total, status="ok",
        scale=place.panel.scale, digits=place.panel.digits,
        interval=interval_of(found), seeds=seeds_of(found),
    )  # fmt: skip


def _pairings(places: Sequence[_Place], gaps: dict[tuple[str, int, str], _Found]) -> list[str]:
    sentences = []
    for pairing, sentence in _HOW.items():
        where = dict.fromkeys(
            f"{places[number].panel.task} ({places[number].home}, {site})"
            for (_, number, site), found in gaps.items()
            if found.pairing == pairing
        )
        sentences += [sentence.format(", ".join(where))] if where else []
    return sentences
