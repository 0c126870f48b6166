"""The sentences below the table ``invariance``."""

from __future__ import annotations

import pandas as pd

from mribench.interfaces.table import Sentence, said
from mribench.report.material import Material
from mribench.report.sentences import claim
from mribench.report.tables.captions import failed_jobs, seeds_of_frame
from mribench.results.load import RunData
from mribench.results.measures import MEASURES
from mribench.wording import count

_MARKS = (
    "Bold: best; underlined: second; of all rows, by unrounded means, without incomplete cells; measures "
    "without an arrow are not compared."
)
_COLLAPSE = (
    "An encoder that maps everything to one point is invariant to everything: read similarity:within and "
    "decode beside retrieval and effective rank."
)


def invariance_caption(material: Material, frame: pd.DataFrame) -> tuple[Sentence, ...]:
    """Return the sentences below the table.

    Args:
        material: the results.
        frame: its cells, from ``invariance_frame``; at least one.
    """
    run = material.run
    older = int(run.embeds["superseded"].sum())
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
        Sentence(_incomplete(run, frame), "missing"),
        failed_jobs(frame, run),
        f"{older} older results of the same cells are not shown; the newest are." if older else "",
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
    rows = run.invariance
    sentences = []
    known = rows[rows["reason"].ne("") & rows["status"].ne("failed") & rows["measure"].isin(MEASURES)]
    for (dataset, measure, reason), found in known.groupby(["dataset", "measure", "reason"], sort=False):
        people = found.loc[found["subject"].ne(""), "subject"].nunique()
        whom = f" for {count(people, 'subject')}" if people else ""
        state = f"{whom}" if found["status"].eq("ok").all() else f"not measurable{whom}: "
        sentences.append(f"{measure} on {dataset}: {state}{reason}.")
    return sentences


def _incomplete(run: RunData, frame: pd.DataFrame) -> str:
    states = frame.groupby("status").size()
    parts = [
        f"cells {name}: {int(states[name])}" for name in ("failed", "missing", "partial") if name in states
    ]
    parts += ["some wait for data that are not there"] if frame["jobs_waiting"].any() else []
    sets = run.invariance[run.invariance["subject"].eq("")]
    for dataset, found in sets.groupby("dataset", sort=False):
        failed = int(found["n_failed"].max())
        parts += [f"scans of {dataset} that could not be embedded: {failed}"] if failed else []
    return f"Incomplete: {'; '.join(parts)}." if parts else ""


def _other_subjects(frame: pd.DataFrame) -> str:
    several = frame.groupby("dataset", sort=False)["split_digest"].nunique()
    names = [str(name) for name in several[several > 1].index]
    if not names:
        return ""
    return (
        f"Results on other test subjects stand in columns of their own, named by digest: {', '.join(names)}."
    )
