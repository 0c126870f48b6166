"""Writes the table of rejected draws of docs/sequences.md: ``python docs/figures/redraw_rates.py``.

A few minutes. Each rate is a share of independent draws, so its standard error is sqrt(p (1 - p) / DRAWS).
"""

from __future__ import annotations

from pathlib import Path

import torch

from mribench.interfaces import SequenceRef
from mribench.plugins import load_registry

DOCUMENT = Path(__file__).parent.parent / "sequences.md"
SEQUENCES = ("fse", "gre", "spgr", "flair", "mprage", "mp2rage")
PROFILES = ("corrected", "paper", "as-released")
DRAWS = 20_000


def rejected(name: str, profile: str, draws: int) -> tuple[int, int]:
    """Return how many draws of a sequence fail by their times, and how many of the others by contrast."""
    reference = SequenceRef.model_validate({"name": name})
    sequence = load_registry().resolve(reference, "rates", profile).make()
    generator = torch.Generator().manual_seed(0)
    by_time = by_contrast = 0
    for _ in range(draws):
        drawn = sequence.draw(generator)
        if sequence.timing_problem(drawn):
            by_time += 1
        elif sequence.contrast_problem(drawn):
            by_contrast += 1
    return by_time, by_contrast


def table(draws: int = DRAWS) -> str:
    """Return the table in Markdown."""
    rows = [
        "| sequence | profile | impossible times | flat image | together |",
        "|---|---|---|---|---|",
    ]
    for name in SEQUENCES:
        for profile in PROFILES:
            counts = rejected(name, profile, draws)
            shares = " | ".join(f"{100 * count / draws:.2f} %" for count in (*counts, sum(counts)))
            rows.append(f"| {name} | {profile} | {shares} |")
    return "\n".join(rows) + "\n"


def replace_part(name: str, content: str) -> None:
    """Put ``content`` between a pair of the document's comment markers."""
    text = DOCUMENT.read_text(encoding="utf-8")
    before, start, rest = text.partition(f"<!-- {name} -->\n")
    _, end, after = rest.partition(f"<!-- /{name} -->")
    if not start or not end:
        raise ValueError(f"{DOCUMENT.name} has no part '{name}'")
    DOCUMENT.write_text(before + start + content + end + after, encoding="utf-8")


if __name__ == "__main__":
    torch.set_num_threads(1)
    replace_part("redraw rates", table())
