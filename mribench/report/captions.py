"""The sentences below a table: what is averaged, what the marks claim, what is missing."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from mribench.report.cells import Question
from mribench.report.load import RunData

ENOUGH_SEEDS = 5
"""Below this many seeds the tables claim nothing about methods."""
_MARKS = (
    "Bold: best; underlined: second; of all rows but identity, by unrounded means, without incomplete cells."
)


def caption(run: RunData, frame: pd.DataFrame, question: Question, notes: Sequence[str]) -> tuple[str, ...]:
    """Return the sentences below a table.

    Args:
        run: the results.
        frame: the cells in the table.
        question: what the table asked.
        notes: footnotes of rows.
    """
    sentences = [
        _what(frame, run, question),
        _standard_error(frame),
        _MARKS,
        _empty_masks(frame),
        _incomplete(frame),
        _superseded(run),
        f"Profile: {', '.join(run.manifest['profiles'])}.",
        _claim(frame),
        *notes,
    ]
    return tuple(sentence for sentence in sentences if sentence)


def _what(frame: pd.DataFrame, run: RunData, question: Question) -> str:
    parts = []
    for name, cells in frame.groupby("task", sort=False):
        subjects = cells["n_subjects_total"]
        counts = f"{subjects.max()}" if subjects.min() == subjects.max() else f"up to {subjects.max()}"
        sequences = run.manifest["tasks"][name]["train_sequences"]
        average = question.average_sequences and len(sequences) > 1
        parts.append(
            f"{name}: {counts} subjects" + (f", averaged over {', '.join(sequences)}" if average else "")
        )
    domain = "on the site and sequence trained on" if question.in_domain else "per test site"
    return f"Mean ± SE {domain}; {'; '.join(parts)}; {_seeds(frame)}."


def _seeds(frame: pd.DataFrame) -> str:
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


def _empty_masks(frame: pd.DataFrame) -> str:
    both = int(frame["n_both_empty"].sum())
    left_out = f", left out: {both} rows" if both else ", left out: none"
    return f"Empty masks: one empty counts as the metric's penalty; both empty{left_out}."


def _incomplete(frame: pd.DataFrame) -> str:
    failed_rows, pairs = int(frame["n_failed"].sum()), int(frame["n_missing_pairs"].sum())
    jobs = frame.groupby("status").size()
    parts = [f"{int(jobs[name])} cells {name}" for name in ("failed", "missing", "partial") if name in jobs]
    parts += [f"{failed_rows} rows failed"] if failed_rows else []
    parts += [f"{pairs} (seed, subject) pairs without a score"] if pairs else []
    return f"Incomplete: {', '.join(parts)}." if parts else ""


def _superseded(run: RunData) -> str:
    if not run.superseded:
        return ""
    return f"{run.superseded} older results of the same cells are not shown; the newest are."


def _claim(frame: pd.DataFrame) -> str:
    seeds = int(frame["n_seeds"].max())
    if seeds == 1:
        return "One seed: valid for these checkpoints only."
    if 1 < seeds < ENOUGH_SEEDS:
        return f"{seeds} seeds: too few seeds to tell methods apart."
    return "Marks follow the means; differences are not tested." if seeds else ""
