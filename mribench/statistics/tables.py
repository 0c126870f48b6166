"""Seed × subject tables from the rows of ``subject_means``, for one row of a report or for several."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

SEED, SUBJECT, VALUE = "seed", "subject", "value"
UNTRAINED = -1
"""The seed of a row that nothing was trained for."""


def seed_subject_table(means: pd.DataFrame) -> pd.DataFrame:
    """Return the values as seeds × subjects, NaN where there is none or it is infinite.

    Args:
        means: rows of ``subject_means`` of one group.

    Raises:
        ValueError: for two values of one (seed, subject) pair.
    """
    if means.duplicated([SEED, SUBJECT]).any():
        raise ValueError("expected one value per seed and subject, got several: average them first")
    table = means.set_index([SEED, SUBJECT])[VALUE].unstack(SUBJECT)
    return table.astype(float).where(np.isfinite(table.astype(float)))


@dataclass(frozen=True)
class Scores:
    """Scores of several methods over the same seeds and subjects.

    Attributes:
        names: the methods, M of them.
        cube: ``(M, S, N)``, NaN where there is no score.
        seeds: their seeds, S.
        subjects: their subjects, N.
    """

    names: list[str]
    cube: np.ndarray
    seeds: pd.Index
    subjects: pd.Index

    def complete(self) -> Scores:
        """Return the part that all methods share, without NaN.

        Seeds with any score of every method, and the subjects that every method scored under all of those.
        """
        there = ~np.isnan(self.cube)
        seeds = there.any(axis=2).all(axis=0) if self.names else np.zeros(0, bool)
        subjects = there[:, seeds].all(axis=(0, 1)) & seeds.any()
        return Scores(
            self.names, self.cube[:, seeds][:, :, subjects], self.seeds[seeds], self.subjects[subjects]
        )

    def difference(self) -> Scores:
        """Return the first method minus the second; nothing where there are not two."""
        if len(self.names) < 2:
            return Scores([], np.empty((0, 0, 0)), pd.Index([]), pd.Index([]))
        return Scores(["difference"], (self.cube[0] - self.cube[1])[None], self.seeds, self.subjects)

    def table(self) -> np.ndarray:
        """Return the ``(S, N)`` of the only method; ``(0, 0)`` where there is none."""
        return self.cube[0] if self.names else np.empty((0, 0))


def aligned(groups: Mapping[str, pd.DataFrame]) -> Scores:
    """Return the scores of those methods that have any, over all their seeds and subjects.

    A method that nothing was trained for (seed -1 alone) has one value per subject: it stands at every seed
    of the others.

    Args:
        groups: rows of ``subject_means`` by method.
    """
    tables = {name: seed_subject_table(group) for name, group in groups.items() if len(group)}
    tables = {name: table for name, table in tables.items() if table.notna().to_numpy().any()}
    if not tables:
        return Scores([], np.empty((0, 0, 0)), pd.Index([]), pd.Index([]))
    trained = [table for table in tables.values() if not _untrained(table)] or list(tables.values())
    seeds = pd.Index(list(dict.fromkeys(seed for table in trained for seed in table.index)))
    subjects = pd.Index(list(dict.fromkeys(name for table in tables.values() for name in table.columns)))
    layers = []
    for table in tables.values():
        wide = table.reindex(columns=subjects)
        everywhere = _untrained(table) and UNTRAINED not in seeds
        layers.append(
            np.repeat(wide.to_numpy(), len(seeds), axis=0) if everywhere else wide.reindex(seeds).to_numpy()
        )
    return Scores(list(tables), np.stack(layers), seeds, subjects)


def _untrained(table: pd.DataFrame) -> bool:
    return list(table.index) == [UNTRAINED]
