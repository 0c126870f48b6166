"""The table ``domain-gap``: what a method loses on each site that it never saw."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from mribench.interfaces.table import Header, PlacedCell, Sentence, Table, said, table_of
from mribench.report.material import Material, Panel, at_panel
from mribench.report.sentences import absent_sentence, seeds_sentence
from mribench.results.shown import NO_INTERVAL, difference_cell, mean_cell
from mribench.statistics import Estimate, estimate
from mribench.statistics.difference import Difference, estimate_difference
from mribench.statistics.domain_gap import Gap, estimate_gap
from mribench.statistics.tables import SUBJECT

_WHAT = (
    "The mean on the site trained on minus the mean on another, with its 95 % interval, at the largest "
    "fraction of labels, sequences averaged; the means themselves ± crossed SE."
)
_SIGN = "Above 0: a ↑ metric is worse elsewhere; below 0: a ↓ metric is."
_PAIRINGS = {
    "others": "The models (seeds) are the same on both sites, the subjects are others: each site adds its "
    "own spread between subjects, and n of a gap counts the subjects of both: {}.",
    "same": "The same subjects were scanned on both sites and are compared with themselves: {}.",
    "some": "No gap where only some subjects are on both sites, neither paired nor independent: {}.",
}
"""What is said where the subjects of two sites are others, the same, or some of them the same."""
_UNTRAINED = "Rows that need no training show what the sites differ by without a model."
_SEEDS = ["seed_low", "seed_high"]
_NUMBERS = ["se", "low", "high", "p", *_SEEDS]
"""What a gap has of its estimate."""


@dataclass(frozen=True, eq=False)
class _Sites:
    """A panel with its sites and the rows of ``subject_means`` by (row, site)."""

    panel: Panel
    home: str
    away: tuple[str, ...]
    means: Mapping[tuple[str, str], pd.DataFrame]

    def name_gap(self, site: str) -> Header:
        """Return the header of the gap to a site."""
        return self.panel.header(f"{self.home} - {site} [95 %]")

    def columns(self) -> Iterator[Header]:
        """Yield the site trained on, then each other with the gap to it."""
        yield self.panel.header(self.home)
        for site in self.away:
            yield from (self.panel.header(site), self.name_gap(site))

    def estimate(self, row: str, site: str) -> Estimate:
        """Return the mean of a row on a site."""
        return estimate(self.means[row, site], self.panel.value_range)


def gap_rows(material: Material) -> pd.DataFrame:
    """Return the tidy rows: one per row, task, metric and site away."""
    return _gap_frame(_all_sites(material)).drop(columns=_SEEDS)


def gap_table(material: Material) -> list[Table]:
    """Return the gaps of every row: rows × (task and metric, site); none where no task has several sites."""
    places = _all_sites(material)
    rows = material.in_order(row for place in places for row, site in place.means if site == place.home)
    if not rows:
        return []
    gaps = _gap_frame(places)
    untrained = any(means["seed"].lt(0).any() for place in places for means in place.means.values())
    return [
        table_of(
            "domain-gap", "In-domain minus out-of-domain", ("method",), _placed(places, gaps),
            said(
                Sentence(_WHAT, "what"),
                _SIGN,
                *_describe_pairings(gaps),
                seeds_sentence(gaps["n_seeds"]),
                NO_INTERVAL if gaps["n_seeds"].eq(2).any() else "",
                _UNTRAINED if untrained else "",
                material.claim,
            ),
            rows=[(row,) for row in rows],
            columns=[column for place in places for column in place.columns()],
        )
    ]  # fmt: skip


def why_no_gap(material: Material) -> str:
    """Return which tasks are in no gap, and why; or an empty string."""
    tasks = material.run.manifest.tasks
    single = [name for name, task in tasks.items() if len(task.sites) < 2]
    shown = {place.panel.task for place in _all_sites(material)}
    return absent_sentence("No gap", tasks, shown, single, ("tested on one site", "not done on two sites"))


def _all_sites(material: Material) -> list[_Sites]:
    places = (_sites_of(material, panel) for panel in material.panels)
    return [place for place in places if place is not None]


def _sites_of(material: Material, panel: Panel) -> _Sites | None:
    """Return a panel with what there is to subtract; None where it was done on fewer than two sites."""
    home, *others = material.run.manifest.tasks[panel.task].sites or ("",)
    means = at_panel(material.site_values, panel)
    groups = means.groupby(["row", "test_site"], sort=False)
    by_site = {(str(row), str(site)): each for (row, site), each in groups if each["value"].notna().any()}
    there = {site for _, site in by_site}
    away = tuple(site for site in others if site in there)
    return _Sites(panel, home, away, by_site) if home in there and away else None


def _gap_frame(places: Sequence[_Sites]) -> pd.DataFrame:
    """Return one row per panel, site away and row that has scores on both sites."""
    rows = [
        {
            "row": row,
            **place.panel.columns,
            "test_site": site,
            "home": place.home,
            "mean_home": place.estimate(row, place.home).mean,
            "mean_away": place.estimate(row, site).mean,
            **_estimate_gap(place.means[row, place.home], place.means[row, site]),
        }
        for place in places
        for site in place.away
        for row, there in place.means
        if there == site and (row, place.home) in place.means
    ]
    columns = ["row", "pairing", "mean", "n_seeds", *_SEEDS]
    return pd.DataFrame(rows, columns=list(rows[0]) if rows else columns)


def _estimate_gap(inside: pd.DataFrame, outside: pd.DataFrame) -> dict[str, Any]:
    """Return the gap of one row and what it rests on; without numbers where there is none."""
    at_home, away = set(inside[SUBJECT]), set(outside[SUBJECT])
    each: Difference | Gap | None = None
    pairing, mean, n_subjects = "some", math.nan, 0
    if at_home.isdisjoint(away):
        each = estimate_gap(inside, outside)
        pairing, mean, n_subjects = "others", each.difference, each.n_inside + each.n_outside
    elif at_home == away:
        each = estimate_difference(inside, outside)
        pairing, mean, n_subjects = "same", each.difference, each.n_subjects
    gap: dict[str, Any] = {"pairing": pairing, "mean": mean, "n_seeds": 0, "n_subjects": 0}
    gap |= dict.fromkeys(_NUMBERS, math.nan)
    if each is None or math.isnan(mean):
        return gap
    n_seeds = each.n_seeds if inside["seed"].ge(0).any() else 0
    numbers = {name: getattr(each, name) for name in _NUMBERS}
    return {**gap, "n_seeds": n_seeds, "n_subjects": n_subjects, **numbers}


def _placed(places: Sequence[_Sites], gaps: pd.DataFrame) -> Iterator[PlacedCell]:
    """Yield the mean on each site, and the gap beside that of each site away."""
    by_panel = {(place.panel.task, place.panel.metric): place for place in places}
    for place in places:
        for row, site in place.means:
            mean = place.estimate(row, site)
            yield (row,), place.panel.header(site), mean_cell(mean, place.panel, mean.n_subjects_total)
    known: list[Any] = list(gaps[gaps["mean"].notna()].itertuples())
    for gap in known:
        place = by_panel[gap.task, gap.metric]
        cell = difference_cell(gap, gap.mean, gap.n_subjects, place.panel)
        yield (gap.row,), place.name_gap(gap.test_site), cell


def _describe_pairings(gaps: pd.DataFrame) -> list[str]:
    """Return how the subjects of the sites are compared, each way with its places."""
    sentences = []
    for pairing, sentence in _PAIRINGS.items():
        pairs: list[Any] = list(gaps[gaps["pairing"].eq(pairing)].itertuples())
        where = dict.fromkeys(f"{pair.task} ({pair.home}, {pair.test_site})" for pair in pairs)
        sentences += [sentence.format(", ".join(where))] if where else []
    return sentences
