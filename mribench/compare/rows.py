"""Score rows by the cell and seed that they are of: what is asked of cells is asked of few of those."""

from __future__ import annotations

import functools
from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from mribench.interfaces.table_source import Question
from mribench.results.cells import selected
from mribench.results.manifest import Manifest
from mribench.statistics.scores import list_keys

TRAINING = ["train_site", "train_sequence", "fraction", "subset_seed"]
CELL = ["task", "dataset", "test_site", "test_sequence", *TRAINING]
"""What makes two cells the same one, whatever the results folder; seeds are paired later."""
_ROW = ["method", "arm", "profile"]
_MEASURED = ["subject", "session", "metric", "unit", "status", "penalty"]
COLUMNS = [*_ROW, *CELL, "seed", *_MEASURED]
"""What a comparison needs of score rows."""

Key = tuple[Any, ...]


@dataclass(frozen=True)
class Rows:
    """Score rows of one side.

    Attributes:
        heads: one row per cell and seed: method, arm, profile, ``CELL`` and ``seed``.
        place: ``(rows,)`` position in ``heads`` of what each score row is of.
        scores: the score rows, with ``COLUMNS``.
    """

    heads: pd.DataFrame
    place: np.ndarray
    scores: pd.DataFrame

    @functools.cached_property
    def cells(self) -> list[Key]:
        """The cell of each of ``heads``."""
        return list_keys(self.heads, CELL)

    def kept(self, keep: Sequence[bool] | np.ndarray) -> Rows:
        """Return the rows of those of ``heads`` for which ``keep`` is true."""
        kept = np.asarray(keep, dtype=bool)
        if kept.all():
            return self
        rows = kept[self.place]
        moved = (np.cumsum(kept) - 1)[self.place[rows]]
        return Rows(self.heads[kept].reset_index(drop=True), moved, self.scores[rows])

    def of_cells(self, cells: Collection[Key]) -> Rows:
        """Return the rows of some cells."""
        return self.kept([cell in cells for cell in self.cells])

    def asked(self, manifest: Manifest, question: Question) -> Rows:
        """Return the rows that a question is about."""
        return self.kept(self.heads.index.isin(selected(self.heads, manifest, question).index))

    def whole_seeds(self, columns: Sequence[str]) -> Rows:
        """Drop the seeds that lack some of the cells averaged: their mean would be of something else.

        Args:
            columns: that tell apart what is averaged.
        """
        groups = list_keys(self.heads, columns)
        seeds = list_keys(self.heads, [*columns, "seed"])
        every = Counter(group for group, _ in set(zip(groups, self.cells, strict=True)))
        here = Counter(seeds)
        return self.kept([here[seed] == every[group] for group, seed in zip(groups, seeds, strict=True)])


def by_cell(scores: pd.DataFrame) -> Rows:
    """Return score rows with the cell and seed that each is of."""
    columns = [*CELL, "seed"]
    place = scores.groupby(columns, dropna=False, observed=True, sort=False).ngroup().to_numpy()
    first = ~pd.Series(place).duplicated().to_numpy()
    return Rows(scores.loc[first, [*_ROW, *columns]].reset_index(drop=True), place, scores)
