"""The example in docs/compare.md is what the command prints.

``PYTHONPATH=tests/report python tests/compare/test_compare_docs.py`` writes it anew.
"""

from __future__ import annotations

import io
import tempfile
import zlib
from pathlib import Path

import numpy as np
from rich.console import Console
from synthetic_results import DICE, HD95, Benchmark, Cell, task

from mribench import compare
from mribench.compare import comparison_document, of_one
from mribench.report import load_run, render

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "compare.md"
START, END = "<!-- example -->\n", "<!-- /example -->"
COMMAND = (
    "mribench compare results/synthetic seqinv base --table difference --table sequences --table one-out"
)
TABLES = ("difference", "sequences", "one-out")


def noise(*key: object) -> float:
    return float(np.random.default_rng(zlib.crc32(repr(key).encode())).normal())


def score(cell: Cell, metric: str, subject: str, label: str) -> float | tuple[float, str, float]:
    method, seed, tested = cell["method"], cell["seed"], cell["test_sequence"]
    value = 0.7 + 0.05 * noise(subject) + 0.02 * noise(method, seed)
    value += 0.02 * noise(method, seed, subject, label, cell["train_sequence"], tested, cell["fraction"])
    value += (method == "seqinv") * (0.06 if tested == "T2w" else 0.03)
    if metric == "dice":
        return value
    if (method, seed, subject, label) == ("base", 0, "IXI003", "WM"):
        return float("nan"), "pred-empty", 80.0
    return 20 * (1 - value)


BENCHMARK = Benchmark(
    score,
    tasks={"tissue": task([DICE, HD95], (0.1, 1.0), ("T1w", "T2w"))},
    seeds=(0, 1, 2, 3, 4),
    subset_seeds=(None,),
    subjects=tuple(f"IXI{k:03d}" for k in range(12)),
    transfer=True,
)


def example() -> str:
    with tempfile.TemporaryDirectory() as folder:
        root = BENCHMARK.write(Path(folder))
        document = comparison_document(of_one(load_run(root), root, "seqinv", "base"), TABLES)
        console = Console(file=io.StringIO(), width=110, force_terminal=True, color_system=None)
        with console.capture() as capture:
            render(document, "terminal", console)
    lines = [line.rstrip() for line in capture.get().splitlines()]
    text = "\n".join(line for k, line in enumerate(lines) if line or (k and lines[k - 1])).strip()
    return f"```text\n$ {COMMAND}\n\n{text}\n```\n"


def test_the_example_is_what_is_printed() -> None:
    """Again: PYTHONPATH=tests/report python tests/compare/test_compare_docs.py."""
    text = PAGE.read_text(encoding="utf-8")
    assert text.partition(START)[2].partition(END)[0] == example()


def test_the_page_names_every_table_and_verdict() -> None:
    text = PAGE.read_text(encoding="utf-8")
    assert [name for name in compare.TABLES if f"| `{name}` |" not in text] == []


if __name__ == "__main__":
    before, _, rest = PAGE.read_text(encoding="utf-8").partition(START)
    PAGE.write_text(before + START + example() + END + rest.partition(END)[2], encoding="utf-8")
