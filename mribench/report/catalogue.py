"""The tables of a report: one list, which the command line, the file, the page and the data formats read."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence

import pandas as pd

from mribench.errors import MRIBenchError, PluginError, did_you_mean
from mribench.interfaces.document import Source, TableSpec
from mribench.interfaces.table_source import GridSpec, Question, TableSource
from mribench.report.material import Material
from mribench.report.tables.budget import budget_frame, budget_table
from mribench.report.tables.defect_effects import defects_frame
from mribench.report.tables.defects import defects_table
from mribench.report.tables.differences import pair_frame, pair_table
from mribench.report.tables.failures import failure_tables
from mribench.report.tables.gaps import gap_rows, gap_table
from mribench.report.tables.grids import (
    TRANSFER,
    grid_frame,
    grid_table,
    leaderboard,
    transfer,
)
from mribench.report.tables.invariance import invariance_frame, invariance_table
from mribench.report.tables.invariance_ratio import ratio_rows, ratio_table
from mribench.report.tables.label_efficiency import area_rows, area_table
from mribench.report.tables.labels import label_rows, label_tables
from mribench.report.tables.learning_rates import learning_rate_frame, learning_rate_table
from mribench.report.tables.over_identity import over_identity_frame, over_identity_table
from mribench.report.tables.overview import overview, overview_rows
from mribench.report.tables.power import POWER_COLUMNS, power_frame, power_table
from mribench.report.tables.times import time_table
from mribench.results.cells import LEADERBOARD
from mribench.wording import printable

Spec = TableSpec[Material]
RESERVED = ("against", "tables", "cells")
"""The table of ``--against``, and files of a saved report that are of all tables."""


def _cells_of(question: Question) -> Callable[[Material], pd.DataFrame]:
    return lambda material: material.with_cohort(material.cells(question))


BUILT_IN: tuple[Spec, ...] = (
    TableSpec("leaderboard", "results", lambda it: [leaderboard(it)], _cells_of(LEADERBOARD)),
    TableSpec(
        "over-identity", "results", lambda it: [over_identity_table(it)],
        lambda it: it.with_cohort(over_identity_frame(it)),
        {"low": "float64", "high": "float64", "p": "float64", "d_z": "float64", "p_above": "float64",
         "scope": "string", "seed_low": "float64", "seed_high": "float64"},
    ),
    TableSpec("transfer", "transfer", transfer, _cells_of(TRANSFER)),
    TableSpec(
        "invariance", "embeddings", lambda it: [invariance_table(it)], lambda it: invariance_frame(it.run)
    ),
    TableSpec(
        "defects", "defects", lambda it: [defects_table(it.run)],
        lambda it: defects_frame(it.run).rename(columns={"difference": "mean"}),
        {"without": "float64", "with_defect": "float64", "low": "float64", "high": "float64",
         "verdict": "string", "how": "string", "replaced_by": "string", "n_arms": "Int64",
         "n_subjects_with": "Int64", "gap_first": "string", "gap_second": "string",
         "gap_without": "float64", "gap_with_defect": "float64", "n_significant": "Int64",
         "n_tests": "Int64"},
    ),
    TableSpec("budget", "training", lambda it: [budget_table(it)], budget_frame),
    TableSpec(
        "learning-rates", "training", learning_rate_table, learning_rate_frame,
        {"lr": "float64", "lr_factor": "float64", "chosen": "boolean", "n_rows": "Int64",
         "n_failed": "Int64"},
        on_page=True,
    ),
    TableSpec("at-a-glance", "results", overview, overview_rows, {"rank": "Int64"}, on_page=True),
    TableSpec(
        "differences", "differences", pair_table, pair_frame,
        {"second": "string", "p": "float64", "d_z": "float64", "p_above": "float64", "n_pairs": "Int64",
         "scope": "string", "p_checkpoints": "float64"},
        on_page=True,
    ),
    TableSpec("power", "differences", power_table, power_frame, POWER_COLUMNS, on_page=True),
    TableSpec(
        "label-efficiency", "efficiency", area_table, area_rows, {"fractions": "string"}, on_page=True
    ),
    TableSpec(
        "domain-gap", "domains", gap_table, gap_rows,
        {"home": "string", "pairing": "string", "p": "float64", "mean_home": "float64",
         "mean_away": "float64"},
        on_page=True,
    ),
    TableSpec("sequence-transfer", "transfer", ratio_table, ratio_rows, {"part": "string"}, on_page=True),
    TableSpec("labels", "labels", label_tables, label_rows, {"label": "string"}, on_page=True),
    TableSpec("time", "training", lambda it: [time_table(it)], on_page=True),
    TableSpec("failures", "failures", failure_tables, on_page=True),
)  # fmt: skip
"""The tables of mribench itself, in the order of a page, each with the columns that its tidy rows have beside
those of every table."""


def taken_names(tasks: Sequence[str], sources: Sequence[TableSource] = ()) -> list[str]:
    """Return the names that a layout of a benchmark file cannot have, those of tables first.

    Args:
        tasks: names of the benchmark's tasks.
        sources: the tables of plugins.

    Raises:
        PluginError: when two of the tables have one name.
    """
    names = [spec.name for spec in (*BUILT_IN, *_of_plugins(tasks, sources))]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice:
        raise PluginError(f"there are two tables '{twice}'", "uninstall the plugin of one of them")
    return [*names, *RESERVED]


def specs_of(material: Material) -> dict[str, Spec]:
    """Return the tables that some results can make, by name: built in, of plugins, of the benchmark file."""
    tasks = list(material.run.manifest.tasks)
    taken_names(tasks, material.sources)
    own = itertools.starmap(GridSpec, material.run.manifest.report.layouts.items())
    specs = [*BUILT_IN, *_of_plugins(tasks, material.sources), *map(_spec_of_grid, own)]
    return {spec.name: spec for spec in specs}


def choose(known: Mapping[str, TableSpec[Source]], names: Sequence[str]) -> tuple[TableSpec[Source], ...]:
    """Return the tables of some names, each once.

    Raises:
        MRIBenchError: for an unknown name.
    """
    for name in names:
        if name not in known:
            raise MRIBenchError(f"there is no table '{printable(name)}'", did_you_mean(name, known))
    return tuple(known[name] for name in dict.fromkeys(names))


def _of_plugins(tasks: Sequence[str], sources: Sequence[TableSource]) -> Iterator[Spec]:
    for source in sources:
        for spec in source.specs(tasks):
            yield _spec_of_grid(spec) if isinstance(spec, GridSpec) else spec


def _spec_of_grid(grid: GridSpec) -> Spec:
    return TableSpec(
        grid.name,
        grid.section,
        lambda material: [grid_table(material, grid)],
        lambda material: material.with_cohort(grid_frame(material, grid)),
    )
