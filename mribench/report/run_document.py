"""The document of a run: which tables it has, their tidy rows, and what they come from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pandas as pd

from mribench.interfaces.document import Document, TableSpec, TidyColumns, TidyType
from mribench.interfaces.table_source import PLACE
from mribench.report.catalogue import chosen
from mribench.report.material import Material
from mribench.report.tables.captions import versions_of
from mribench.results.flags import BUDGET, CHANGED, COLLAPSED, FEW_VIEWS, ODD
from mribench.statistics.scores import ESTIMATE_COLUMNS

SCHEMA = 1
"""Version of the JSON."""
_FLAGS = {
    "collapsed": COLLAPSED, "encoder_odd": ODD, "unequal_budget": BUDGET, "few_distinct_views": FEW_VIEWS,
    "encoder_changed": CHANGED,
}  # fmt: skip
"""Columns that say which footnotes belong to a row."""


def _counted(name: str) -> TidyType:
    return "Int64" if name.startswith("n_") else "float64"


COLUMNS: TidyColumns = {
    **dict.fromkeys(("table", "row", "method", "arm", "profile", "dataset", *PLACE), "string"),
    "fraction": "float64",
    "metric": "string",
    "unit": "string",
    "higher_is_better": "boolean",
    "chance": "float64",
    **{name: _counted(name) for name in ESTIMATE_COLUMNS},
    **dict.fromkeys(("jobs_expected", "jobs_done", "jobs_failed", "jobs_waiting"), "Int64"),
    **dict.fromkeys(("status", "out", "mark"), "string"),
    **dict.fromkeys(_FLAGS, "boolean"),
}
"""Columns of the tidy rows of every table of a run."""


def run_document(material: Material, tables: Sequence[str]) -> Document[Material]:
    """Return tables of a run and their cells.

    Args:
        material: the results.
        tables: names, as in ``report: tables:``; those of the benchmark file when empty.

    Raises:
        MRIBenchError: for an unknown table.
    """
    specs = chosen(material, tables or material.run.manifest.report.tables)
    return Document(
        title=material.benchmark,
        source=material,
        specs=tuple(map(with_flags, specs)),
        columns=COLUMNS,
        about=_about(material),
    )


def with_flags(spec: TableSpec[Material]) -> TableSpec[Material]:
    """Return a table whose tidy rows say which footnotes belong to their row."""

    def rows(material: Material) -> pd.DataFrame:
        cells = spec.tidy(material)
        signs = cells["row"].map(material.flags.of).astype(str)
        return cells.assign(**{name: signs.str.contains(sign) for name, sign in _FLAGS.items()})

    return replace(spec, rows=rows, columns=spec.tidy_columns)


def _about(material: Material) -> dict[str, Any]:
    """Return what the cells of a run come from."""
    run = material.run
    return {
        "schema": SCHEMA,
        "benchmark": run.manifest.benchmark,
        "profiles": run.manifest.profiles,
        "defects": run.manifest.defects_by_profile(),
        "seeds": run.manifest.seeds,
        "superseded": run.superseded,
        "mixed": list(run.mixed),
        "versions": versions_of(run),
        "notes": [sentence.text for sentence in material.flags.footnotes],
    }
