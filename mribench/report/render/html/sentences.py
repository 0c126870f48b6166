"""Sentences that several tables of the page share."""

from __future__ import annotations

from collections.abc import Iterable


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
