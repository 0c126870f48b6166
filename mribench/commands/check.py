"""What ``mribench check`` does: whether results show what their benchmark file says that they must."""

from __future__ import annotations

from pathlib import Path

from rich.console import Console
from rich.table import Table

from mribench.commands.report import load
from mribench.commands.terminal import make_text, print_table, say
from mribench.config import load_benchmark
from mribench.errors import ConfigError
from mribench.report import Material
from mribench.report.checks import Judged, judge_checks


def check_results(file: Path, results: Path, sets: tuple[str, ...]) -> int:
    """Judge the checks of a benchmark file by its results; 1 when one does not hold."""
    config = load_benchmark(file, list(sets))
    if not config.checks:
        raise ConfigError(f"{file}: there are no checks in it", "add a list of them under checks:")
    directory, run = load(file, results, sets)
    judged = judge_checks(Material(run, directory), config.checks)
    console = Console()
    print_table(console, _make_table(judged), key=2)
    for check in judged:
        if check.note:
            say(console, f"{check.kind} {check.compared}: {check.note}")
    held = sum(check.holds for check in judged)
    say(console, f"{held} of {len(judged)} checks hold", "green" if held == len(judged) else "red")
    return 0 if held == len(judged) else 1


def _make_table(judged: list[Judged]) -> Table:
    table = Table(title="checks")
    for column in ("check", "compared", "where", "figures", "verdict"):
        table.add_column(column)
    for check in judged:
        for line in check.lines:
            verdict = make_text("holds", "green") if line.holds else make_text("fails", "red")
            texts = (check.kind, check.compared, line.where, line.figures)
            table.add_row(*map(make_text, texts), verdict)
    return table
