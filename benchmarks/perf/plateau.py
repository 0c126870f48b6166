"""Whether adaptations of a benchmark are long enough: every cell at the file's steps, and at twice as many.

A cell has reached its plateau where the doubling changes its mean by at most one standard error. Results go
where those of the benchmark go, and what is there is not computed again: a run that is stopped goes on.

Example: python benchmarks/perf/plateau.py benchmarks/sensitivity.yaml --output plateau
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from mribench.commands import DEFAULT_RESULTS
from mribench.config import digest_config, load_benchmark
from mribench.report import Material, load_run
from mribench.report.tables.grids import TRANSFER

PLACE = ["task", "fraction", "metric", "train_sequence", "test_sequence", "test_site", "row"]


def double_steps(file: Path, sets: Sequence[str]) -> list[str]:
    """Return the settings that double the steps of every task that trains a decoder."""
    tasks = load_benchmark(file, list(sets)).tasks
    return [f"tasks.{name}.adapt.steps={2 * task.adapt.steps}" for name, task in tasks.items() if task.adapt]


def run_cells(file: Path, sets: Sequence[str], results: Path, words: Sequence[str]) -> pd.DataFrame:
    """Run a benchmark, or what of it is not done, and return its cells in the units of tables."""
    settings = [part for text in sets for part in ("--set", text)]
    command = [sys.executable, "-m", "mribench", "run", str(file), *settings, "--results", str(results)]
    subprocess.run([*command, *words], check=True)
    config = load_benchmark(file, list(sets))
    run = load_run(results / config.benchmark, digest_config(config))
    return scaled_cells(Material(run))


def scaled_cells(material: Material) -> pd.DataFrame:
    """Return ``PLACE``, ``mean`` and ``se`` of every cell that is done, in the units of tables."""
    cells = material.cells(TRANSFER)
    done = cells[cells["status"].eq("ok") & cells["n_seeds"].gt(0)]
    scale = [material.metric(*place).scale for place in zip(done["task"], done["metric"], strict=True)]
    return done[PLACE].assign(mean=done["mean"] * scale, se=done["se"] * scale)


def compare(once: pd.DataFrame, twice: pd.DataFrame) -> pd.DataFrame:
    """Return ``PLACE``, both means and standard errors, ``difference``, and ``plateau``: at most one SE."""
    both = once.merge(twice, on=PLACE, suffixes=("", "_twice"), validate="one_to_one")
    difference = both["mean_twice"] - both["mean"]
    return both.assign(difference=difference, plateau=difference.abs() <= both["se"])


def to_markdown(table: pd.DataFrame) -> str:
    """Return the table as Markdown."""
    lines = [
        "| task | tested on | metric | row | at its steps | at twice | difference | within one SE |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for cell in table.itertuples(index=False):
        values = f"{cell.mean:.1f} ± {cell.se:.1f} | {cell.mean_twice:.1f} ± {cell.se_twice:.1f}"
        tested = f"{cell.train_sequence} → {cell.test_sequence}, {cell.test_site}"
        place = f"{cell.task} {100 * cell.fraction:g} % | {tested}"
        verdict = "no SE" if pd.isna(cell.se) else "yes" if cell.plateau else "**no**"
        lines.append(
            f"| {place} | {cell.metric} | {cell.row} | {values} | {cell.difference:+.1f} | {verdict} |"
        )
    reached = f"{int(table['plateau'].sum())} of {len(table)} cells change by at most one SE."
    return "\n".join([*lines, "", reached, ""])


def main() -> None:
    """Run both, print the table, and write it as Markdown and CSV."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("file", type=Path)
    parser.add_argument("--set", dest="sets", action="append", default=[], metavar="KEY=VALUE")
    parser.add_argument("--results", type=Path, default=DEFAULT_RESULTS)
    parser.add_argument("--jobs", help="as mribench run has it")
    parser.add_argument("--output", type=Path, help="name of the files, without .md and .csv")
    given = parser.parse_args()
    words = ["--jobs", given.jobs] if given.jobs else []
    doubled = double_steps(given.file, given.sets)
    once = run_cells(given.file, given.sets, given.results, words)
    twice = run_cells(given.file, [*given.sets, *doubled], given.results, words)
    table = compare(once, twice)
    text = to_markdown(table)
    print(text)
    if given.output:
        given.output.with_suffix(".md").write_text(text, encoding="utf-8")
        table.to_csv(given.output.with_suffix(".csv"), index=False)


if __name__ == "__main__":
    main()
