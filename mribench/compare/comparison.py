"""A comparison: what its tables are made of, each computed once; and the tables."""

from __future__ import annotations

import functools
from dataclasses import dataclass

from mribench.compare import differences, empty, seeds, settings, subjects, where
from mribench.compare.pairing import Paired
from mribench.interfaces.document import TableSpec


@dataclass(frozen=True, eq=False)
class ComparedSides:
    """Two sides at some fraction of the labels.

    Attributes:
        paired: their scores.
        fraction: of the labels; None for all, or the largest of each task, by table.
    """

    paired: Paired
    fraction: float | None = None

    @functools.cached_property
    def differences(self) -> list[differences.Compared]:
        """The difference in each cell."""
        return differences.compared(self.paired, self.fraction)

    @functools.cached_property
    def sites(self) -> list[where.LocalDifference]:
        """The difference at each site."""
        return where.by_site(self.paired, self.fraction)

    @functools.cached_property
    def sequences(self) -> list[where.LocalDifference]:
        """The difference for each pair of sequences."""
        return where.by_sequence(self.paired, self.fraction)

    @functools.cached_property
    def people(self) -> list[subjects.People]:
        """The subjects of each cell."""
        return subjects.people(self.paired, self.fraction)

    @functools.cached_property
    def seeds(self) -> list[seeds.BySeed]:
        """The difference under each seed."""
        return seeds.by_seed(self.paired, self.fraction)

    @functools.cached_property
    def empty(self) -> list[empty.Counts]:
        """Empty masks and failures of each cell."""
        return empty.counts(self.paired, self.fraction)

    @functools.cached_property
    def settings(self) -> list[settings.DifferingSetting]:
        """What else differs."""
        return settings.settings(self.paired.pair)


SPECS: tuple[TableSpec[ComparedSides], ...] = (
    TableSpec(
        differences.NAME, "differences", lambda it: [differences.table(it.paired, it.differences)],
        lambda it: differences.frame(it.paired.pair.names, it.differences), differences.COLUMNS,
    ),
    TableSpec(
        where.SITES, "domains", lambda it: where.tables(it.paired, where.SITES, it.sites),
        lambda it: where.frame(it.sites), where.COLUMNS,
    ),
    TableSpec(
        where.SEQUENCES, "transfer", lambda it: where.tables(it.paired, where.SEQUENCES, it.sequences),
        lambda it: where.frame(it.sequences), where.SEQUENCE_COLUMNS,
    ),
    TableSpec(
        subjects.SUBJECTS, "subjects", lambda it: subjects.tables(it.paired, it.people),
        lambda it: subjects.frame(it.people), subjects.SUBJECT_COLUMNS,
    ),
    TableSpec(
        subjects.ONE_OUT, "subjects", lambda it: [subjects.one_out_table(it.paired, it.people)],
        lambda it: subjects.one_out_frame(it.people), subjects.ONE_OUT_COLUMNS,
    ),
    TableSpec(
        seeds.NAME, "differences", lambda it: [seeds.table(it.paired, it.seeds)],
        lambda it: seeds.frame(it.seeds), seeds.COLUMNS,
    ),
    TableSpec(
        empty.NAME, "failures", lambda it: [empty.table(it.paired, it.empty)],
        lambda it: empty.frame(it.empty), empty.COLUMNS,
    ),
    TableSpec(
        settings.NAME, "differences", lambda it: [settings.table(it.paired.pair, it.settings)],
        lambda it: settings.frame(it.settings), settings.COLUMNS,
    ),
)  # fmt: skip
"""What a comparison shows, in this order."""
