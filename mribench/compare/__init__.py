"""Two methods: the difference, whether it is real, and where it comes from.

Tables of many methods lie in ``report``.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

import pandas as pd

from mribench.compare import differences, empty, seeds, settings as other, subjects, where
from mribench.compare.pairing import Paired, paired
from mribench.compare.sides import Pair, of_one, of_two
from mribench.errors import MRIBenchError, did_you_mean
from mribench.report.model import Table
from mribench.report.render.document import Document

SCHEMA = 1
"""Version of the JSON."""
TABLES = (
    differences.NAME, where.SITES, where.SEQUENCES, subjects.SUBJECTS, subjects.ONE_OUT, seeds.NAME,
    empty.NAME, other.NAME,
)  # fmt: skip
"""What a comparison shows, in this order."""

__all__ = ["TABLES", "Pair", "Paired", "comparison_document", "of_one", "of_two", "paired"]


def comparison_document(pair: Pair, names: Sequence[str] = (), fraction: float | None = None) -> Document:
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
    found = paired(pair)
    _check_fraction(found, fraction)
    made = _makers(found, fraction)
    wanted = tuple(name for name in TABLES if name in names) or TABLES
    return Document(
        title=pair.minus,
        names=wanted,
        build=lambda name: made[name][0](),
        cells=lambda: _tidy({name: made[name][1]() for name in wanted}),
        about=_about(found),
    )


def _makers(
    found: Paired, fraction: float | None
) -> dict[str, tuple[Callable[[], list[Table]], Callable[[], pd.DataFrame]]]:
    """Return how each table and its tidy rows are made; what both need is computed once."""
    pair = found.pair
    rows = functools.cache(lambda: differences.compared(found, fraction))
    sites = functools.cache(lambda: where.by_site(found, fraction))
    sequences = functools.cache(lambda: where.by_sequence(found, fraction))
    people = functools.cache(lambda: subjects.people(found, fraction))
    by_seed = functools.cache(lambda: seeds.by_seed(found, fraction))
    counts = functools.cache(lambda: empty.counts(found, fraction))
    others = functools.cache(lambda: other.settings(pair))
    return {
        differences.NAME: (
            lambda: [differences.table(found, rows())],
            lambda: differences.frame(pair.names, rows()),
        ),
        where.SITES: (
            lambda: where.tables(found, where.SITES, sites()),
            lambda: where.frame(where.SITES, sites()),
        ),
        where.SEQUENCES: (
            lambda: where.tables(found, where.SEQUENCES, sequences()),
            lambda: where.frame(where.SEQUENCES, sequences()),
        ),
        subjects.SUBJECTS: (lambda: subjects.tables(found, people()), lambda: subjects.frame(people())),
        subjects.ONE_OUT: (
            lambda: [subjects.one_out_table(found, people())],
            lambda: subjects.one_out_frame(people()),
        ),
        seeds.NAME: (lambda: [seeds.table(found, by_seed())], lambda: seeds.frame(by_seed())),
        empty.NAME: (lambda: [empty.table(found, counts())], lambda: empty.frame(counts())),
        other.NAME: (lambda: [other.table(pair, others())], lambda: other.frame(others())),
    }


def _tidy(frames: dict[str, pd.DataFrame]) -> pd.DataFrame:
    parts = [part.assign(table=name) for name, part in frames.items()]
    columns = list(dict.fromkeys(["table", *(column for part in parts for column in part.columns)]))
    rows = [record for part in parts for record in part.to_dict("records")]
    found = pd.DataFrame(rows, columns=columns)
    counts = [name for name in columns if name.startswith("n_") or name == "seed"]
    return found.astype(dict.fromkeys(counts, "Int64")).astype(
        {name: "boolean" for name in columns if name == "higher_is_better"}
    )


def _check_fraction(found: Paired, fraction: float | None) -> None:
    first, second = (rows.heads["fraction"].dropna() for rows in (found.first, found.second))
    known = sorted(set(first) & set(second))
    if fraction is not None and fraction not in known:
        listed = ", ".join(f"{value:g}" for value in known)
        raise MRIBenchError(f"no cell of both has the fraction {fraction:g}", f"known: {listed}")


def _about(found: Paired) -> dict[str, Any]:
    sides = (found.pair.first, found.pair.second)
    return {
        "schema": SCHEMA,
        "comparison": found.pair.minus,
        **{
            place: {
                "name": side.name,
                "row": side.row,
                "benchmark": side.run.manifest.benchmark,
                "profile": side.profile,
                "results": side.directory.name,
            }
            for place, side in zip(("first", "second"), sides, strict=True)
        },
        "notes": list(found.notes),
    }
