"""Pieces of sentences that several rooms say alike. Imports nothing of mribench."""

from __future__ import annotations


def one_line(text: str) -> str:
    """Return a text of somebody else's for a sentence: on one line, without a full stop at its end."""
    return " ".join(text.split()).removesuffix(".")
