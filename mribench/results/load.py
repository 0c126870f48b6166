"""Reads a results directory: manifests of plans, states of jobs, score rows and job rows."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa

from mribench.errors import StoreError
from mribench.results import Store
from mribench.results.digests import of_one_split
from mribench.results.label_subsets import of_one_choice
from mribench.results.manifest import DamagedPlan, Manifest, PlannedJob, read_manifest
from mribench.results.merged import merge
from mribench.results.reading import UnreadableRows, read_rows, read_scores
from mribench.results.records import (
    CELL_COLUMNS,
    EMBEDDED_COLUMNS,
    EVALUATED_SCHEMA,
    INVARIANCE_SCHEMA,
    JOB_SCHEMA,
    SCORE_SCHEMA,
)
from mribench.results.specification import JobKind
from mribench.results.status import JobStatus
from mribench.statistics.marking import Marking
from mribench.wording import one_line

logger = logging.getLogger("mribench")

_MOST_DAMAGED = 20
DESCRIPTION = ("views", "objective", "encoder", "n_train_subjects")
IDENTITY = [name for name in CELL_COLUMNS if name not in DESCRIPTION]
"""The columns that say which cell a row is of; the others describe it."""
EMBEDDED_IDENTITY = [name for name in EMBEDDED_COLUMNS if name not in DESCRIPTION]
"""Those that say which encoder and cohort an embed job is about."""


@dataclass(frozen=True)
class RunData:
    """What a report is made of.

    Attributes:
        manifest: of the plan, or of several merged.
        scores: rows of ``SCORE_SCHEMA`` of the done jobs, each cell and seed once; texts are categorical.
        jobs: rows of ``JOB_SCHEMA`` of the done jobs.
        cells: one row per planned evaluate job: ``CELL_COLUMNS``, ``key``, ``adapt`` and ``pretrain`` (keys
            of the jobs behind it), ``state``, and ``blame``, the id of the job that failed, its own or one
            that it waits for.
        status: state of each job by key.
        reasons: why a job failed, by id.
        superseded: older results of the same cells that were left aside.
        mixed: one sentence for each family of cells that has results of several splits, of which only the
            newest result's are shown.
        invariance: rows of ``INVARIANCE_SCHEMA`` of the done embed jobs, each encoder and cohort once.
        embeds: one row per planned embed job: ``EMBEDDED_COLUMNS``, ``key``, ``pretrain``, ``state``,
            ``blame``, and ``superseded``, true where a newer result of the same encoder and cohort is there.
        variants: as ``cells``, of the benchmark with one known defect more; they are in no other attribute.
        variant_scores: as ``scores``, of those.
        marking: which cells are marked.
    """

    manifest: Manifest
    scores: pd.DataFrame
    jobs: pd.DataFrame
    cells: pd.DataFrame
    status: dict[str, str]
    reasons: dict[str, str]
    superseded: int = 0
    mixed: tuple[str, ...] = ()
    invariance: pd.DataFrame = field(default_factory=INVARIANCE_SCHEMA.empty_table().to_pandas)
    embeds: pd.DataFrame = field(default_factory=lambda: _list_embeds((), {}, {}, {}))
    variants: pd.DataFrame = field(default_factory=lambda: _list_cells((), {}, {}))
    variant_scores: pd.DataFrame = field(default_factory=SCORE_SCHEMA.empty_table().to_pandas)
    marking: Marking = "ties"


def load_run(
    directory: Path, digest: str | None = None, inspected: Mapping[str, JobStatus] | None = None
) -> RunData:
    """Read a benchmark's results.

    Args:
        directory: ``<results>/<benchmark>``.
        digest: of the settings, to read one plan; all plans when None. Where several plans have results
            for one cell, the newest is used; results of other splits are never shown beside it.
        inspected: how jobs stand, by key, as ``Store.inspect`` has just said; others are inspected.

    Raises:
        StoreError: when there are none, or a plan or the folder is of another schema version. A damaged file
            is its own job's problem: that one is not done, and a warning names it.
    """
    store = Store(directory)
    store.check()
    manifests = read_manifests(directory, digest)
    manifest = merge(manifests)
    keys = {job.key for job in manifest.jobs if job.key}
    known = inspected or {}
    statuses = {key: known.get(key) or store.inspect(key) for key in keys}
    while True:
        try:
            run = _load(directory, manifest, statuses, several_plans=len(manifests) > 1)
        except UnreadableRows as error:
            statuses |= {key: JobStatus("damaged", reason) for key, reason in error.damaged.items()}
        else:
            _say_damaged(manifest.jobs, statuses)
            return run


def _say_damaged(planned: Sequence[PlannedJob], statuses: Mapping[str, JobStatus]) -> None:
    """Name the jobs that are left out because a file of theirs is damaged."""
    names = {job.key: job.id for job in planned if job.key}
    found = {key: name for key, name in names.items() if statuses[key].state == "damaged"}
    for key, name in list(found.items())[:_MOST_DAMAGED]:
        reason = statuses[key].reason
        logger.warning("damaged: %s: %s; left out until it is run again", name, reason)
    if len(found) > _MOST_DAMAGED:
        logger.warning("damaged: %d more jobs", len(found) - _MOST_DAMAGED)


def _load(
    directory: Path, manifest: Manifest, statuses: Mapping[str, JobStatus], *, several_plans: bool
) -> RunData:
    planned = manifest.jobs
    status, blame = _find_blocked(planned, {key: each.state for key, each in statuses.items()})
    written = {key: each.written for key, each in statuses.items()}
    cells, superseded, mixed = _keep_newest(
        _list_cells(planned, status, blame), directory, written, several_plans=several_plans
    )
    done = {key for key, state in status.items() if state == "done"}
    varied = cells["profile"].isin(manifest.variants)
    finished = cells["key"].isin(done)
    shown, of_variants = cells[finished & ~varied], cells[finished & varied]
    trained = [job.key for job in planned if job.key in done and job.kind != "evaluate"]
    embeds = _list_embeds(planned, status, blame, written)
    embedded = [key for key in embeds.loc[~embeds["superseded"], "key"].dropna() if key in done]
    jobs = directory / "jobs"
    trained_rows = read_rows(jobs, dict.fromkeys(trained), "job.parquet", JOB_SCHEMA)
    evaluated_rows = read_rows(jobs, shown["key"], "job.parquet", EVALUATED_SCHEMA)
    evaluated_rows = evaluated_rows.reindex(columns=JOB_SCHEMA.names)
    return RunData(
        manifest=manifest,
        scores=read_scores(jobs, shown),
        jobs=pd.concat([trained_rows, evaluated_rows], ignore_index=True),
        cells=cells[~varied].reset_index(drop=True),
        status=status,
        reasons={job.id: one_line(statuses[job.key].said) for job in planned if job.key},
        superseded=superseded,
        mixed=mixed,
        invariance=read_rows(jobs, embedded, "invariance.parquet", INVARIANCE_SCHEMA),
        embeds=embeds,
        variants=cells[varied].reset_index(drop=True),
        variant_scores=read_scores(jobs, of_variants),
    )


def read_manifests(directory: Path, digest: str | None = None) -> list[Manifest]:
    """Return the manifests of a benchmark's plans, or of one of them, oldest first.

    Raises:
        StoreError: as ``load_run``.
    """
    manifests, damaged = [], []
    for path in _list_plans(directory, digest):
        try:
            manifests.append(read_manifest(path))
        except DamagedPlan as error:
            damaged.append(error)
    if not manifests:
        raise damaged[0]
    for each in damaged:
        logger.warning("%s; what it planned and no other plan does is left out", each.message)
    return sorted(manifests, key=lambda manifest: manifest.created)


def _list_plans(directory: Path, digest: str | None) -> list[Path]:
    folder = directory / "plans"
    if digest is not None:
        path = folder / f"{digest}.json"
        if path.is_file():
            return [path]
        raise StoreError(
            f"no run with these settings in {directory}", "mribench run FILE, with the same --set"
        )
    paths = sorted(folder.glob("*.json"))
    if not paths:
        inner = sorted(path.parent.name for path in directory.glob("*/plans"))
        hint = f"give one benchmark's folder: {', '.join(inner)}" if inner else "mribench run FILE makes them"
        raise StoreError(f"{directory} holds no results (no plans/*.json)", hint)
    return paths


def _find_blocked(
    planned: Sequence[PlannedJob], states: Mapping[str, str]
) -> tuple[dict[str, str], dict[str, str]]:
    """Return the states, and the id of the job to blame; who waits for a failed job is failed itself."""
    status = dict(states)
    blame: dict[str, str] = {}
    for job in planned:  # dependencies come first
        if job.key is None:
            continue
        if status[job.key] == "failed":
            blame.setdefault(job.key, job.id)
        culprits = [need for need in job.needs if status.get(need) == "failed"]
        if culprits and status[job.key] in ("todo", "interrupted"):
            status[job.key], blame[job.key] = "failed", blame[culprits[0]]
    return status, blame


def _list_rows(
    planned: Sequence[PlannedJob], kind: JobKind, status: Mapping[str, str], blame: Mapping[str, str]
) -> list[dict[str, Any]]:
    """Return the cell of each planned job of a kind, with its keys, its state, and whom to blame for that."""
    return [
        {
            **dict(job.cell),
            "key": job.key,
            "adapt": job.adapt,
            "pretrain": job.pretrain,
            "state": status.get(job.key or "", "todo"),
            "blame": blame.get(job.key or "", ""),
        }
        for job in planned
        if job.cell and job.kind == kind
    ]


def _list_embeds(
    planned: Sequence[PlannedJob],
    status: Mapping[str, str],
    blame: Mapping[str, str],
    written: Mapping[str, str],
) -> pd.DataFrame:
    rows = _list_rows(planned, "embed", status, blame)
    frame = pd.DataFrame(rows, columns=[*EMBEDDED_COLUMNS, "key", "pretrain", "state", "blame"])
    frame = frame.drop_duplicates([*EMBEDDED_IDENTITY, "key"], keep="last", ignore_index=True)
    return frame.assign(superseded=_find_superseded(frame, EMBEDDED_IDENTITY, written))


def _find_superseded(frame: pd.DataFrame, identity: Sequence[str], written: Mapping[str, str]) -> pd.Series:
    """Return of which jobs there is a newer one: the last that was finished counts, else the last planned."""
    done = frame["state"].eq("done")
    ends = frame["key"].map(written).where(done, "")
    order = frame.assign(done=done, ends=ends).sort_values(["done", "ends"], kind="stable")
    return order.duplicated(identity, keep="last").reindex(frame.index)


def _list_cells(
    planned: Sequence[PlannedJob], status: Mapping[str, str], blame: Mapping[str, str]
) -> pd.DataFrame:
    rows = _list_rows(planned, "evaluate", status, blame)
    frame = pd.DataFrame(rows, columns=[*CELL_COLUMNS, "key", "adapt", "pretrain", "state", "blame"])
    types = pa.schema(CELL_COLUMNS).empty_table().to_pandas().dtypes.to_dict()
    return frame.astype({name: "float64" if kind.kind in "if" else kind for name, kind in types.items()})


def _keep_newest(
    cells: pd.DataFrame, directory: Path, written: Mapping[str, str], *, several_plans: bool
) -> tuple[pd.DataFrame, int, tuple[str, ...]]:
    """Keep one job per cell and seed: the newest that is done, else the last planned; never of two splits.

    Returns:
        The cells, how many done jobs a newer one replaces, and what was left out for its split.
    """
    cells = cells.drop_duplicates([*IDENTITY, "key"], keep="last", ignore_index=True)
    every = int(cells["state"].eq("done").sum())
    mixed: dict[str, int] = {}
    if several_plans:
        cells, other_draws = of_one_choice(cells, written)
        cells, mixed = of_one_split(cells, IDENTITY, directory, written)
        mixed = other_draws | mixed
    kept = cells[~_find_superseded(cells, IDENTITY, written)]
    superseded = every - sum(mixed.values()) - int(kept["state"].eq("done").sum())
    return kept.reset_index(drop=True), superseded, tuple(mixed)
