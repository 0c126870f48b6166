"""Checks of what adds tables to a report."""

from __future__ import annotations

import re
from pathlib import Path
from typing import get_args

from mribench.interfaces.document import TableSpec
from mribench.interfaces.table import Section
from mribench.interfaces.table_source import GridSpec, TableSource
from mribench.testing.problems import require

_NAME = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")
_UNKNOWN = "nothing that anybody has"


def check_tables(source: TableSource) -> None:
    """Check what adds tables: their names and sections, and the results that it sets beside a run's.

    Raises:
        ConformanceError: at the first rule that it breaks.
    """
    require(isinstance(source, TableSource), f"expected a TableSource, got {type(source).__name__}")
    for tasks in ((), ("one",), ("one", "two", "three")):
        specs = list(source.specs(tasks))
        for spec in specs:
            _check_spec(spec)
        names = [spec.name for spec in specs]
        require(len(names) == len(set(names)), f"tables: two of one name for {len(tasks)} tasks: {names}")
        again = [spec.name for spec in source.specs(tasks)]
        require(names == again, "tables: other tables the second time")
    for name in source.published:
        beside = source.beside(name)
        if beside is None:
            require(False, f"tables: the published results '{name}' are not known to beside()")
        else:
            _check_spec(beside.spec)
    require(source.beside(_UNKNOWN) is None, f"tables: beside() takes '{_UNKNOWN}' for results")
    require(source.document(Path(_UNKNOWN)) is None, f"tables: document() takes '{_UNKNOWN}' for a file")


def _check_spec(spec: object) -> None:
    if not isinstance(spec, TableSpec | GridSpec):
        require(False, f"tables: expected a TableSpec or a GridSpec, got {type(spec).__name__}")
        return
    require(bool(_NAME.fullmatch(spec.name)), f"table '{spec.name}': a name is lower case with hyphens")
    known = get_args(Section)
    require(spec.section in known, f"table '{spec.name}': the page has no section '{spec.section}'")
