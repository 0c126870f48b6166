"""Two methods: the difference, whether it is real, and where it comes from.

Tables of many methods lie in ``report``.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from mribench.compare import differences, empty, settings, subjects, where
from mribench.compare.pairing import Paired, paired
from mribench.compare.sides import Pair, Side, of_one, of_two
from mribench.errors import MRIBenchError, did_you_mean
from mribench.interfaces.document import Document, TableSpec

SCHEMA = 1
"""Version of the JSON."""
Part = TypeVar("Part")


def _once(compare: Callable[[Paired, float | None], Part]) -> functools.cached_property[Part]:
    """Return a property of compared sides that is computed once."""
    return functools.cached_property(lambda sides: compare(sides.paired, sides.fraction))


@dataclass(frozen=True, eq=False)
class ComparedSides:
    """Two sides at some fraction of the labels, and what the tables are made of.

    Attributes:
        paired: their scores.
        fraction: of the labels; None for all, or the largest of each task, by table.
    """

    paired: Paired
    fraction: float | None = None

    differences = _once(differences.compared)
    sites = _once(where.by_site)
    sequences = _once(where.by_sequence)
    people = _once(subjects.people)
    seeds = _once(where.by_seed)
    empty = _once(empty.counts)
    settings = _once(lambda paired, _: settings.settings(paired.pair))


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
        where.SEEDS, "differences", lambda it: [where.seeds_table(it.paired, it.seeds)],
        lambda it: where.seeds_frame(it.seeds), where.SEED_COLUMNS,
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
TABLES = tuple(spec.name for spec in SPECS)

__all__ = ["TABLES", "Pair", "Paired", "comparison_document", "of_one", "of_two", "paired"]


def comparison_document(
    pair: Pair, names: Sequence[str] = (), fraction: float | None = None
) -> Document[ComparedSides]:
    """Return the tables of a comparison and their tidy rows.

    Args:
        pair: from ``of_one`` or ``of_two``.
        names: of ``TABLES``; all when empty.
        fraction: of the labels. Where None, ``difference``, ``seeds`` and ``empty`` show all, and the others
            the largest of each task.

    Raises:
        MRIBenchError: for an unknown table or fraction, or where the two share no cell.
    """
    for name in names:
        if name not in TABLES:
            raise MRIBenchError(f"there is no table '{name}' of a comparison", did_you_mean(name, TABLES))
    both = paired(pair)
    _check_fraction(both, fraction)
    return Document(
        title=pair.minus,
        source=ComparedSides(both, fraction),
        specs=tuple(spec for spec in SPECS if not names or spec.name in names),
        columns={"table": "string"},
        about=_about(both),
    )


def _check_fraction(both: Paired, fraction: float | None) -> None:
    first, second = (rows.heads["fraction"].dropna() for rows in (both.first, both.second))
    known = sorted(set(first) & set(second))
    if fraction is not None and fraction not in known:
        listed = ", ".join(f"{value:g}" for value in known)
        raise MRIBenchError(f"no cell of both has the fraction {fraction:g}", f"known: {listed}")


def _about(both: Paired) -> dict[str, Any]:
    sides = {"first": both.pair.first, "second": both.pair.second}
    described = {place: _describe(side) for place, side in sides.items()}
    return {"schema": SCHEMA, "comparison": both.pair.minus, **described, "notes": list(both.notes)}


def _describe(side: Side) -> dict[str, str]:
    return {
        "name": side.name,
        "row": side.row,
        "benchmark": side.run.manifest.benchmark,
        "profile": side.profile,
        "results": side.directory.name,
    }
