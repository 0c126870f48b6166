"""The table ``domain-gap``: what a method loses on each site that it never saw."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

import pandas as pd

from mribench.interfaces.document import TidyColumns
from mribench.interfaces.table import Cell, Header, PlacedCell, Sentence, Table, said, table_of
from mribench.report.material import Material, Panel, at_panel
from mribench.report.sentences import absent_sentence, seeds_sentence
from mribench.results.shown import NO_INTERVAL, difference_cell, mean_cell
from mribench.statistics import Estimate, estimate
from mribench.statistics.difference import Difference, estimate_difference
from mribench.statistics.domain_gap import Gap, estimate_gap
from mribench.statistics.tables import SUBJECT

TIDY: TidyColumns = {
    "home": "string", "pairing": "string", "p": "float64", "mean_home": "float64", "mean_away": "float64",
}  # fmt: skip
"""Columns of its tidy rows beside those of every table; ``mean`` is that at home minus that away."""
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


@dataclass(frozen=True, eq=False)
class _Sites:
    """A panel with its sites and the rows of ``subject_means`` by (row, site)."""

    panel: Panel
    home: str
    away: tuple[str, ...]
    means: dict[tuple[str, str], pd.DataFrame]

    @property
    def columns(self) -> list[Header]:
        """The site trained on, then each other with the gap to it."""
        names = [name for site in self.away for name in (site, f"{self.home} - {site} [95 %]")]
        return [self.column(name) for name in (self.home, *names)]

    def column(self, name: str) -> Header:
        """Return the header of a column."""
        return (self.panel.title, self.panel.label, name)

    def estimate(self, row: str, site: str) -> Estimate:
        """Return the mean of a row on a site."""
        return estimate(self.means[row, site], self.panel.value_range)


@dataclass(frozen=True)
class _Gap:
    """A gap of one row, and what it rests on; ``found`` is None where there is none."""

    pairing: Pairing
    found: Difference | Gap | None = None
    mean: float = math.nan
    n_subjects: int = 0
    n_seeds: int = 0


_Gaps = dict[tuple[_Sites, str, str], _Gap]
"""By place, row and site."""


def gap_rows(material: Material) -> pd.DataFrame:
    """Return the tidy rows: one per row, task, metric and site away."""
    rows = [
        {
            "row": row,
            "task": place.panel.task,
            "metric": place.panel.metric,
            "fraction": place.panel.fraction,
            "unit": place.panel.unit,
            "higher_is_better": place.panel.higher_is_better,
            "test_site": site,
            "home": place.home,
            "pairing": each.pairing,
            "mean": each.mean,
            "n_seeds": each.n_seeds,
            "n_subjects": each.n_subjects,
            "mean_home": place.estimate(row, place.home).mean,
            "mean_away": place.estimate(row, site).mean,
            **(asdict(each.found, dict_factory=_interval) if each.found else {}),
        }
        for (place, row, site), each in _gaps(_all_sites(material)).items()
    ]
    return pd.DataFrame(rows) if rows else pd.DataFrame(columns=["row"])


def _interval(fields: list[tuple[str, Any]]) -> dict[str, Any]:
    """Return what is said of the interval of a gap."""
    return {name: value for name, value in fields if name in ("se", "low", "high", "p")}


def gap_table(material: Material) -> list[Table]:
    """Return the gaps of every row: rows × (task and metric, site); none where no task has several sites."""
    places = _all_sites(material)
    rows = material.in_order(row for place in places for row, site in place.means if site == place.home)
    if not rows:
        return []
    gaps = _gaps(places)
    seeds = [each.n_seeds for each in gaps.values()]
    untrained = any(means["seed"].lt(0).any() for place in places for means in place.means.values())
    return [
        table_of(
            "domain-gap", "In-domain minus out-of-domain", ("method",), _placed(places, gaps),
            said(
                Sentence(_WHAT, "what"),
                _SIGN,
                *_pairings(gaps),
                seeds_sentence(seeds),
                NO_INTERVAL if 2 in seeds else "",
                _UNTRAINED if untrained else "",
                material.claim,
            ),
            rows=[(row,) for row in rows],
            columns=[column for place in places for column in place.columns],
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


def _gaps(places: Sequence[_Sites]) -> _Gaps:
    """Return the gap of each row that has scores on both sites."""
    return {
        (place, row, site): _gap(place.means[row, place.home], place.means[row, site])
        for place in places
        for site in place.away
        for row, there in place.means
        if there == site and (row, place.home) in place.means
    }


def _gap(inside: pd.DataFrame, outside: pd.DataFrame) -> _Gap:
    at_home, away = set(inside[SUBJECT]), set(outside[SUBJECT])
    trained = bool(inside["seed"].ge(0).any())
    if at_home.isdisjoint(away):
        apart = estimate_gap(inside, outside)
        n_subjects = apart.n_inside + apart.n_outside
        each = _Gap("others", apart, apart.gap, n_subjects, apart.n_seeds * trained)
    elif at_home == away:
        paired = estimate_difference(inside, outside)
        each = _Gap("same", paired, paired.difference, paired.n_subjects, paired.n_seeds * trained)
    else:
        return _Gap("some")
    return _Gap(each.pairing) if math.isnan(each.mean) else each


def _placed(places: Sequence[_Sites], gaps: _Gaps) -> Iterator[PlacedCell]:
    """Yield the mean on each site, and the gap beside that of each site away."""
    for place in places:
        for row, site in place.means:
            yield (row,), place.column(site), _mean_cell(place, row, site)
    for (place, row, site), each in gaps.items():
        if each.found is not None:
            cell = difference_cell(each.found, each.mean, each.n_subjects, place.panel)
            yield (row,), place.column(f"{place.home} - {site} [95 %]"), cell


def _pairings(gaps: _Gaps) -> list[str]:
    """Return how the subjects of the sites are compared, each way with its places."""
    sentences = []
    for pairing, sentence in _HOW.items():
        where = dict.fromkeys(
            f"{place.panel.task} ({place.home}, {site})"
            for (place, _, site), each in gaps.items()
            if each.pairing == pairing
        )
        sentences += [sentence.format(", ".join(where))] if where else []
    return sentences


def _mean_cell(place: _Sites, row: str, site: str) -> Cell:
    mean = place.estimate(row, site)
    return mean_cell(mean, place.panel, mean.n_subjects_total)
