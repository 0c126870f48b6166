"""Footnotes of rows: collapsed encoders, unequal budgets."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd

from mribench.report.cells import row_labels
from mribench.report.load import RunData

COLLAPSED = "†"
BUDGET = "‡"
_BUDGET_COLUMNS = {"views_seen": "views seen", "parameters": "parameters"}


@dataclass(frozen=True)
class Flags:
    """Signs of each row, and what they mean.

    Attributes:
        signs: by row label.
        notes: one sentence per sign in use.
    """

    signs: Mapping[str, str]
    notes: tuple[str, ...]

    def of(self, row: str) -> str:
        """Return the signs of a row."""
        return self.signs.get(row, "")


def flags(run: RunData) -> Flags:
    """Find the rows whose encoder collapsed and those whose budget or settings differ from the others'."""
    pretrained = _pretrained(run)
    collapsed = _collapsed(pretrained)
    unequal = _unequal(pretrained, run.manifest)
    rows = dict.fromkeys([*collapsed, *unequal])
    signs = {
        row: (COLLAPSED if row in collapsed else "") + (BUDGET if row in unequal else "") for row in rows
    }
    notes = []
    if collapsed:
        notes.append(f"{COLLAPSED} Collapsed encoder: {_listed(collapsed)}.")
    if unequal:
        notes.append(f"{BUDGET} Not the budget or settings of the others: {_listed(unequal)}.")
    return Flags(signs, tuple(notes))


def _pretrained(run: RunData) -> pd.DataFrame:
    """One row per table row and pretrain job, with the job's costs and checks."""
    used = run.cells.assign(row=row_labels(run.cells, run.manifest)).dropna(subset=["pretrain"])
    used = used[["row", "method", "seed", "pretrain"]].drop_duplicates()
    jobs = run.jobs.drop_duplicates("job_key")
    return used.merge(jobs, left_on="pretrain", right_on="job_key")


def _collapsed(pretrained: pd.DataFrame) -> dict[str, str]:
    found = {}
    for row, jobs in pretrained.groupby("row", sort=False):
        bad = jobs[jobs["collapsed"].eq(True)]
        if len(bad):
            reasons = "; ".join(dict.fromkeys(bad["collapse_reason"].dropna()))
            found[str(row)] = f"in {len(bad)} of {len(jobs)} seeds" + (f" ({reasons})" if reasons else "")
    return found


def _unequal(pretrained: pd.DataFrame, manifest: Mapping[str, Any]) -> dict[str, str]:
    found: dict[str, list[str]] = {}
    for column, name in _BUDGET_COLUMNS.items():
        budget = pretrained.groupby("row", sort=False)[column].median().dropna()
        usual = budget.mode(dropna=True) if len(budget) else budget
        for row, value in budget.items():
            # several modes: the first row's own, so that two methods that differ flag the second
            reference = budget.iloc[0] if budget.iloc[0] in set(usual) else usual.iloc[0]
            if value != reference:
                found.setdefault(str(row), []).append(f"{value:,.0f} {name} (others {reference:,.0f})")
    overrides = {method["name"]: method["overrides"] for method in manifest["methods"] if method["overrides"]}
    for row, method in pretrained[["row", "method"]].drop_duplicates().itertuples(index=False):
        if method in overrides:
            found.setdefault(row, []).append(f"own {', '.join(overrides[method])}")
    return {row: ", ".join(texts) for row, texts in found.items()}


def _listed(texts: Mapping[str, str]) -> str:
    rows: dict[str, list[str]] = {}
    for row, text in texts.items():
        rows.setdefault(text, []).append(row)
    return "; ".join(f"{', '.join(names)}: {text}" for text, names in rows.items())
