"""What each measured defect is worth, as one tidy frame."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import asdict, fields, replace
from typing import Any

import numpy as np
import pandas as pd

from mribench.defects import POOLED_ROWS
from mribench.interfaces.entry import EmptyMaskPolicy
from mribench.interfaces.table_source import Question
from mribench.results.cells import list_blamed, metric_frame, selected
from mribench.results.load import RunData
from mribench.results.manifest import MeasuredDefect
from mribench.results.merged import policy_of
from mribench.statistics.effects import (
    Effect,
    estimate_change,
    estimate_largest_gap_change,
    estimate_policy_change,
)
from mribench.statistics.findings import ALPHA, count_false_findings
from mribench.statistics.scores import average_subjects, count_values

ASKED = Question(in_domain=False, own_sequence=True, average_sequences=True)
"""All test sites: a defect of the splits may change which there are."""
_GROUP = ["task", "fraction", "metric"]
_CELL = ["method", "arm", "task", "fraction", "train_sequence", "test_sequence", "subset_seed", "seed"]
"""What a variant's cell and the cell that it is compared with agree in."""
_BOOTSTRAP_SEED = 20090
_EFFECT = [field.name for field in fields(Effect) if field.name not in ("arms", "gone", "how")]
COLUMNS = (
    "row", "defect", "kind", "task", "fraction", "metric", "replaced_by", "unit", "higher_is_better",
    "value_range", *_EFFECT, "how", "gone", "n_arms", "gap_first", "gap_second", "gap_without",
    "gap_with_defect", "n_significant", "n_tests", "n_test_rows", "jobs_expected", "jobs_done", "blame",
    "status", "verdict",
)  # fmt: skip


def defects_frame(run: RunData) -> pd.DataFrame:
    """Return one row per measured defect, task, fraction and metric, with the columns ``COLUMNS``.

    ``kind`` is how a defect is measured: ``jobs``, ``metric``, ``policy`` or ``findings``.

    Scores are of all test sites and of the sequence trained on, sequences averaged within a subject, of all
    arms but identity.
    """
    several = len({defect.base for defect in run.manifest.measured_defects}) > 1
    rows = [
        {"defect": defect.name, "row": f"{defect.name} [{defect.base}]" if several else defect.name, **row}
        for defect in run.manifest.measured_defects
        for row in _Measured(run, defect).rows()
    ]
    frame = pd.DataFrame(rows, columns=list(COLUMNS))
    return frame.assign(
        status=[_status(row) for row in frame.itertuples(index=False)],
        verdict=[verdict(row) for row in frame.itertuples(index=False)],
    )


def verdict(row: Any) -> str:
    """Return ``flatters``, ``harms`` or ``misleads`` where the interval excludes 0, else nothing."""
    if not (row.low > 0 or row.high < 0):
        return ""
    if row.kind == "findings":
        return "misleads" if row.low > 0 else ""
    return "flatters" if (row.difference > 0) == bool(row.higher_is_better) else "harms"


class _Measured:
    """One defect, and the rows of the benchmark with and without it."""

    def __init__(self, run: RunData, defect: MeasuredDefect) -> None:
        self._defect = defect
        self._manifest = run.manifest
        self._policy = policy_of(run.manifest, defect.base)
        self._metrics = metric_frame(run.manifest.tasks)
        self._cells = self._of(run.cells, defect.base)
        self._scores = self._of(run.scores, defect.base)
        self._variants = self._of(run.variants, defect.profile)
        self._variant_scores = self._of(run.variant_scores, defect.profile)
        if defect.profile and self._variants.empty:  # it is a profile of the report by its own right
            self._variants = self._of(run.cells, defect.profile)
            self._variant_scores = self._of(run.scores, defect.profile)

    def _of(self, frame: pd.DataFrame, profile: str | None) -> pd.DataFrame:
        mine = frame[frame["profile"].eq(profile or "") & frame["seed"].notna()]
        return selected(mine.assign(profile=self._defect.base), self._manifest, ASKED)

    def rows(self) -> Iterator[dict[str, Any]]:
        if self._defect.profile:
            yield from self._by_jobs()
        elif self._defect.metrics:
            yield from self._by_metrics()
        elif self._defect.empty_masks:
            yield from self._by_policy(self._defect.empty_masks)
        elif self._defect.name == POOLED_ROWS:
            yield from self._by_findings()

    def _by_jobs(self) -> Iterator[dict[str, Any]]:
        done = self._variants[self._variants["state"].eq("done")]
        finished = self._cells.loc[self._cells["state"].eq("done"), _CELL].drop_duplicates()
        both = done[_CELL].drop_duplicates().merge(finished)
        sides = [
            average_subjects(side.merge(both), ["row", "arm", *_GROUP], ASKED.within, self._policy)
            for side in (self._scores, self._variant_scores)
        ]
        for where, planned in self._places(self._variants):
            here = [_at(side, where) for side in sides]
            ready = len(both[(both["task"] == where["task"]) & (both["fraction"] == where["fraction"])])
            yield self._row("jobs", where, planned, estimate_change(*here), here[0]) | {
                "jobs_done": ready,
                "jobs_expected": len(planned[_CELL].drop_duplicates()),
            }

    def _by_metrics(self) -> Iterator[dict[str, Any]]:
        means = self._means(self._policy)
        for where, planned in self._places(self._cells):
            other = self._defect.metrics.get(where["metric"])
            theirs = self._metrics.loc[self._metrics["task"] == where["task"], "metric"]
            if other in set(theirs):
                without, instead = _at(means, where), _at(means, {**where, "metric": other})
                row = self._row("metric", where, planned, estimate_change(without, instead), without)
                yield row | {"replaced_by": other}

    def _by_policy(self, policy: EmptyMaskPolicy) -> Iterator[dict[str, Any]]:
        default, other = self._means(None), self._means(policy)
        for where, planned in self._places(self._cells):
            if where["unit"] != policy.unit:
                continue
            rows = _at(self._scores, where)
            touched = not count_values(rows, policy).equals(count_values(rows))
            rng = np.random.default_rng(_BOOTSTRAP_SEED)
            without, instead = _at(default, where), _at(other, where)
            effect = estimate_policy_change(without, instead, touched=touched, rng=rng)
            yield self._row("policy", where, planned, effect, without)

    def _by_findings(self) -> Iterator[dict[str, Any]]:
        rows = self._scores.assign(value=count_values(self._scores, self._policy))
        rows = rows[rows["status"].ne("failed")]
        for where, planned in self._places(self._cells):
            cell, row = ["train_sequence", "test_sequence", "subset_seed"], ["subject", "session", "label"]
            findings = count_false_findings(_at(rows, where), cell, row)
            share = findings.significant / findings.tests if findings.tests else math.nan
            effect = Effect(
                ALPHA, share, share - ALPHA, low=findings.low - ALPHA, high=findings.high - ALPHA,
                n_seeds=findings.n_seeds,
            )  # fmt: skip
            if not findings.tests:
                effect = replace(effect, how="needs 2 seeds or more")
            yield self._row("findings", where, planned, effect, None) | {
                "n_arms": findings.n_arms,
                "n_significant": findings.significant,
                "n_tests": findings.tests,
                "n_test_rows": findings.n_rows,
            }

    def _means(self, policy: EmptyMaskPolicy | None) -> pd.DataFrame:
        return average_subjects(self._scores, ["row", "arm", *_GROUP], ASKED.within, policy)

    def _places(self, cells: pd.DataFrame) -> Iterator[tuple[dict[str, Any], pd.DataFrame]]:
        """Yield where an effect is computed, and the cells that are planned there."""
        for metric in self._metrics.to_dict("records"):
            planned = cells[cells["task"] == metric["task"]]
            for fraction, there in planned.groupby("fraction"):
                yield {**{str(name): value for name, value in metric.items()}, "fraction": fraction}, there

    def _row(
        self,
        kind: str,
        where: Mapping[str, Any],
        planned: pd.DataFrame,
        effect: Effect,
        means: pd.DataFrame | None,
    ) -> dict[str, Any]:
        gap = None
        if means is not None:
            frozen = set(means.loc[means["arm"].eq("frozen"), "row"])
            gap = estimate_largest_gap_change(
                {arm: pair for arm, pair in effect.arms.items() if arm in frozen}
            )
        return {
            **where,
            **asdict(effect),
            "kind": kind,
            "n_arms": len(effect.arms),
            "gap_first": gap.first if gap else None,
            "gap_second": gap.second if gap else None,
            "gap_without": gap.without if gap else math.nan,
            "gap_with_defect": gap.with_defect if gap else math.nan,
            "jobs_expected": len(planned),
            "jobs_done": int(planned["state"].eq("done").sum()),
            "blame": list_blamed(planned["blame"]),
        }


def _at(frame: pd.DataFrame, where: Mapping[str, Any]) -> pd.DataFrame:
    keep = pd.Series(True, index=frame.index)
    for column in _GROUP:
        keep &= frame[column].eq(where[column])
    return frame[keep]


def _status(row: Any) -> str:
    if row.jobs_done == 0:
        return "failed" if row.blame else "missing"
    return "ok" if row.jobs_done == row.jobs_expected else "partial"
