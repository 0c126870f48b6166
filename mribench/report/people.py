"""Whose scans a page is about, and how it keeps their names to itself."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from mribench.results.load import RunData
from mribench.results.manifest import PlannedCohort


def data_sentence(cohorts: Mapping[str, PlannedCohort]) -> str:
    """Return whether people were scanned: ``simulated (qmri, ixi)``, ``scans of people (ours)``, or both."""
    simulated = [name for name, about in cohorts.items() if about.simulated]
    of_people = [name for name in cohorts if name not in simulated]
    kinds = {"simulated": simulated, "scans of people": of_people}
    return "; ".join(f"{kind} ({', '.join(names)})" for kind, names in kinds.items() if names)


def warning(cohorts: Mapping[str, PlannedCohort]) -> str:
    """Return what to think of before a page with people's scans is passed on; empty where there are none."""
    licences = [f"{name}: {about.licence}" for name, about in cohorts.items() if not about.simulated]
    if not licences:
        return ""
    return (
        f"the page shows slices and subject ids of scans of people (licences: {'; '.join(licences)});"
        " `report: {examples: false}` in the file leaves them out"
    )


def without_names(run: RunData) -> RunData:
    """Return a run whose subjects are numbered, in the order of their ids: ``subject 07``."""
    ids = sorted({str(name) for name in run.scores["subject"].dropna()})
    digits = len(str(len(ids)))
    names = {name: f"subject {number:0{digits}}" for number, name in enumerate(ids, start=1)}
    scores = run.scores.assign(subject=run.scores["subject"].astype(str).map(names).astype("category"))
    reasons = {job: _masked(reason, names) for job, reason in run.reasons.items()}
    return replace(run, scores=scores, reasons=reasons)


def _masked(text: str, names: Mapping[str, str]) -> str:
    """Return a sentence with numbers for ids; the bare name of an id (``ixi:IXI012``) counts too."""
    for name, number in names.items():
        text = text.replace(name, number).replace(name.partition(":")[2] or name, number)
    return text
