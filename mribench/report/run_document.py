"""The document of a run: which tables it has, their tidy rows, and what they come from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd

from mribench.errors import MRIBenchError, did_you_mean
from mribench.interfaces.document import Document, TableSpec, TidyColumns
from mribench.interfaces.table_source import PLACE, TableSource
from mribench.report.catalogue import choose, specs_of
from mribench.report.material import Material
from mribench.report.tables.captions import versions_of
from mribench.results.flags import BUDGET, CHANGED, COLLAPSED, FEW_VIEWS, GIVEN, ODD
from mribench.statistics.scores import ESTIMATE_COLUMNS
from mribench.wording import printable

SCHEMA = 1
"""Version of the JSON."""
_FLAGS = {
    "collapsed": COLLAPSED, "encoder_odd": ODD, "unequal_budget": BUDGET, "few_distinct_views": FEW_VIEWS,
    "encoder_changed": CHANGED, "weights_given": GIVEN,
}  # fmt: skip
"""Columns that say which footnotes belong to a row."""


COLUMNS: TidyColumns = {
    **dict.fromkeys(("table", "row", "method", "arm", "profile", "dataset", *PLACE), "string"),
    "fraction": "float64",
    "metric": "string",
    "unit": "string",
    "higher_is_better": "boolean",
    "chance": "float64",
    **{name: "Int64" if name.startswith("n_") else "float64" for name in ESTIMATE_COLUMNS},
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
    specs = choose(specs_of(material), tables or material.run.manifest.report.tables)
    return Document(
        title=material.benchmark,
        source=material,
        specs=tuple(map(with_flags, specs)),
        columns=COLUMNS,
        about=_about(material),
    )


def set_beside(document: Document[Material], given: str) -> Document[Material]:
    """Return a document of a run with one more table, of other results beside the run's.

    Args:
        document: of a run.
        given: a name that a plugin of tables has results by, or the path of a file that one reads.

    Raises:
        MRIBenchError: when no plugin knows it.
    """
    sources = document.source.sources
    known = next(filter(None, (source.beside(given) for source in sources)), None)
    if known is None:
        names = [name for source in sources for name in source.published]
        raise MRIBenchError(
            f"there are no published results '{printable(given)}'",
            f"{did_you_mean(given, names)}, or a CSV file",
        )
    about = {**document.about, **known.about}
    return replace(document, specs=(*document.specs, known.spec), about=about)


def file_document(path: Path, tables: Sequence[str], sources: Sequence[TableSource]) -> Document[Any]:
    """Return tables of a file of results that are no run's.

    Args:
        path: of the file.
        tables: names; all when empty.
        sources: the tables of plugins.

    Raises:
        MRIBenchError: for an unknown table, and for a file that no plugin of tables reads.
    """
    document = next(filter(None, (source.document(path) for source in sources)), None)
    if document is None:
        raise MRIBenchError(
            f"{path}: no plugin of tables reads such a file", "`mribench list table` names them"
        )
    known = {spec.name: spec for spec in document.specs}
    return replace(document, specs=choose(known, tables or document.names))


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
