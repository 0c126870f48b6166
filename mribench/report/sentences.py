"""Sentences that tables and figures share: what the seeds allow to say, and how many there are."""

from __future__ import annotations

from collections.abc import Collection, Iterable

import pandas as pd

from mribench.interfaces.table import Sentence
from mribench.statistics.difference import ENOUGH_SEEDS
from mribench.statistics.marking import PLAIN, TESTED
from mribench.wording import ONE_SEED, too_few_seeds


def claim(frame: pd.DataFrame) -> Sentence:
    """Return what the number of seeds of a frame, in the column ``n_seeds``, allows to say."""
    seeds = int(frame["n_seeds"].max())
    styles = set(frame["mark_style"]) if "mark_style" in frame else {PLAIN}
    text = ""  # nothing is marked, or the marks say it
    if seeds == 1:
        text = ONE_SEED
    elif 1 < seeds < ENOUGH_SEEDS:
        text = f"{too_few_seeds(seeds)}."
    elif seeds and PLAIN in styles and TESTED not in styles:
        text = "Marks follow the means; differences are not tested."
    return Sentence(text, "limit")


def seeds_sentence(counts: Iterable[int]) -> str:
    """Return how many train seeds stand behind a table; nothing where none do (0 counts as none)."""
    known = sorted({count for count in counts if count > 0})
    if not known:
        return ""
    text = str(known[0]) if len(known) == 1 else f"{known[0]} to {known[-1]}"
    return f"{text} train seed{'' if known == [1] else 's'}."


def percent(fractions: Iterable[float]) -> str:
    """Return label fractions as ``10 %, 100 %``."""
    return ", ".join(f"{100 * fraction:g} %" for fraction in fractions)


def absent_sentence(
    what: str, tasks: Iterable[str], shown: Collection[str], single: Collection[str], whys: tuple[str, str]
) -> str:
    """Return ``No gap of tissue: tested on one site.``; empty where all tasks have one.

    Args:
        what: ``No gap``.
        tasks: all of them.
        shown: those that have it.
        single: those that the benchmark plans none for.
        whys: why those have none, and why others have none.
    """
    undone = [task for task in tasks if task not in shown and task not in single]
    groups = zip((single, undone), whys, strict=True)
    texts = [f"{', '.join(names)}: {why}" for names, why in groups if names]
    return f"{what} of {'; '.join(texts)}." if texts else ""
