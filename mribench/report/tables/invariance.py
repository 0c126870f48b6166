"""The table ``invariance``: what the embeddings know of sequence and site beside the subject."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import pandas as pd

from mribench.interfaces.table import NOTHING_PLANNED, Cell, Header, Sentence, Table, said, table_of
from mribench.report.material import Material
from mribench.report.sentences import claim
from mribench.report.tables.captions import failed_jobs, incomplete, seeds_of_frame, superseded
from mribench.results.cells import cell_statuses, count_progress, fill_counts, row_labels
from mribench.results.load import RunData
from mribench.results.measures import MEASURES
from mribench.statistics import estimate_groups, mark
from mribench.statistics.scores import ESTIMATE_COLUMNS
from mribench.wording import count

_PLACE = ["dataset", "split_digest"]
_BY = ["row", "method", "arm", *_PLACE]
_MARKS = (
    "Bold: best; underlined: second; of all rows, by unrounded means, without incomplete cells; measures "
    "without an arrow are not compared."
)
_COLLAPSE = (
    "An encoder that maps everything to one point is invariant to everything: read similarity:within and "
    "decode beside retrieval and effective rank."
)


def invariance_table(material: Material) -> Table:
    """Encoders as rows, cohort × measure as columns."""
    frame = invariance_frame(material.run)
    several = frame.groupby("dataset")["split_digest"].nunique().gt(1).to_dict()
    chances = frame.groupby([*_PLACE, "metric"])["chance"].mean().to_dict()
    cells: list[Any] = list(frame.itertuples(index=False))
    placed = [((cell.row,), _header(cell, several, chances), _cell(cell)) for cell in cells]
    return table_of(
        "invariance",
        f"{material.benchmark}: invariance of the embeddings",
        ("method",),
        placed,
        _caption(material, frame) if cells else (NOTHING_PLANNED,),
        rows=[(row,) for row in dict.fromkeys(frame.sort_values("row_order", kind="stable")["row"])],
        flags=material.flags.of,
    )


def invariance_frame(run: RunData) -> pd.DataFrame:
    """Return one row per cell: row, cohort and measure.

    Columns: ``row``, ``method``, ``arm``, ``dataset``, ``split_digest`` (other test subjects make another
    column of the table), ``metric``, ``unit``, ``higher_is_better``, ``chance``, the fields of ``Estimate``,
    ``jobs_expected``, ``jobs_done``, ``jobs_failed``, ``jobs_waiting``, ``blame``, ``status``, ``mark``,
    ``row_order``.
    """
    planned = run.embeds[~run.embeds["superseded"].astype(bool)]
    if planned.empty:
        return pd.DataFrame(
            columns=[*_BY, "metric", "chance", *ESTIMATE_COLUMNS, "status", "mark", "row_order"]
        )
    planned = planned.assign(row=row_labels(planned, run.manifest), split_digest=_digests(planned, run))
    labels = planned.dropna(subset=["key"]).drop_duplicates("key").set_index("key")["row"]
    rows = run.invariance.assign(row=run.invariance["job_key"].map(labels)).rename(
        columns={"measure": "metric"}
    )
    estimated = pd.concat([_of_subjects(rows), _of_sets(rows)], ignore_index=True)
    measures = pd.DataFrame({"metric": list(MEASURES)})
    cells = count_progress(planned, _BY).merge(measures, how="cross")
    frame = fill_counts(cells.merge(estimated, on=[*_BY, "metric"], how="left"))
    frame["unit"] = ""
    frame["higher_is_better"] = [MEASURES[name].higher_is_better for name in frame["metric"]]
    frame["status"] = cell_statuses(frame)
    frame["mark"] = "none" if run.marking == "none" else _marks(frame)
    return _ordered(frame, run)


def _digests(planned: pd.DataFrame, run: RunData) -> pd.Series:
    """Return whom each job measured; one that is not done is taken to measure the cohort's last subjects."""
    known = dict(zip(run.invariance["job_key"], run.invariance["split_digest"], strict=True))
    last = {row.dataset: known[row.key] for row in planned.itertuples(index=False) if row.key in known}
    digests = [known.get(row.key, last.get(row.dataset, "")) for row in planned.itertuples(index=False)]
    return pd.Series(digests, index=planned.index, dtype=object)


def _of_subjects(rows: pd.DataFrame) -> pd.DataFrame:
    """Estimates of the measures that each subject has: crossed over seeds and subjects."""
    per_subject = [measure.id for measure in MEASURES.values() if measure.per_subject]
    mine = rows[rows["metric"].isin(per_subject) & rows["subject"].ne("")]
    if mine.empty:
        return pd.DataFrame(columns=[*_BY, "metric", *ESTIMATE_COLUMNS, "chance"])
    estimated = estimate_groups(mine.assign(session="", penalty=mine["value"]), [*_BY, "metric"])
    chance = mine.groupby([*_BY, "metric"], as_index=False)["chance"].mean()
    return estimated.merge(chance, on=[*_BY, "metric"])


def _of_sets(rows: pd.DataFrame) -> pd.DataFrame:
    """Means and standard errors over seeds of the measures that the whole set has."""
    people = rows[rows["subject"].ne("")].groupby(_PLACE)["subject"].nunique()
    sets = [measure.id for measure in MEASURES.values() if not measure.per_subject]
    mine = rows[rows["metric"].isin(sets) & rows["subject"].eq("")]
    estimated = []
    for keys, group in mine.groupby([*_BY, "metric"], sort=False):
        here = dict(zip([*_BY, "metric"], keys, strict=True))
        measured = group[group["status"].eq("ok")]
        here |= {
            "mean": measured["value"].mean(),
            "se": measured["value"].sem(ddof=1),
            "df": len(measured) - 1.0,
            "n_subjects": 0 if measured.empty else measured["n_subjects"].min(),
            "n_subjects_total": people.get((here["dataset"], here["split_digest"]), 0),
            "n_seeds": len(measured),
            "n_rows": len(group),
            "chance": group["chance"].mean(),
        }
        estimated.append(here)
    return pd.DataFrame(estimated, columns=[*_BY, "metric", *ESTIMATE_COLUMNS, "chance"])


def _marks(frame: pd.DataFrame) -> pd.Series:
    marks = pd.Series("none", index=frame.index, dtype=object)
    for (_, _, metric), family in frame[frame["status"] == "ok"].groupby([*_PLACE, "metric"], sort=False):
        higher = MEASURES[str(metric)].higher_is_better
        # as in other tables: a row that lacks seeds or subjects which others have is out
        whole = [family[name].eq(family[name].max()) for name in ("n_seeds", "n_subjects")]
        family = family[whole[0] & whole[1]]
        if higher is not None:
            marked = mark(family["mean"].tolist(), higher_is_better=higher)
            marks.update(pd.Series(marked, index=family.index, dtype=object))
    return marks


def _ordered(frame: pd.DataFrame, run: RunData) -> pd.DataFrame:
    """Sort as the benchmark file has it: methods, references; cohorts; measures."""
    names = [*(method.name for method in run.manifest.methods), *run.manifest.reference_arms]
    rows = list(dict.fromkeys([*names, *frame["method"]]))
    frame["row_order"] = frame["method"].map(rows.index)
    order = frame.assign(
        cohort=frame.groupby(_PLACE, sort=False).ngroup(),
        measure=frame["metric"].map(list(MEASURES).index),
    ).sort_values(["cohort", "measure", "row_order"], kind="stable")
    return frame.loc[order.index].reset_index(drop=True)


def _header(cell: Any, several: Mapping[Any, bool], chances: Mapping[Any, float]) -> Header:
    """Return the cohort, the measure with its unit and direction, and its chance where that is known."""
    cohort = f"{cell.dataset} [{cell.split_digest[:6]}]" if several[cell.dataset] else cell.dataset
    measure = MEASURES[cell.metric]
    arrow = {True: "↑", False: "↓", None: ""}[measure.higher_is_better]
    name = " ".join(filter(None, (measure.id, "%" if measure.share else "", arrow)))
    chance = chances.get((cell.dataset, cell.split_digest, cell.metric), math.nan)
    if math.isnan(chance):
        return (cohort, name)
    return (cohort, name, f"chance {100 * chance:.1f}" if measure.share else f"chance {chance:g}")


def _cell(cell: Any) -> Cell:
    scale, digits = (100.0, 1) if MEASURES[cell.metric].share else (1.0, 2)
    return Cell(
        cell.mean, cell.se, cell.n_subjects, cell.n_subjects_total, cell.jobs_done, cell.jobs_expected,
        cell.status, cell.mark, scale, digits,
    )  # fmt: skip


def _caption(material: Material, frame: pd.DataFrame) -> tuple[Sentence, ...]:
    run = material.run
    summaries = [f"{measure.id}: {measure.summary}" for measure in MEASURES.values()]
    return said(
        Sentence(_what(run, frame), "what"),
        _windows(run),
        f"Measures: {'; '.join(summaries)}.",
        "Cosines of embeddings that are centred by their mean over all scans of the cohort.",
        _standard_error(frame),
        Sentence("" if run.marking == "none" else _MARKS, "marks"),
        _COLLAPSE,
        *_not_measured(run),
        incomplete(frame, "cells", *_not_embedded(run)),
        failed_jobs(frame, run),
        superseded(int(run.embeds["superseded"].sum())),
        _other_subjects(frame),
        material.profile_sentence(),
        claim(frame),
        *material.flags.footnotes,
    )


def _what(run: RunData, frame: pd.DataFrame) -> str:
    parts = []
    for name, cells in frame.groupby("dataset", sort=False):
        cohort = run.manifest.cohorts.get(str(name))
        sequences = cohort.invariance if cohort else ()
        among = f" ({', '.join(sequences)})" if sequences else ""
        parts.append(f"{name}: {cells['n_subjects_total'].max()} subjects{among}")
    return f"Mean ± SE over the test subjects of all sites; {'; '.join(parts)}; {seeds_of_frame(frame)}."


def _windows(run: RunData) -> str:
    sets = run.invariance[run.invariance["subject"].eq("") & run.invariance["n"].gt(0)]
    sets = sets.drop_duplicates("job_key")
    if sets.empty:
        return ""
    edges = ", ".join(str(edge) for edge in sorted(set(sets["patch_vox"])))
    share = sets["n_windows"].sum() / sets["n"].sum()
    return f"Each scan: the mean embedding of windows of {edges} voxels over the head, {share:.1f} a scan."


def _standard_error(frame: pd.DataFrame) -> str:
    several = frame["n_seeds"].max() > 1
    subjects = "crossed random effects of seed and subject" if several else "over subjects"
    sets = "over seeds" if several else "none with one seed"
    whole = ", ".join(measure.id for measure in MEASURES.values() if not measure.per_subject)
    return f"SE: similarity and retrieval: {subjects}; {whole}: {sets}."


def _not_measured(run: RunData) -> list[str]:
    """Say what could not be measured, on whom, and why; once for all methods and seeds."""
    every = run.invariance
    sentences = []
    known = every[every["reason"].ne("") & every["status"].ne("failed") & every["measure"].isin(MEASURES)]
    for (dataset, measure, reason), rows in known.groupby(["dataset", "measure", "reason"], sort=False):
        people = rows.loc[rows["subject"].ne(""), "subject"].nunique()
        whom = f" for {count(people, 'subject')}" if people else ""
        state = whom if rows["status"].eq("ok").all() else f"not measurable{whom}: "
        sentences.append(f"{measure} on {dataset}: {state}{reason}.")
    return sentences


def _not_embedded(run: RunData) -> list[str]:
    sets = run.invariance[run.invariance["subject"].eq("")]
    failed = sets.groupby("dataset", sort=False)["n_failed"].max()
    return [
        f"scans of {dataset} that could not be embedded: {n:.0f}" for dataset, n in failed[failed > 0].items()
    ]


def _other_subjects(frame: pd.DataFrame) -> str:
    several = frame.groupby("dataset", sort=False)["split_digest"].nunique()
    names = [str(name) for name in several[several > 1].index]
    if not names:
        return ""
    return (
        f"Results on other test subjects stand in columns of their own, named by digest: {', '.join(names)}."
    )
