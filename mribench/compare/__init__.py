"""Two methods: the difference, whether it is real, and where it comes from.

Tables of many methods lie in ``report``.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from mribench.compare.comparison import SPECS, ComparedSides
from mribench.compare.pairing import Paired, paired
from mribench.compare.sides import Pair, of_one, of_two
from mribench.errors import MRIBenchError, did_you_mean
from mribench.interfaces.document import Document

SCHEMA = 1
"""Version of the JSON."""
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
    sides = (both.pair.first, both.pair.second)
    return {
        "schema": SCHEMA,
        "comparison": both.pair.minus,
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
        "notes": list(both.notes),
    }
