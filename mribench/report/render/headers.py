"""Headers of columns in levels, with neighbours of the same name under one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from mribench.interfaces.table import Column


@dataclass(frozen=True)
class Span:
    """A header over the columns ``start`` to ``stop - 1``."""

    text: str
    start: int
    stop: int

    @property
    def width(self) -> int:
        """How many columns it is over."""
        return self.stop - self.start


def levels(columns: Sequence[Column]) -> list[list[Span]]:
    """Return the headers of columns from the outermost level to the innermost.

    Neighbours share a header where it and all headers above it are the same; at the innermost level each
    column has its own. Columns with fewer levels than others have empty headers below.
    """
    depth = max((len(column.header) for column in columns), default=0)
    full = [(*column.header, *[""] * (depth - len(column.header))) for column in columns]
    by_level: list[list[Span]] = []
    for level in range(depth):
        spans: list[Span] = []
        for place, header in enumerate(full):
            same = level < depth - 1 and place > 0 and full[place - 1][: level + 1] == header[: level + 1]
            if same:
                spans[-1] = Span(header[level], spans[-1].start, place + 1)
            else:
                spans.append(Span(header[level], place, place + 1))
        by_level.append(spans)
    return by_level


def groups(headers: Sequence[tuple[str, ...]]) -> list[int]:
    """Return the places of the rows at which a new group begins, the first row's not included.

    Rows of one group have the first of their several headers in common; where every row has its own, or
    all have the same, there are no groups.
    """
    firsts = [header[0] for header in headers]
    if not headers or len(headers[0]) < 2 or len(set(firsts)) in (1, len(firsts)):
        return []
    return [place for place in range(1, len(firsts)) if firsts[place] != firsts[place - 1]]
