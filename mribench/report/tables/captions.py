"""The sentences below a table: what is averaged, what the marks claim, what is missing."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from mribench.interfaces.table import Sentence, said
from mribench.interfaces.table_source import Question
from mribench.report.sentences import claim
from mribench.report.tables.empty_masks import failures_sentence, policies_sentence
from mribench.results.label_subsets import subsets_sentence
from mribench.results.load import RunData
from mribench.results.merged import profile_sentence
from mribench.statistics.marking import ONE_PROFILE, describe_left_out, describe_marks
from mribench.wording import list_some

_MOST_FAILED = 5
_MOST_MIXED = 6
_MOST_VERSIONS = 4


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
    return said(
        Sentence(f"Mean ± SE {whose(frame, run, question)}.", "what"),
        _standard_error(frame),
        Sentence(describe_marks(set(frame["mark_style"])), "marks"),
        describe_left_out(frame),
        ONE_PROFILE if frame["profile"].nunique() > 1 else "",
        policies_sentence(_once(frame), run),
        failures_sentence(_once(frame)),
        *state(run, frame, footnotes),
    )


def state(run: RunData, frame: pd.DataFrame, footnotes: Sequence[Sentence]) -> tuple[Sentence, ...]:
    """Return the last sentences of ``caption``: label subsets, what is missing, profile, what is claimed."""
    return said(
        subsets_sentence(run.cells, frame),
        Sentence(_incomplete(_once(frame)), "missing"),
        failed_jobs(frame, run),
        _superseded(run),
        *_mixed(run),
        profile_sentence(run.manifest.defects_by_profile()),
        claim(frame),
        *footnotes,
        _versions(run),
    )


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
        sequences = run.manifest.tasks[str(name)].train_sequences
        average = question.average_sequences and len(sequences) > 1
        plural = "" if counts == "1" else "s"
        parts.append(
            f"{name}: {counts} subject{plural}"
            + (f", averaged over {', '.join(sequences)}" if average else "")
        )
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


def _once(frame: pd.DataFrame) -> pd.DataFrame:
    """Drop the repetitions of untrained rows, whose scores stand in several columns."""
    same = ["row", "task", "metric", "test_site", "test_sequence"]
    return frame[frame["arm"].ne("identity") | ~frame.duplicated(same)]


def _incomplete(frame: pd.DataFrame) -> str:
    failed_rows, pairs = int(frame["n_failed"].sum()), int(frame["n_missing_pairs"].sum())
    jobs = frame.groupby("status").size()
    parts = [f"cells {name}: {int(jobs[name])}" for name in ("failed", "missing", "partial") if name in jobs]
    parts += ["some wait for data that are not there"] if frame["jobs_waiting"].any() else []
    parts += [f"rows failed: {failed_rows}"] if failed_rows else []
    parts += [f"(seed, subject) pairs without a score: {pairs}"] if pairs else []
    return f"Incomplete: {'; '.join(parts)}." if parts else ""


def failed_jobs(frame: pd.DataFrame, run: RunData) -> Sentence:
    """Return the jobs that failed behind a frame with the column ``blame``, and why."""
    names = list(dict.fromkeys(name for names in frame["blame"] for name in names))
    if not names:
        return Sentence("")
    texts = [f"{name}: {run.reasons.get(name) or 'no reason given'}" for name in names]
    return Sentence(f"Failed jobs: {list_some(texts, _MOST_FAILED, '; ')}.", "missing")


def _mixed(run: RunData) -> list[str]:
    more = [f"Results of several splits: {len(run.mixed) - _MOST_MIXED} more like this."]
    return [f"{text}." for text in run.mixed[:_MOST_MIXED]] + (more if len(run.mixed) > _MOST_MIXED else [])


def _superseded(run: RunData) -> str:
    if not run.superseded:
        return ""
    return f"{run.superseded} older results of the same cells are not shown; the newest are."
