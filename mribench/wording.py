"""Words and pieces of sentences that several rooms say alike. Imports nothing of mribench."""

from __future__ import annotations

FORMATS = ("terminal", "markdown", "latex", "html", "csv", "parquet", "json")
"""What tables can be printed and written as."""


NOTHING = "–"
"""What stands for nothing in a table."""


def one_line(text: str) -> str:
    """Return a text of somebody else's for a sentence: on one line, without a full stop at its end."""
    return " ".join(text.split()).removesuffix(".")
