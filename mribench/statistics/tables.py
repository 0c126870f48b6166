"""Seed × subject tables from the rows of ``subject_means``, for one row of a report or for several."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

SEED, SUBJECT, VALUE = "seed", "subject", "value"
UNTRAINED = -1
"""The seed of a row that nothing was trained for."""


@dataclass(frozen=True)
class SeedSubjectTable:
    """The scores of one method.

    Attributes:
        values: ``(S, N)``, NaN where there is none.
        seeds: S of them, sorted.
        subjects: N of them, sorted.
    """

    values: np.ndarray
    seeds: pd.Index
    subjects: pd.Index

    def finite(self) -> np.ndarray:
        """Return the values with NaN in place of infinite ones."""
        return np.where(np.isfinite(self.values), self.values, np.nan)

    @property
    def untrained(self) -> bool:
        """Whether nothing was trained for it."""
        return list(self.seeds) == [UNTRAINED]


def take_complete(table: np.ndarray) -> np.ndarray:
    """Return the part of a table ``(S, N)`` without NaN: seeds with any score, subjects with all of those."""
    there = ~np.isnan(table)
    seeds = there.any(axis=1)
    return table[seeds][:, there[seeds].all(axis=0)] if seeds.any() else np.empty((0, 0))


def make_frame(means: pd.DataFrame) -> pd.DataFrame:
    """Return the values as seeds × subjects, NaN where there is none or it is infinite.

    Args:
        means: rows of ``subject_means`` of one group.

    Raises:
        ValueError: for two values of one (seed, subject) pair.
    """
    table = make_table(means)
    seeds, subjects = (index.rename(name) for index, name in ((table.seeds, SEED), (table.subjects, SUBJECT)))
    return pd.DataFrame(table.finite(), seeds, subjects)


def make_table(means: pd.DataFrame) -> SeedSubjectTable:
    """Return the table of rows of ``subject_means`` of one group.

    Raises:
        ValueError: as ``split_tables``.
    """
    return split_tables(means, np.zeros(len(means), dtype=int), 1)[0]


def split_tables(means: pd.DataFrame, number: np.ndarray, groups: int) -> list[SeedSubjectTable]:
    """Return the table of each group of ``subject_means``.

    Args:
        means: rows of ``subject_means``.
        number: ``(rows,)`` group of each row, 0 to ``groups`` - 1.
        groups: how many there are.

    Raises:
        ValueError: for two values of one (group, seed, subject).
    """
    if not groups:
        return []
    seed, seeds = pd.factorize(means[SEED], sort=True)
    subject, subjects = pd.factorize(means[SUBJECT], sort=True)
    value = means[VALUE].to_numpy(float)
    order = np.argsort(number, kind="stable")
    ends = np.searchsorted(number[order], np.arange(1, groups))
    # groups mostly share their seeds and subjects: an index is made once
    part_of = {SEED: _make_part_of(seeds), SUBJECT: _make_part_of(subjects)}
    return [_fill(seed[rows], subject[rows], value[rows], part_of) for rows in np.split(order, ends)]


def _make_part_of(index: pd.Index) -> Callable[[np.ndarray], pd.Index]:
    """Return what takes places of an index, and gives the same object for the same ones."""
    known: dict[bytes, pd.Index] = {}

    def part(places: np.ndarray) -> pd.Index:
        key = places.tobytes()
        if key not in known:
            known[key] = pd.Index(index[places])
        return known[key]

    return part


def _fill(
    seed: np.ndarray,
    subject: np.ndarray,
    value: np.ndarray,
    part_of: Mapping[str, Callable[[np.ndarray], pd.Index]],
) -> SeedSubjectTable:
    """Return the table of rows whose seeds and subjects are places in the indices of all groups."""
    seeds, row = np.unique(seed, return_inverse=True)
    subjects, column = np.unique(subject, return_inverse=True)
    place = row * len(subjects) + column
    if len(np.unique(place)) < len(place):
        raise ValueError("expected one value per seed and subject, got several: average them first")
    values = np.full((len(seeds), len(subjects)), np.nan)
    values.flat[place] = value
    return SeedSubjectTable(values, part_of[SEED](seeds), part_of[SUBJECT](subjects))


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


def align_groups(groups: Mapping[str, pd.DataFrame]) -> Scores:
    """Return the scores of those methods that have any, over all their seeds and subjects.

    A method that nothing was trained for (seed -1 alone) has one value per subject: it stands at every seed
    of the others.

    Args:
        groups: rows of ``subject_means`` by method.
    """
    return align_tables({name: make_table(group) for name, group in groups.items()})


def align_tables(tables: Mapping[str, SeedSubjectTable]) -> Scores:
    """As ``align_groups``, of tables."""
    tables = {name: table for name, table in tables.items() if np.isfinite(table.values).any()}
    if not tables:
        return Scores([], np.empty((0, 0, 0)), pd.Index([]), pd.Index([]))
    trained = [table for table in tables.values() if not table.untrained] or list(tables.values())
    seeds = _unite([table.seeds for table in trained])
    subjects = _unite([table.subjects for table in tables.values()])
    cube = np.full((len(tables), len(seeds), len(subjects)), np.nan)
    for layer, table in zip(cube, tables.values(), strict=True):
        everywhere = table.untrained and UNTRAINED not in seeds
        rows = np.arange(len(seeds)) if everywhere else seeds.get_indexer(table.seeds)
        layer[np.ix_(rows, subjects.get_indexer(table.subjects))] = table.finite()
    return Scores(list(tables), cube, seeds, subjects)


def _unite(indices: Sequence[pd.Index]) -> pd.Index:
    """Return the values of several indices, in the order in which they come first."""
    if all(index is indices[0] or index.equals(indices[0]) for index in indices[1:]):
        return indices[0]
    return indices[0].append(list(indices[1:])).unique()
