"""Score rows by the cell and seed that they are of: what is asked of cells is asked of few of those.

And whether those of two results folders are of the same subjects and files.
"""

from __future__ import annotations

import functools
from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from mribench.compare.sides import Pair, Side
from mribench.interfaces.table_source import Question
from mribench.results.cells import selected
from mribench.results.digests import Recorded, recorded
from mribench.results.manifest import Manifest
from mribench.statistics.scores import list_keys, number_groups

TRAINING = ["train_site", "train_sequence", "fraction", "subset_seed"]
CELL = ["task", "dataset", "test_site", "test_sequence", *TRAINING]
"""What makes two cells the same one, whatever the results folder; seeds are paired later."""
_CELL_AND_SEED = [*CELL, "seed"]
_ROW = ["method", "arm", "profile"]
_MEASURED = ["subject", "session", "metric", "unit", "status", "penalty"]
COLUMNS = [*_ROW, *CELL, "seed", *_MEASURED]
"""What a comparison needs of score rows."""
_TESTED = ("task", "dataset", "test_site", "test_sequence")
_STAGES = {"test": "key", "training": "adapt"}
"""What must be of the same subjects, and the column of the cells with the job that says so."""

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
    heads, place = number_groups(scores, [*_ROW, *_CELL_AND_SEED])
    return Rows(heads, place, scores)


def keep_comparable(pair: Pair, sides: Sequence[Rows]) -> tuple[list[Rows], list[str]]:
    """Keep the cells and seeds of two results folders that were computed from the same subjects and files.

    Returns:
        The rows of each side, and one sentence for each place that was left out, and why.
    """
    bad = _find_contradictions(_read_recorded(pair.first), _read_recorded(pair.second))
    kept = []
    for rows in sides:
        kept.append(rows.kept([key not in bad for key in list_keys(rows.heads, _CELL_AND_SEED)]))
    places: Counter[str] = Counter()
    for key, why in bad.items():
        where = dict(zip(_CELL_AND_SEED, key, strict=True))
        places[f"{where['task']}, {where['test_site']}, {where['test_sequence']}: {why}"] += 1
    return kept, [f"Left out: {text}; {count} results." for text, count in places.items()]


def _find_contradictions(
    first: dict[Key, dict[str, Recorded]], second: dict[Key, dict[str, Recorded]]
) -> dict[Key, str]:
    contradictions = {}
    for key in first.keys() | second.keys():
        jobs = [made.get(key, made.get(_untrained(key))) for made in (first, second)]
        if jobs[0] is None or jobs[1] is None:
            continue
        for stage in _STAGES:
            what = jobs[0][stage].contradicts(jobs[1][stage])
            if what:
                contradictions[key] = f"the {stage} {what}"
                break
    return dict(sorted(contradictions.items(), key=lambda item: str(item)))


def _untrained(key: Key) -> Key:
    """Return the cell on the same test subjects of a row that nothing was trained for."""
    return tuple(value if name in _TESTED else None for name, value in zip(_CELL_AND_SEED, key, strict=True))


def _read_recorded(side: Side) -> dict[Key, dict[str, Recorded]]:
    """Return what the jobs behind each done cell were computed from."""
    splits = side.run.jobs.drop_duplicates("job_key").set_index("job_key")["split_digest"].to_dict()
    made = functools.cache(lambda key: recorded(side.directory / "jobs" / key, splits.get(key)))

    def record_of(job: Any) -> Recorded:
        return made(job) if isinstance(job, str) else Recorded()

    done = side.cells[side.cells["state"].eq("done")]
    columns = [done[column].map(record_of) for column in _STAGES.values()]
    return {
        key: dict(zip(_STAGES, records, strict=True))
        for key, *records in zip(list_keys(done, _CELL_AND_SEED), *columns, strict=True)
    }
