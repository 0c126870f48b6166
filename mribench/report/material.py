"""What tables and figures are made of: the results of a run, and what is computed from them, each once."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from mribench.interfaces.table import Header, Sentence
from mribench.interfaces.table_source import Question, RunTask, ShownMetric, TableSource
from mribench.report.looks import Look, looks
from mribench.report.power import PlacePower, list_powers
from mribench.report.sentences import claim
from mribench.results.cells import (
    LEADERBOARD,
    cell_frame,
    metric_frame,
    ranges,
    row_labels,
    row_order,
    selected,
    shown_metric,
    values_of,
)
from mribench.results.flags import Flags, flags
from mribench.results.load import RunData
from mribench.results.merged import profile_sentence
from mribench.statistics.intervals import Interval
from mribench.statistics.ranges import Range
from mribench.statistics.scores import estimate_means

SITES = Question(in_domain=False, own_sequence=True, average_sequences=True)
SEQUENCES = Question(in_domain=True, own_sequence=False)
_UNTRAINED = -1.0
"""Stands for the fraction of rows that were not trained."""
_NO_INTERVAL = Interval(math.nan, math.nan, math.nan, math.nan, math.nan, n_seeds=0, n_subjects=0)


@dataclass(frozen=True)
class Panel(ShownMetric):
    """One task and metric at one fraction, and how the metric is shown.

    Attributes:
        task: its name.
        metric: id of the metric.
        fraction: of the training subjects.
        higher_is_better: the direction.
        value_range: of the metric.
    """

    task: str
    metric: str
    fraction: float
    higher_is_better: bool
    value_range: Range

    @property
    def name(self) -> str:
        """Task and metric."""
        return f"{self.task} · {self.metric}"

    @property
    def title(self) -> str:
        """Task and share of the labels."""
        return f"{self.task} · {100 * self.fraction:g} % labels"

    def header(self, name: str) -> Header:
        """Return the header of a column of its numbers."""
        return (self.title, self.label, name)

    @property
    def columns(self) -> dict[str, Any]:
        """What tidy rows say of it."""
        names = ("task", "metric", "fraction", "unit", "higher_is_better")
        return {name: getattr(self, name) for name in names}


@dataclass(frozen=True, eq=False)
class Material:
    """A run, and the frames that several tables and figures need; ``RunResults`` for the tables of plugins.

    Attributes:
        run: the results.
        directory: the results directory, for what ``RunData`` does not have; None for a run without.
        sources: the tables of plugins.
    """

    run: RunData
    directory: Path | None = None
    sources: tuple[TableSource, ...] = ()

    @property
    def benchmark(self) -> str:
        """Name of the benchmark."""
        return self.run.manifest.benchmark

    @functools.cached_property
    def tasks(self) -> dict[str, RunTask]:
        """The tasks by name, in the order of the benchmark file."""
        cohorts = self.run.manifest.cohorts
        return {
            name: RunTask(task.task, cohorts[task.dataset].dataset)
            for name, task in self.run.manifest.tasks.items()
        }

    @functools.cached_property
    def _metrics(self) -> dict[tuple[str, str], ShownMetric]:
        known: list[Any] = list(metric_frame(self.run.manifest.tasks).itertuples(index=False))
        return {(one.task, one.metric): shown_metric(one) for one in known}

    def metric(self, task: str, metric: str) -> ShownMetric:
        """Return how a metric of a task, by its id, is shown."""
        return self._metrics[task, metric]

    def cells(self, question: Question) -> pd.DataFrame:
        """Return ``cell_frame`` of a question."""
        return self._cell_frame(question).copy()

    @functools.cached_property
    def _cell_frame(self) -> Callable[[Question], pd.DataFrame]:
        return functools.cache(functools.partial(cell_frame, self.run))

    @functools.cached_property
    def flags(self) -> Flags:
        """The footnotes of rows."""
        return flags(self.run)

    @functools.cached_property
    def planned(self) -> pd.DataFrame:
        """The planned evaluate jobs, ``run.cells``, with ``row`` (label) and ``row_order``, in its order."""
        cells, manifest = self.run.cells, self.run.manifest
        labelled = cells.assign(row=row_labels(cells, manifest).astype(str))
        if cells.empty:
            return labelled.assign(row_order=0)
        labelled["row_order"] = row_order(cells, manifest)
        return labelled.sort_values("row_order", kind="stable", ignore_index=True)

    @functools.cached_property
    def train_subjects(self) -> dict[tuple[str, float], list[int]]:
        """By task and fraction: how many subjects train, ascending; sequences may have different numbers."""
        known = self.run.cells.dropna(subset=["fraction", "n_train_subjects"])
        numbers = known.groupby(["task", "fraction"])["n_train_subjects"].unique()
        places: list[Any] = list(numbers.index)
        return {place: sorted(map(int, each)) for place, each in zip(places, numbers, strict=True)}

    def with_cohort(self, cells: pd.DataFrame) -> pd.DataFrame:
        """Return cells with the cohort of their task in the column ``dataset``."""
        cohorts = {task: planned.dataset for task, planned in self.run.manifest.tasks.items()}
        return cells.assign(dataset=cells["task"].map(cohorts))

    def profile_sentence(self) -> Sentence:
        """Return which profiles the rows are of, and the known defects that those reproduce."""
        return Sentence(profile_sentence(self.run.manifest.defects_by_profile()))

    @functools.cached_property
    def in_domain(self) -> pd.DataFrame:
        """Cells of the leaderboard."""
        return self.cells(LEADERBOARD)

    @functools.cached_property
    def rows(self) -> list[str]:
        """Labels of the rows, in the order of the tables."""
        return list(dict.fromkeys(self.planned["row"]))

    def in_order(self, rows: Iterable[str]) -> list[str]:
        """Return some of the rows in the order of the tables."""
        there = set(rows)
        return [row for row in self.rows if row in there]

    @functools.cached_property
    def profiles(self) -> dict[str, str]:
        """Profile of each row; rows of two have other settings, and are not compared pair by pair."""
        return dict(zip(self.planned["row"], self.planned["profile"].astype(str), strict=True))

    @functools.cached_property
    def looks(self) -> dict[str, Look]:
        """Colour and marker of each row."""
        arms = dict(zip(self.planned["row"], self.planned["arm"], strict=True))
        trained = [row for row in self.rows if arms[row] in self.run.manifest.arms]
        return looks(trained, [row for row in self.rows if row not in trained])

    @functools.cached_property
    def panels(self) -> list[Panel]:
        """Tasks and metrics at their largest fraction, as the benchmark file has them."""
        return [
            Panel(
                **vars(self.metric(name, metric.id)),
                task=name,
                metric=metric.id,
                fraction=max(task.fractions, default=math.nan),
                higher_is_better=metric.higher_is_better,
                value_range=metric.bounds,
            )
            for name, task in self.run.manifest.tasks.items()
            for metric in task.metrics
        ]

    @functools.cached_property
    def values(self) -> pd.DataFrame:
        """Scores in-domain, one row per table row, task, fraction, metric, seed and subject."""
        return self._values(LEADERBOARD)

    @functools.cached_property
    def site_values(self) -> pd.DataFrame:
        """As ``values``, of every test site, which is the column ``test_site``."""
        return self._values(SITES, "test_site")

    @functools.cached_property
    def sequence_values(self) -> pd.DataFrame:
        """As ``values``, of every pair of sequences: ``train_sequence``, ``test_sequence``."""
        return self._values(SEQUENCES, "train_sequence", "test_sequence")

    def _values(self, question: Question, *places: str) -> pd.DataFrame:
        scores = selected(self.run.scores, self.run.manifest, question)
        by = ["row", "task", "fraction", "metric", *places]
        return values_of(self.run, scores, by, question, across=["row"])

    @functools.cached_property
    def powers(self) -> list[PlacePower]:
        """How small a difference each place of the leaderboard could have seen."""
        return list_powers(self.values, self.in_domain)

    def of_panel(self, panel: Panel) -> pd.DataFrame:
        """Return the rows of ``values`` of a panel; rows that were not trained stand at every fraction."""
        return at_panel(self.values, panel)

    @functools.cached_property
    def _intervals(self) -> dict[tuple[Any, ...], Any]:
        estimated = estimate_means(
            self.values, ["row", "task", "metric", "fraction"], ranges(self.run.manifest)
        )
        fractions = estimated["fraction"].astype(float).fillna(_UNTRAINED)
        places = zip(estimated["row"], estimated["task"], estimated["metric"], fractions, strict=True)
        return dict(zip(places, estimated.itertuples(index=False), strict=True))

    def interval(self, row: str, panel: Panel, fraction: float | None = None) -> Any:
        """Return a row of ``estimate_means``, unscaled: mean and 95 % interval; NaN where there is none.

        Args:
            row: its label; a row that was not trained has the same at every fraction.
            panel: task and metric.
            fraction: another than the panel's.
        """
        place = (row, panel.task, panel.metric)
        at = panel.fraction if fraction is None else fraction
        return self._intervals.get((*place, at)) or self._intervals.get((*place, _UNTRAINED), _NO_INTERVAL)

    @functools.cached_property
    def claim(self) -> Sentence:
        """What the number of seeds allows to say."""
        return claim(self.in_domain) if len(self.in_domain) else Sentence("", "limit")


def read_parquet(directory: Path | None, key: str, name: str) -> pd.DataFrame:
    """Return a Parquet file of a job; an empty frame where it is not there or damaged."""
    if directory is None:
        return pd.DataFrame()
    try:
        return pq.read_table(directory / "jobs" / key / name).to_pandas()
    except (OSError, pa.ArrowException):
        return pd.DataFrame()


def at_panel(values: pd.DataFrame, panel: Panel) -> pd.DataFrame:
    """Return the rows of a panel; those that were not trained have no fraction, and stand at every one."""
    mine = values[values["task"].eq(panel.task) & values["metric"].eq(panel.metric)]
    return mine[mine["fraction"].eq(panel.fraction) | mine["fraction"].isna()]
