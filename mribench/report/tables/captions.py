"""The sentences below a table: what is averaged, what the marks claim, what is empty, what is missing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pandas as pd

from mribench.arms import IDENTITY
from mribench.interfaces.entry import EmptyMaskPolicy
from mribench.interfaces.table import NOTHING_PLANNED, Sentence, said
from mribench.interfaces.table_source import Question
from mribench.report.sentences import claim
from mribench.results.cells import scale_of
from mribench.results.label_subsets import subsets_sentence
from mribench.results.load import RunData
from mribench.results.merged import policy_of, profile_sentence
from mribench.results.records import PREDICTIONS
from mribench.set_scores import ENOUGH
from mribench.statistics.marking import ONE_PROFILE, describe_left_out, describe_marks
from mribench.wording import list_some

_MOST_FAILED = 5
_MOST_MIXED = 6
_MOST_VERSIONS = 4
_MOST_IN_PARTS = 6


def caption(
    run: RunData, frame: pd.DataFrame, question: Question, footnotes: Sequence[Sentence]
) -> tuple[Sentence, ...]:
    """Return the sentences below a table.

    Args:
        run: the results.
        frame: the cells in the table.
        question: what the table asked.
        footnotes: of rows.
    """
    if frame.empty:
        return (NOTHING_PLANNED,)
    return said(
        Sentence(f"Mean ± SE {whose(frame, run, question)}.", "what"),
        _standard_error(frame),
        Sentence(describe_marks(set(frame["mark_style"])), "marks"),
        describe_left_out(frame),
        ONE_PROFILE if frame["profile"].nunique() > 1 else "",
        describe_sets(frame),
        _empty_masks(_once(frame), run),
        _failures(_once(frame)),
        *state(run, frame, footnotes),
    )


def state(run: RunData, frame: pd.DataFrame, footnotes: Sequence[Sentence]) -> tuple[Sentence, ...]:
    """Return the last sentences of ``caption``: label subsets, what is missing, profile, what is claimed."""
    once = _once(frame)
    failed_rows, pairs = int(once["n_failed"].sum()), int(once["n_missing_pairs"].sum())
    more = [f"Results of several splits: {len(run.mixed) - _MOST_MIXED} more like this."]
    return said(
        subsets_sentence(run.cells, frame),
        incomplete(
            once,
            "cells",
            f"rows failed: {failed_rows}" if failed_rows else "",
            f"(seed, subject) pairs without a score: {pairs}" if pairs else "",
        ),
        failed_jobs(frame, run),
        superseded(run.superseded),
        *(f"{text}." for text in run.mixed[:_MOST_MIXED]),
        *(more if len(run.mixed) > _MOST_MIXED else []),
        profile_sentence(run.manifest.defects_by_profile()),
        claim(frame),
        *footnotes,
        _versions(run),
    )


def incomplete(frame: pd.DataFrame, what: str, *more: str) -> Sentence:
    """Return how much of a table is not there.

    Args:
        frame: its cells, with the column ``status``, and ``jobs_waiting`` where jobs can wait for data.
        what: it is, in the plural.
        more: what else is missing; texts may be empty.
    """
    states = frame["status"].value_counts()
    parts = [f"{what} {name}: {states[name]}" for name in ("failed", "missing", "partial") if name in states]
    waiting = "jobs_waiting" in frame and frame["jobs_waiting"].any()
    parts += [text for text in ("some wait for data that are not there" if waiting else "", *more) if text]
    return Sentence(f"Incomplete: {'; '.join(parts)}." if parts else "", "missing")


def failed_jobs(frame: pd.DataFrame, run: RunData) -> Sentence:
    """Return the jobs that failed behind a frame with the column ``blame``, and why."""
    names = list(dict.fromkeys(name for names in frame["blame"] for name in names))
    if not names:
        return Sentence("")
    texts = [f"{name}: {run.reasons.get(name) or 'no reason given'}" for name in names]
    return Sentence(f"Failed jobs: {list_some(texts, _MOST_FAILED, '; ')}.", "missing")


def superseded(older: int) -> str:
    """Return how many results are not shown because there are newer ones; nothing without any."""
    return f"{older} older results of the same cells are not shown; the newest are." if older else ""


def versions_of(run: RunData) -> list[str]:
    """Return what the jobs ran with, such as ``mribench=0.1.0 torch=2.6.0``, one text for each set."""
    return sorted(map(str, run.jobs["versions"].dropna().unique()))


def _versions(run: RunData) -> str:
    versions = versions_of(run)
    if len(versions) < 2:
        return f"Versions: {versions[0].replace(' ', ', ').replace('=', ' ')}." if versions else ""
    return f"Jobs of {len(versions)} sets of versions: {'; '.join(versions[:_MOST_VERSIONS])}."


def whose(frame: pd.DataFrame, run: RunData, question: Question) -> str:
    """Return which site and sequence cells are of, and how many subjects and seeds."""
    parts = []
    for name, cells in frame.groupby("task", sort=False):
        subjects = cells["n_subjects_total"]
        counts = f"{subjects.max()}" if subjects.min() == subjects.max() else f"up to {subjects.max()}"
        text = f"{name}: {counts} subject{'' if counts == '1' else 's'}"
        sequences = run.manifest.tasks[str(name)].train_sequences
        average = question.average_sequences and len(sequences) > 1
        parts.append(f"{text}, averaged over {', '.join(sequences)}" if average else text)
    domain = "on the site and sequence trained on" if question.in_domain else "per test site"
    return f"{domain}; {'; '.join(parts)}; {seeds_of_frame(frame)}"


def seeds_of_frame(frame: pd.DataFrame) -> str:
    """Return how many seeds stand behind cells: ``3 seeds``, ``1–5 seeds``."""
    counts = sorted(set(frame.loc[frame["n_seeds"] > 0, "n_seeds"]))
    if not counts:
        return "no seeds yet"
    text = str(counts[0]) if len(counts) == 1 else f"{counts[0]}–{counts[-1]}"
    return f"{text} seed{'' if counts == [1] else 's'}"


def _standard_error(frame: pd.DataFrame) -> str:
    if frame["n_seeds"].max() > 1:
        return (
            "SE: crossed random effects of seed and subject, labels and sessions averaged within a subject, "
            "complete (seed, subject) pairs only; over subjects where nothing was trained."
        )
    return "SE: over subjects, labels and sessions averaged within a subject."


def describe_sets(frame: pd.DataFrame) -> str:
    """Return what metrics of whole sets are, and which cells are of too few subjects; nothing without any."""
    of_sets = frame[frame["of_set"]]
    if of_sets.empty:
        return ""
    names = ", ".join(dict.fromkeys(of_sets["metric"]))
    text = (
        f"{names}: one value over all subjects of a test set, averaged over seeds; SE and 95 % interval from"
        " one component of each subject (docs/statistics.md). Targets and predictions of subjects:"
        f" jobs/*/{PREDICTIONS} of the results (docs/subject-tasks.md)."
    )
    few = int(_once(of_sets[of_sets["n_few"].gt(0)])["row"].size)
    cells = f"{few} cell{'' if few == 1 else 's'}"
    return (
        f"{text} Fewer than {ENOUGH} subjects, of all or of a class, and so no interval: {cells}."
        if few
        else text
    )


def _once(frame: pd.DataFrame) -> pd.DataFrame:
    """Drop the repetitions of untrained rows, whose scores stand in several columns."""
    same = ["row", "task", "metric", "test_site", "test_sequence"]
    return frame[frame["arm"].ne(IDENTITY) | ~frame.duplicated(same)]


def _empty_masks(frame: pd.DataFrame, run: RunData) -> str:
    """Return how the scores with an empty mask count, by the policies of the profiles; not those of sets."""
    if frame["of_set"].all():
        return ""
    both = int(frame["n_both_empty"].sum())
    left_out = f"left out: {both} rows" if both else "left out: none"
    policies = dict.fromkeys(policy_of(run.manifest, profile) for profile in run.manifest.profiles)
    texts = [_count_empty(policy, frame) for policy in policies]
    return f"Empty masks: {'; or, by profile, '.join(texts)}; both empty, {left_out}."


def _count_empty(policy: EmptyMaskPolicy | None, frame: pd.DataFrame) -> str:
    if policy is None:
        rows = int(frame["n_empty"].sum())
        shown = f" ({rows} rows)" if rows else ""
        return f"one empty counts as the metric's penalty{shown}"
    rows = int(frame.loc[frame["unit"].eq(policy.unit), "n_empty"].sum())
    what = f"{_describe_policy(policy)} (policy {policy.name})"
    return f"{what}: {rows} rows; elsewhere it counts as the metric's penalty"


def _describe_policy(policy: EmptyMaskPolicy) -> str:
    if policy.prediction is None and policy.reference is None:
        return f"one empty drops out of metrics in {policy.unit}"
    prediction, reference = (
        "drops out" if value is None else f"counts {value:g} {policy.unit}"
        for value in (policy.prediction, policy.reference)
    )
    return f"in metrics in {policy.unit} an empty prediction {prediction} and an empty reference {reference}"


def _failures(frame: pd.DataFrame) -> str:
    """Return the cells with failures in two parts, each with its 95 % interval; nothing without failures."""
    failed = frame[frame["failure_share"].gt(0)]
    if failed.empty:
        return ""
    texts = list(dict.fromkeys(_describe_parts(cell) for cell in failed.itertuples(index=False)))
    elsewhere = ", in the data formats" if len(texts) > _MOST_IN_PARTS else ""
    return (
        "Failures: share of (seed, subject) pairs with an empty mask, and mean of the subjects without one, "
        "with 95 % intervals; the mean with penalties has none, as none would hold: "
        f"{list_some(texts, _MOST_IN_PARTS, '; ')}{elsewhere}."
    )


def _describe_parts(cell: Any) -> str:
    fraction = f" {100 * cell.fraction:g} %" if pd.notna(cell.fraction) else ""
    share = _with_ends(cell.failure_share, cell.failure_low, cell.failure_high, 100, 1, " %")
    head = f"{cell.row}, {cell.task}{fraction}, {cell.metric}: {share}"
    if not cell.n_subjects_without:
        return f"{head}, no subject without"
    mean = _with_ends(cell.without_mean, cell.without_low, cell.without_high, *scale_of(cell))
    return f"{head}, without {mean} (n={cell.n_subjects_without})"


def _with_ends(mean: float, low: float, high: float, scale: float, digits: int, unit: str = "") -> str:
    ends = "" if pd.isna(low) else f" [{low * scale:.{digits}f}, {high * scale:.{digits}f}]"
    return f"{mean * scale:.{digits}f}{unit}{ends}"
