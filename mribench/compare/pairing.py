"""The scores of two sides, in the cells that both have and that may be compared."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from mribench.compare.rows import COLUMNS, TRAINING, Rows, by_cell, keep_comparable
from mribench.compare.sides import Pair
from mribench.errors import MRIBenchError
from mribench.interfaces.table_source import Question
from mribench.results.label_subsets import label_subsets
from mribench.results.manifest import PlannedMetric
from mribench.statistics.difference import Difference, estimate_table_difference
from mribench.statistics.scores import average_subjects
from mribench.statistics.tables import Scores, align_groups

_CONTRASTS = {
    "task": "tasks",
    "fraction": "fractions",
    "test_site": "test sites",
    "train_sequence": "training sequences",
    "test_sequence": "test sequences",
}
_ORDERED = {"sites": "test_site", "train_sequences": "train_sequence", "test_sequences": "test_sequence"}


@dataclass(frozen=True)
class Place:
    """One cell of a comparison: the seeds and subjects of both sides there.

    Attributes:
        where: by column: ``task``, ``fraction``, and what else the question kept apart.
        metric: its id.
        unit: its unit.
        value_range: smallest and largest value, where there are any.
        higher_is_better: its direction.
        first: rows of ``subject_means`` of the first side.
        second: of the second.
    """

    where: Mapping[str, Any]
    metric: str
    unit: str
    value_range: Any
    higher_is_better: bool
    first: pd.DataFrame
    second: pd.DataFrame

    @functools.cached_property
    def scores(self) -> Scores:
        """Both over all seeds and subjects of either: ``(2, S, N)``."""
        return align_groups({"first": self.first, "second": self.second})

    @functools.cached_property
    def both(self) -> Scores:
        """Both over the complete seed × subject table of pairs: ``(2, S, N)``; nothing without two."""
        scores = self.scores
        if len(scores.names) < 2:
            return Scores([], np.empty((0, 0, 0)), pd.Index([]), pd.Index([]))
        missing = np.isnan(scores.cube).any(axis=0)
        return replace(scores, cube=np.where(missing, np.nan, scores.cube)).complete()

    @functools.cached_property
    def pairs(self) -> Scores:
        """The differences over the complete seed × subject table: ``(1, S, N)``."""
        return self.scores.difference().complete()

    def difference(self) -> Difference:
        """Return what the differences say."""
        missing = int(np.isnan(self.scores.difference().cube).sum())
        return estimate_table_difference(self.pairs.table(), n_missing_pairs=missing)

    def better(self, difference: float) -> int:
        """Return 0 where the first side is the better one of a difference, 1 where the second is; else -1."""
        if not np.isfinite(difference) or difference == 0:
            return -1
        return int((difference > 0) != self.higher_is_better)


@dataclass(frozen=True)
class Paired:
    """What can be compared.

    Attributes:
        pair: the sides.
        first: score rows of the first, in shared cells.
        second: of the second.
        metrics: those that are the same on both sides, by task and id.
        notes: what was left out, in sentences.
    """

    pair: Pair
    first: Rows
    second: Rows
    metrics: Mapping[tuple[str, str], PlannedMetric]
    notes: tuple[str, ...]

    @functools.cached_property
    def _known(self) -> Callable[[Question], list[Place]]:
        """What finds the places of a question, once for each."""
        return functools.cache(self._find_places)

    def places(self, question: Question, fraction: float | None = None) -> list[Place]:
        """Return the cells that a question tells apart, in the benchmark's order.

        Args:
            question: what is averaged and what is kept apart.
            fraction: of the labels; all where None.
        """
        known = self._known(question)
        return [place for place in known if fraction is None or place.where["fraction"] == fraction]

    def places_at_one(self, question: Question, fraction: float | None) -> list[Place]:
        """As ``places``, of one fraction of each task: its largest where None is named."""
        places = self.places(question, fraction)
        most: dict[str, float] = {}
        for place in places:
            most[place.where["task"]] = max(most.get(place.where["task"], 0.0), place.where["fraction"])
        return [place for place in places if place.where["fraction"] == most[place.where["task"]]]

    def subject_means(self, question: Question, apart: Sequence[str] = ()) -> list[pd.DataFrame]:
        """Return rows of ``subject_means`` of both sides, by the question's keys and the metric.

        Args:
            question: what is averaged and what is kept apart.
            apart: columns that the question averages within a subject, and that are kept apart instead.
        """
        by = [*question.keys, "metric", *apart]
        within = [name for name in question.within if name not in apart]
        sides = ((self.pair.first, self.first), (self.pair.second, self.second))
        asked = [(side, rows.asked(side.run.manifest, question)) for side, rows in sides]
        return [
            average_subjects(rows.whole_seeds(question.keys).scores, by, within, side.policy)
            for side, rows in asked
        ]

    def _find_places(self, question: Question) -> list[Place]:
        by = [*question.keys, "metric"]
        first, second = (
            dict(iter(means.groupby(by, dropna=False, sort=False))) for means in self.subject_means(question)
        )
        places = []
        for key in first:
            *names, _ = key
            metric = self.metrics.get((str(key[0]), str(key[-1])))
            if metric is None or key not in second:
                continue
            where = dict(zip(question.keys, names, strict=True))
            read = metric.unit, metric.value_range, metric.higher_is_better
            places.append(Place(where, metric.id, *read, first[key], second[key]))
        return sorted(places, key=self._order)

    def _order(self, place: Place) -> tuple[Any, ...]:
        tasks = self.pair.first.run.manifest.tasks
        task = tasks[place.where["task"]]
        metrics = [metric.id for metric in task.metrics]
        sites, trained, tested = (
            _position(getattr(task, name), place.where.get(column)) for name, column in _ORDERED.items()
        )
        return (
            list(tasks).index(place.where["task"]),
            place.where["fraction"],
            _position(metrics, place.metric),
            sites,
            trained,
            tested,
        )


def paired(pair: Pair) -> Paired:
    """Return the scores of both sides in the cells that they share.

    Cells whose test or training subjects, or their files, are not the same are left out, and it is said.

    Raises:
        MRIBenchError: where no cell is left.
    """
    sides = (pair.first, pair.second)
    scores = [side.scores[COLUMNS] for side in sides]
    for side, found in zip(sides, scores, strict=True):
        if found.empty:
            raise MRIBenchError(f"{side.name} has no results yet", f"mribench report {side.directory}")
    if all(found["seed"].isna().all() for found in scores):
        raise MRIBenchError(
            f"nothing was trained for {pair.first.name} and {pair.second.name}",
            "compare one that was trained",
        )
    rows = [by_cell(_trained_like(mine, other)) for mine, other in (scores, scores[::-1])]
    metrics, notes = _find_shared_metrics(pair)
    notes = [*_list_mixed(pair), *notes]
    common = set(rows[0].cells) & set(rows[1].cells)
    if not common:
        raise MRIBenchError(
            f"{pair.first.name} and {pair.second.name} share no cell", _explain_no_overlap(rows)
        )
    if pair.separate:
        rows, left_out = keep_comparable(pair, rows)
        notes += left_out
        common = set(rows[0].cells) & set(rows[1].cells)
        if not common:
            raise MRIBenchError(
                f"{pair.first.name} and {pair.second.name} have no cell on the same subjects: {notes[-1]}",
                "run one of the two again on the other's splits and data",
            )
    for side, its in zip(sides, rows, strict=True):
        if count := len(set(its.cells) - common):
            notes.append(f"{count} cells of {side.name} have no counterpart and are left out.")
    first, second = (its.of_cells(common) for its in rows)
    return Paired(pair, first, second, metrics, tuple(notes))


def _position(known: Sequence[Any], name: Any) -> int:
    return known.index(name) if name in known else len(known)


def _trained_like(scores: pd.DataFrame, other: pd.DataFrame) -> pd.DataFrame:
    """Let scores that nothing was trained for stand in every training of the other side."""
    if scores["seed"].notna().any() or other["seed"].isna().all():
        return scores
    trainings = other[["task", *TRAINING]].drop_duplicates().astype({"task": "str"})
    return scores.drop(columns=TRAINING).astype({"task": "str"}).merge(trainings, on="task")


def _find_shared_metrics(pair: Pair) -> tuple[dict[tuple[str, str], PlannedMetric], list[str]]:
    first, second = (side.run.manifest.metrics() for side in (pair.first, pair.second))
    both = {place: metric for place, metric in first.items() if place in second}
    differ = [", ".join(place) for place, metric in both.items() if metric != second[place]]
    notes = [f"Left out, as unit, range or direction differ: {'; '.join(differ)}."] if differ else []
    return {place: metric for place, metric in both.items() if metric == second[place]}, notes


def _list_mixed(pair: Pair) -> list[str]:
    """Return what either folder's report leaves out, as it has results of several splits."""
    if not pair.separate:
        return [f"{text}." for text in pair.first.run.mixed]
    return [f"{side.name}: {text}." for side in (pair.first, pair.second) for text in side.run.mixed]


def _explain_no_overlap(rows: list[Rows]) -> str:
    texts = []
    for column, what in _CONTRASTS.items():
        names = [sorted(map(str, side.heads[column].dropna().unique())) for side in rows]
        if not set(names[0]) & set(names[1]):
            texts.append(f"{what}: {', '.join(names[0]) or 'none'}; and {', '.join(names[1]) or 'none'}")
    drawn = [label_subsets(side.heads) for side in rows]
    if all(drawn) and not set(drawn[0]) & set(drawn[1]):
        texts.append(f"label subsets: {', '.join(drawn[0])}; and {', '.join(drawn[1])}")
    return "; ".join(texts) or "they have results of different cells: mribench report DIR shows which"
