"""Which rows of a column are compared, and over which seeds and subjects: the same ones for all of them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from mribench.statistics.tables import SeedSubjectTable


@dataclass(frozen=True)
class Shared:
    """What the rows of a column are compared over.

    A seed counts that at least half of the rows have, and a subject that at least half of the rows scored
    under all those seeds. A row that lacks one that counts is out: over fewer seeds or without the subjects
    that it could not score, it would be compared on what suits it. So no row decides alone what counts.

    Attributes:
        seeds: that count.
        subjects: that count.
        members: the rows that have all of them.
        out: why each other row is out, such as ``16 of 20 subjects``.
    """

    seeds: pd.Index = field(default_factory=lambda: pd.Index([]))
    subjects: pd.Index = field(default_factory=lambda: pd.Index([]))
    members: tuple[str, ...] = ()
    out: Mapping[str, str] = field(default_factory=dict)

    def part_of(self, table: SeedSubjectTable) -> SeedSubjectTable:
        """Return the part of a member's table that is compared."""
        rows, columns = table.seeds.get_indexer(self.seeds), table.subjects.get_indexer(self.subjects)
        return SeedSubjectTable(table.values[np.ix_(rows, columns)], self.seeds, self.subjects)


def find_shared(tables: Mapping[str, SeedSubjectTable]) -> Shared:
    """Return what the rows of a column are compared over.

    Args:
        tables: the scores of each row; rows whose jobs are not done are not among them.
    """
    if _are_alike(list(tables.values())):
        one = next(iter(tables.values()))
        return Shared(one.seeds, one.subjects, tuple(tables))
    scored = {row: pd.DataFrame(table.values, table.seeds, table.subjects) for row, table in tables.items()}
    seeds = _find_in_half(table.dropna(how="all").index for table in scored.values())
    whole = {
        row: table.columns[table.reindex(seeds).notna().all()] if len(seeds) else table.columns[:0]
        for row, table in scored.items()
    }
    subjects = _find_in_half(whole.values())
    out = {}
    for row, table in scored.items():
        own = table.dropna(how="all").index
        if len(seeds.difference(own)):
            out[row] = f"{len(seeds.intersection(own))} of {len(seeds)} seeds"
        elif len(subjects.difference(whole[row])):
            out[row] = f"{len(subjects.intersection(whole[row]))} of {len(subjects)} subjects"
    members = tuple(row for row in scored if row not in out)
    return Shared(seeds, subjects, members, out)


def _are_alike(tables: Sequence[SeedSubjectTable]) -> bool:
    """Return whether all have the same seeds and subjects, and lack nothing: the usual case, quickly."""
    return bool(tables) and all(
        table.seeds.equals(tables[0].seeds)
        and table.subjects.equals(tables[0].subjects)
        and not np.isnan(table.values).any()
        for table in tables
    )


def _find_in_half(owned: Iterable[pd.Index]) -> pd.Index:
    """Return what is in at least half of the indices, sorted."""
    indices = list(owned)
    counts = pd.Series([item for index in indices for item in index], dtype=object).value_counts()
    return pd.Index(sorted(counts.index[counts.ge(len(indices) / 2)]))
