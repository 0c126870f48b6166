"""What the evaluations of an adaptation cost: a process for each, one for all, one that loads nothing anew.

    python benchmarks/perf/evaluate.py [--rounds 9] [--spacing-mm 5] [--scans 8]

A phantom benchmark is run once. Then all cells of one adaptation are evaluated again and again, in three
ways by turns; printed are seconds a cell, of the clock and of the CPU (from the fork of a process on), and
how many times less that is than a process for each (median, least and largest of the rounds). Score rows of
all three are compared bit for bit.
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

QUICKSTART = Path(__file__).parents[1] / "quickstart.yaml"
Seconds = list[tuple[float, float]]
SHORT = (
    "seeds=[0]", "methods={base: {views: mprage, objective: simclr-recon}}", "reference_arms=[]",
    "defaults.pretrain.steps=4", "tasks.tissue.adapt.steps=4", "tasks.denoise.adapt.steps=1",
)  # fmt: skip


def evaluate(cpu_s: str, *arguments: object) -> None:
    """Evaluate a batch, and add the seconds of CPU that it took to a file."""
    from mribench.execute import worker

    try:
        worker.main(*arguments)
    finally:
        with Path(cpu_s).open("a") as file:
            file.write(f"{time.process_time()}\n")


def evaluate_anew(*arguments: object) -> None:
    """Evaluate a batch, each cell of which loads everything itself."""
    from mribench.jobs import Shared

    Shared.give_back = lambda *_: None
    evaluate(*arguments)


def make_cells(folder: Path, spacing_mm: float, n_scans: int) -> list[Path]:
    """Run a benchmark, and return the folders of the evaluations of the adaptation that has most of them."""
    from mribench.commands.run import run_file
    from mribench.results.specification import read_specification

    sets = (*SHORT, f"data.ixi.spacing_mm={spacing_mm}", f"splits.ixi.test={n_scans}")
    run_file(QUICKSTART, sets, folder, "inline", (), None, (), False, False, False)
    by_adaptation: dict[str, list[Path]] = {}
    for job in sorted(folder.glob("quickstart/jobs/*/job.json")):
        spec = read_specification(job.parent).spec
        if spec.kind == "evaluate":
            by_adaptation.setdefault(spec.adapt_key, []).append(job.parent)
    return max(by_adaptation.values(), key=len)


def forget(cells: Sequence[Path]) -> None:
    """Leave nothing of the jobs but what they are asked."""
    for cell in cells:
        asked = (cell / "job.json").read_bytes()
        shutil.rmtree(cell)
        cell.mkdir()
        (cell / "job.json").write_bytes(asked)


def run_batches(work: Callable[..., None], batches: Sequence[Sequence[Path]]) -> tuple[float, float]:
    """Run batches in a process each, one after another; return seconds of the clock and of the CPU."""
    from mribench.execute.processes import start_process

    start = time.perf_counter()
    with tempfile.NamedTemporaryFile() as cpu_s:
        for batch in batches:
            asked = ([str(cell) for cell in batch], None, 1, 900.0, "perf")
            process = start_process(work, cpu_s.name, *asked, name="perf")
            process.join()
            if process.exitcode:
                raise SystemExit(f"{batch[0]}/log.txt: {process.exitcode}")
        wall_s = time.perf_counter() - start
        return wall_s, sum(map(float, Path(cpu_s.name).read_text().split()))


def read_rows(cells: Sequence[Path]) -> list[object]:
    """Return the score rows of the cells."""
    import pyarrow.parquet as pq

    return [pq.read_table(cell / "records.parquet") for cell in cells]


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--spacing-mm", type=float, default=5.0, help="of the test scans' files")
    parser.add_argument("--scans", type=int, default=8, help="of each cell")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        os.environ.setdefault("MRIBENCH_CACHE", str(Path(name) / "cache"))
        cells = make_cells(Path(name), arguments.spacing_mm, arguments.scans)
        expected, each = read_rows(cells), [[cell] for cell in cells]
        ways = {
            "a process each": (evaluate, each),
            "one process": (evaluate_anew, [cells]),
            "one process, shared": (evaluate, [cells]),
        }
        taken: dict[str, list[tuple[float, float]]] = {way: [] for way in ways}
        for way in list(ways) * (1 + arguments.rounds):
            forget(cells)
            taken[way].append(run_batches(*ways[way]))
            if read_rows(cells) != expected:
                raise SystemExit(f"{way}: other score rows")
        print(f"{len(cells)} cells; the same rows each time\n")
        print("| way | s a cell | times less | CPU s a cell | times less |\n|:--|--:|--:|--:|--:|")
        alone = taken["a process each"]
        for way, seconds in taken.items():
            print(
                f"| {way} | {' | '.join(describe(alone, seconds, place, len(cells)) for place in (0, 1))} |"
            )


def describe(alone: Seconds, seconds: Seconds, place: int, n_cells: int) -> str:
    """Return the median of a cell, and how many times less it is; the first round has warmed up."""
    ratios = [one[place] / other[place] for one, other in zip(alone[1:], seconds[1:], strict=True)]
    spread = f"{statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})"
    return f"{statistics.median(each[place] for each in seconds[1:]) / n_cells:.2f} | {spread}"


if __name__ == "__main__":
    main()
