"""Footnotes of rows: collapsed, odd and unfrozen encoders, unequal budgets, repeated views."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pandas as pd

from mribench.arms import FROZEN_ARMS
from mribench.interfaces.table import Sentence
from mribench.results.cells import row_labels
from mribench.results.load import RunData
from mribench.results.manifest import Manifest
from mribench.results.records import MIN_CHECKED
from mribench.wording import one_line

COLLAPSED = "†"
ODD = "‖"
BUDGET = "‡"
FEW_VIEWS = "§"
CHANGED = "¶"
GIVEN = "◇"
ENOUGH_DISTINCT = 0.9
"""Below this share of distinct views a training saw the same ones over and over."""
_SPENT = {"steps": "steps", "views_seen": "views seen", "voxels_seen": "voxels seen"}
_PLACE = ["task", "fraction", "train_sequence"]


@dataclass(frozen=True)
class Flags:
    """Signs of each row, and what they mean.

    Attributes:
        signs: by row label.
        footnotes: one sentence per sign in use.
    """

    signs: Mapping[str, str]
    footnotes: tuple[Sentence, ...]

    def of(self, row: str) -> str:
        """Return the signs of a row."""
        return self.signs.get(row, "")


def flags(run: RunData) -> Flags:
    """Find the rows whose encoder collapsed, is odd or changed, with few views, or with another budget."""
    pretrained, adapted = _trained(run, "pretrain", []), _trained(run, "adapt", ["arm", *_PLACE])
    planned = run.cells.assign(row=row_labels(run.cells, run.manifest))
    planned = planned[["row", "method", "arm", "encoder"]].drop_duplicates()
    collapsed = pretrained["collapsed"].eq(True)
    # not trained, or with embeddings that are odd and say something still
    odd = pretrained["encoder_remarks"].fillna("").ne("")
    flagged = [
        (COLLAPSED, "Collapsed encoder", _in_seeds(pretrained, collapsed, "collapse_reason")),
        (ODD, "Encoder", _in_seeds(pretrained, odd, "encoder_remarks")),
        (
            ODD,
            f"Not checked for collapse, for which {MIN_CHECKED} subjects are needed",
            _unchecked(pretrained),
        ),
        (
            BUDGET,
            "Not the budget or settings of the others",
            _unequal(planned, pretrained, adapted, run.manifest),
        ),
        (FEW_VIEWS, "Few distinct views", _repeated(pretrained, adapted)),
        (CHANGED, "Not frozen, though the arm is", _changed(adapted)),
        (GIVEN, "Weights from a file", _given(planned, adapted, run.manifest)),
    ]
    signs: dict[str, list[str]] = {}
    for sign, _, rows in flagged:
        for row in rows:
            signs.setdefault(row, []).append(sign)
    footnotes = tuple(
        Sentence(f"{sign} {what}: {_listed(rows)}.", "footnote") for sign, what, rows in flagged if rows
    )
    once = {row: "".join(dict.fromkeys(of_row)) for row, of_row in signs.items()}
    return Flags(once, (*footnotes, *_channels(adapted), *_encoders(planned)))


def _trained(run: RunData, kind: str, columns: Sequence[str]) -> pd.DataFrame:
    """One row per table row and job of a kind that it uses, with the job's costs and checks."""
    used = run.cells.assign(row=row_labels(run.cells, run.manifest)).dropna(subset=[kind])
    used = used[["row", "method", "seed", kind, *columns]].drop_duplicates()
    jobs = run.jobs.drop_duplicates("job_key")
    return used.merge(jobs, left_on=kind, right_on="job_key")


def _in_seeds(pretrained: pd.DataFrame, meant: pd.Series, why: str) -> dict[str, str]:
    """Return in how many of its seeds a row is meant, and the distinct texts of a column that say why."""
    texts = {}
    for row, jobs in pretrained.assign(meant=meant).groupby("row", sort=False):
        bad = jobs[jobs["meant"]]
        if len(bad):
            reasons = "; ".join(dict.fromkeys(map(one_line, bad[why].dropna())))
            texts[str(row)] = f"in {len(bad)} of {len(jobs)} seeds" + (f" ({reasons})" if reasons else "")
    return texts


def _unchecked(pretrained: pd.DataFrame) -> dict[str, str]:
    """Rows of which some encoder was not checked, and on how many subjects it could have been."""
    subjects = pretrained["subjects_checked"]
    few = pretrained[pretrained["collapsed"].isna() & subjects.lt(MIN_CHECKED)]
    return {
        str(row): f"{jobs['subjects_checked'].min():.0f} there"
        for row, jobs in few.groupby("row", sort=False)
    }


def _unequal(
    planned: pd.DataFrame, pretrained: pd.DataFrame, adapted: pd.DataFrame, manifest: Manifest
) -> dict[str, str]:
    """Return what of a row differs from the others: what it spent, by its jobs, and what it declares."""
    differing: dict[str, list[str]] = {}
    for column, name in {**_SPENT, "parameters": "parameters"}.items():
        _compare(pretrained, column, name, differing)
    for (task, *_), jobs in adapted.groupby(_PLACE, sort=False, dropna=False):
        for column, name in _SPENT.items():
            _compare(jobs, column, f"{name} in {task}", differing)
    overrides = {method.name: method.overrides for method in manifest.methods if method.overrides}
    of_methods = planned[planned["arm"].isin(manifest.arms)]
    for row, method in of_methods[["row", "method"]].itertuples(index=False):
        if method in overrides:
            differing.setdefault(row, []).append(f"own {', '.join(overrides[method])}")
    wanted = {method.name: method.input for method in manifest.methods if method.input}
    for row, method in planned[["row", "method"]].itertuples(index=False):
        if method in wanted:
            differing.setdefault(row, []).append(f"own input: {wanted[method].sentence()}")
    return {row: ", ".join(dict.fromkeys(texts)) for row, texts in differing.items()}


def _compare(jobs: pd.DataFrame, column: str, name: str, differing: dict[str, list[str]]) -> None:
    """Add to ``differing`` the rows whose median of a column is not the usual one."""
    budget = jobs.groupby("row", sort=False)[column].median().dropna()
    usual = budget.mode(dropna=True) if len(budget) else budget
    for row, value in budget.items():
        # several modes: the first row's own, so that two methods that differ flag the second
        reference = budget.iloc[0] if budget.iloc[0] in set(usual) else usual.iloc[0]
        if value != reference:
            differing.setdefault(str(row), []).append(f"{value:,.0f} {name} (others {reference:,.0f})")


def _repeated(pretrained: pd.DataFrame, adapted: pd.DataFrame) -> dict[str, str]:
    """Rows of which some job saw the same views again; job rows without counts say nothing."""
    repeating: dict[str, list[str]] = {}
    for stage, trained in (("pretraining", pretrained), ("adaptation", adapted)):
        for row, jobs in trained.groupby("row", sort=False):
            share = jobs["distinct_views"] / jobs["views_counted"].where(jobs["views_counted"] > 0)
            few = share[share < ENOUGH_DISTINCT]
            if len(few):
                worst = jobs.loc[[few.idxmin()]].iloc[0]
                repeating.setdefault(str(row), []).append(
                    f"{stage} saw {worst['distinct_views']:,.0f} distinct of {worst['views_counted']:,.0f}"
                    + (f" (the worst of {len(few)} such jobs)" if len(few) > 1 else "")
                )
    return {row: ", ".join(texts) for row, texts in repeating.items()}


def _changed(adapted: pd.DataFrame) -> dict[str, str]:
    frozen = adapted[adapted["arm"].isin(FROZEN_ARMS)]
    digests = frozen.dropna(subset=["encoder_digest_before", "encoder_digest_after"])
    bad = digests[digests["encoder_digest_before"].ne(digests["encoder_digest_after"])]
    return {
        str(row): f"the encoder's digest changed in {len(jobs)} adaptation{'s' if len(jobs) > 1 else ''}"
        for row, jobs in bad.groupby("row", sort=False)
    }


def _given(planned: pd.DataFrame, adapted: pd.DataFrame, manifest: Manifest) -> dict[str, str]:
    """Rows whose encoder has its weights from outside: what it took of them, and whose images they saw."""
    weights = {method.name: method.weights for method in manifest.methods if method.weights}
    accounts_of = dict(iter(adapted.groupby("row", sort=False)["weights_account"]))
    said = {}
    # the references of its architecture have none of them
    of_methods = planned[planned["arm"].isin(manifest.arms)]
    for row, method in of_methods[["row", "method"]].itertuples(index=False):
        given = weights.get(method)
        if given is None:
            continue
        accounted = accounts_of[row].dropna() if row in accounts_of else ()
        accounts = "; ".join(dict.fromkeys(map(one_line, accounted))) or "no job has read them yet"
        known = given.pretrained_on
        people = known if isinstance(known, str) else ", ".join(known) or "nobody in this benchmark"
        file = f"{one_line(given.file)}, sha256 {given.sha256[:12]}…"
        said[row] = f"{file}, {accounts}; pretrained on {one_line(people)}"
    return said


def _channels(adapted: pd.DataFrame) -> list[Sentence]:
    """Say what was done to encoders that were shown several channels, the same in every row."""
    widened = adapted.dropna(subset=["channels_account"])[["train_sequence", "channels_account"]]
    return [
        Sentence(f"Encoders of one channel on {one_line(name)}: {one_line(account)}.", "footnote")
        for name, account in widened.drop_duplicates().itertuples(index=False)
    ]


def _encoders(planned: pd.DataFrame) -> list[Sentence]:
    """Say which encoder each row has, where they are not all the same."""
    rows: dict[str, list[str]] = {}
    for row, encoder in planned[["row", "encoder"]].dropna().itertuples(index=False):
        rows.setdefault(encoder, []).append(row)
    texts = [f"{encoder}: {', '.join(dict.fromkeys(names))}" for encoder, names in rows.items()]
    return [Sentence(f"Encoders: {'; '.join(texts)}.", "footnote")] if len(texts) > 1 else []


def _listed(texts: Mapping[str, str]) -> str:
    rows: dict[str, list[str]] = {}
    for row, text in texts.items():
        rows.setdefault(text, []).append(row)
    return "; ".join(f"{', '.join(names)}: {text}" for text, names in rows.items())
