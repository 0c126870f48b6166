"""What ``mribench compare`` does: two methods, from what is on disk, without plugins, data or torch."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import click

from mribench.commands.report import check_output, load, show
from mribench.compare import Pair, comparison_document, of_one, of_two
from mribench.errors import MRIBenchError


def show_comparison(
    words: tuple[str, ...],
    methods: tuple[str, ...],
    output_format: str,
    tables: tuple[str, ...],
    fraction: float | None,
    output: Path | None,
    results: Path,
    sets: tuple[str, ...],
) -> None:
    """Compare two methods: the difference, whether it is real, and where it comes from."""
    if output_format == "parquet" and output is None:
        raise click.UsageError("--format parquet is not text: say where it goes with --output FILE")
    check_output(output, output_format, words)
    pair = _load_pair(words, methods, results, sets)
    show(comparison_document(pair, tables, fraction), output_format, output)


def _load_pair(words: Sequence[str], methods: Sequence[str], results: Path, sets: Sequence[str]) -> Pair:
    if len(words) == 3:
        if methods:
            raise click.UsageError("--method goes with two RESULTS; with one, name both methods after it")
        directory, run = load(Path(words[0]), results, sets)
        return of_one(run, directory, words[1], words[2])
    if len(methods) > 2:
        raise click.UsageError(f"--method is given {len(methods)} times: once, or once for each RESULTS")
    if sets:
        raise click.UsageError("--set goes with one benchmark FILE and two methods")
    _check_second(words)
    loaded = [load(Path(word), results, sets) for word in words]
    return of_two([run for _, run in loaded], [directory for directory, _ in loaded], methods)


def _check_second(words: Sequence[str]) -> None:
    """Say what is missing where the second word is a method and there is no third."""
    first, second = words
    if Path(first).exists() and not Path(second).exists() and not second.endswith((".yaml", ".yml")):
        raise MRIBenchError(
            f"'{second}' is no results folder or file, and a method needs another to be compared with",
            f"mribench compare {first} {second} METHOD_B",
        )
