"""What a pair of views costs: the three generators, stage by stage, beside a pipeline of MONAI's transforms.

    python benchmarks/perf/views.py [--rounds 9] [--pairs 1000] [--reference FILE]

Everything is measured in one run, by turns. Times are medians over rounds; ratios are taken within a round.
FILE is a Python file with `make(folder, seed)`, which returns a function that makes one pair of the subject
whose four maps lie in the folder: other code to compare with.
"""

from __future__ import annotations

import argparse
import importlib.util
import itertools
import multiprocessing
import os
import resource
import statistics
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import torch
from head_maps import IDENTITY, OneHead, write_head
from views_gpu import gpu_tables

from mribench.data.maps import MapSource
from mribench.execute.processes import keep_freed_memory
from mribench.interfaces import MRISequence, SequenceRef, ViewRequest, ViewsRef
from mribench.plugins import load_registry
from mribench.seeding import torch_generator

PATCH_VOX = 96
GENERATORS = ("mprage", "seqaug", "seqinv")
SEQUENCES = ("fse", "gre", "flair", "mprage", "mp2rage")
AUGMENT = {"elastic_probability": 0.8}
"""As often as the pipeline that is compared with."""
STAGES = {
    "read the crop of four maps": ("mribench.data.maps", "MapSource.crops"),
    "draw everything random": ("mribench_views.generators", "SimulatedViews._plan"),
    "signal equations, with B1+": ("mribench_views.generators", "simulate"),
    "percentile window": ("mribench.augmentation.apply", "intensity_window"),
    "crop, affine, flips, elastic": ("mribench.augmentation.apply", "resample"),
    "bias field, Gibbs, noise": ("mribench.augmentation.apply", "add_artefacts"),
    "z-score": ("mribench.augmentation.apply", "standardise"),
    "dropout": ("mribench.augmentation.apply", "drop_cuboids"),
}
MIB = 2**20

Pair = Callable[[], object]


def ours(folder: Path, name: str) -> Pair:
    """Return a function that reads a crop and makes a pair of views, as pretraining does."""
    generator = load_registry().resolve(
        ViewsRef.model_validate({"name": name, "augment": AUGMENT}), "perf", "corrected"
    ).make()  # fmt: skip
    dataset = OneHead(folder)
    source = MapSource(dataset, dataset.subjects(), None, generator.needs, IDENTITY)
    spacing_mm, edge = source.spacing_mm(), generator.source_vox(PATCH_VOX)
    numbers = itertools.count()

    def pair() -> object:
        generators = [torch_generator("perf", next(numbers))]
        maps = source.crops([0], edge, generators, torch.device("cpu")).maps
        return generator.views(maps, (ViewRequest(), ViewRequest()), PATCH_VOX, spacing_mm, generators)

    return pair


def sequences() -> list[MRISequence]:
    """Return the five sequences that SeqInv draws from."""
    registry = load_registry()
    references = [SequenceRef.model_validate({"name": name}) for name in SEQUENCES]
    return [registry.resolve(reference, "perf", "corrected").make() for reference in references]


def theirs(folder: Path, reference: Path | None, done: Callable[[str], None] | None = None) -> Pair:
    """Return a function that makes a pair by MONAI's transforms, or by the code of a file."""
    if reference is None:
        from monai_views import ReleasedOrder  # its import is not what is compared

        pipeline = ReleasedOrder(sequences(), seed=0)
        return lambda: pipeline.pair(folder, done or (lambda _: None))
    spec = importlib.util.spec_from_file_location("reference", reference)
    if spec is None or spec.loader is None:
        raise SystemExit(f"{reference} is not a Python file")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    made: Pair = module.make(folder, 0)
    return made


def seconds(work: Pair) -> float:
    """Return how long one call takes."""
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def _as_a_job(threads: int) -> None:
    """Set the process up as one that runs a job; the reference has it so too."""
    torch.set_num_threads(threads)
    keep_freed_memory()


def by_turns(folder: Path, threads: int, rounds: int, reference: Path | None) -> dict[str, list[float]]:
    """Return the seconds of each round for each generator and for the reference."""
    _as_a_job(threads)
    pairs: dict[str, Pair] = {name: ours(folder, name) for name in GENERATORS}
    pairs["reference"] = theirs(folder, reference)
    for pair in pairs.values():
        pair()
    found: dict[str, list[float]] = {name: [] for name in pairs}
    for _ in range(rounds):
        for name, pair in pairs.items():
            # the reference is slow: its neighbours are repeated, so that both see the same machine
            repeats = 1 if name == "reference" else 5
            found[name].append(statistics.mean(seconds(pair) for _ in range(repeats)))
    return found


def stages(folder: Path, rounds: int, reference: Path | None) -> tuple[dict[str, float], dict[str, float]]:
    """Return the mean milliseconds a SeqInv pair spends in each stage: ours, and the reference's."""
    _as_a_job(1)
    spent: dict[str, float] = defaultdict(float)
    _instrument(spent)
    pair = ours(folder, "seqinv")
    pair()
    spent.clear()
    count = 5 * rounds
    total = sum(seconds(pair) for _ in range(count))
    mine = {name: 1e3 * spent[name] / count for name in STAGES}
    mine["the rest"] = 1e3 * total / count - sum(mine.values())
    clock = _Clock()
    other = theirs(folder, reference, clock)
    other()
    clock.start()
    for _ in range(rounds):
        other()
        clock("the rest")
    return mine, {name: 1e3 * value / rounds for name, value in clock.spent.items()}


class _Clock:
    """Adds up the time between calls under the name of each."""

    def __init__(self) -> None:
        self.start()

    def start(self) -> None:
        self.spent: dict[str, float] = defaultdict(float)
        self._last = time.perf_counter()

    def __call__(self, name: str) -> None:
        now = time.perf_counter()
        self.spent[name] += now - self._last
        self._last = now


def _instrument(spent: dict[str, float]) -> None:
    for label, (module_name, path) in STAGES.items():
        owner: Any = importlib.import_module(module_name)
        *inner, name = path.split(".")
        for part in inner:
            owner = getattr(owner, part)
        setattr(owner, name, _timed(getattr(owner, name), label, spent))


def _timed(work: Callable[..., Any], label: str, spent: dict[str, float]) -> Callable[..., Any]:
    def timed(*arguments: Any, **options: Any) -> Any:
        started = time.perf_counter()
        result = work(*arguments, **options)
        spent[label] += time.perf_counter() - started
        return result

    return timed


def throughput(folder: Path, count: int) -> float:
    """Return the pairs per second of one process with one thread."""
    _as_a_job(1)
    pair = ours(folder, "seqinv")
    pair()
    return count / sum(seconds(pair) for _ in range(count))


def memory(folder: Path, pairs: int, reference: Path | None, which: str) -> list[float]:
    """Return MiB beyond the imports: the peak, and what is resident after each tenth of the pairs."""
    _as_a_job(1)
    load_registry()  # imports what the plugins need
    pair = None if which == "ours" else theirs(folder, reference)
    unit = 1 if sys.platform == "darwin" else 1024
    process = psutil.Process()
    before = process.memory_info().rss
    pair = pair or ours(folder, "seqinv")
    resident = []
    for number in range(pairs):
        pair()
        if (number + 1) % max(1, pairs // 10) == 0:
            resident.append((process.memory_info().rss - before) / MIB)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
    return [(peak - before) / MIB, *resident]


def apart(work: Callable[..., Any], *arguments: Any, processes: int = 1) -> list[Any]:
    """Run a function in fresh processes at once, and return what each returns."""
    with multiprocessing.get_context("spawn").Pool(processes) as pool:
        return pool.starmap(work, [arguments] * processes, chunksize=1)


def table(header: str, rows: Iterator[str] | list[str]) -> None:
    """Print a Markdown table."""
    columns = header.count("|") - 1
    print(f"\n{header}\n|:--|{'--:|' * (columns - 1)}")
    print("\n".join(rows))


def _spread(values: list[float], digits: int = 0) -> str:
    low, middle, high = np.percentile(values, [5, 50, 95])
    return f"{middle:.{digits}f} [{low:.{digits}f}, {high:.{digits}f}]"


def _times(folder: Path, rounds: int, reference: Path | None) -> None:
    rows = []
    for threads in (1, 2):
        (found,) = apart(by_turns, folder, threads, rounds, reference)
        for name in (*GENERATORS, "reference"):
            ratios = [a / b for a, b in zip(found["reference"], found[name], strict=True)]
            milliseconds = [1e3 * value for value in found[name]]
            per_s = 1 / statistics.median(found[name])
            rows.append(
                f"| {name} | {threads} | {_spread(milliseconds)} | {per_s:.2f} | {_spread(ratios, 1)} |"
            )
    table(
        "| generator | threads | ms a pair, median [5 %, 95 %] | pairs/s | times the reference's speed |",
        rows,
    )


def _stages(folder: Path, rounds: int, reference: Path | None) -> None:
    ((mine, other),) = apart(stages, folder, rounds, reference)
    table("| stage of a SeqInv pair, ours | ms |", [f"| {name} | {ms:.1f} |" for name, ms in mine.items()])
    table("| stage, reference | ms |", [f"| {name} | {ms:.0f} |" for name, ms in other.items()])


def _processes(folder: Path, count: int) -> None:
    rows = [
        f"| {processes} | {sum(apart(throughput, folder, count, processes=processes)):.1f} |"
        for processes in (1, 2)
    ]
    table("| processes, 1 thread each | SeqInv pairs/s |", rows)


def _memory(folder: Path, pairs: int, reference: Path | None) -> None:
    (mine,) = apart(memory, folder, pairs, reference, "ours")
    (other,) = apart(memory, folder, 3, reference, "reference")
    tenths = " ".join(f"{value:.0f}" for value in mine[1:])
    print(f"\nMemory beyond the imports, 1 thread: ours {mine[0]:.0f} MiB at most over {pairs} pairs "
          f"(after each tenth: {tenths}), the reference {other[0]:.0f} MiB.")  # fmt: skip


def _gpu() -> None:
    if not torch.cuda.is_available():
        print("\nNo CUDA device: batched views and their share of a pretraining step were not measured.")
        return
    print(f"\n{torch.cuda.get_device_name()}\n")
    print("\n".join(gpu_tables(torch.device("cuda"))))


def main() -> None:
    """Print all tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=9, help="rounds of each timing")
    parser.add_argument("--pairs", type=int, default=1000, help="pairs over which memory is watched")
    parser.add_argument("--reference", type=Path, help="Python file with make(folder, seed)")
    parser.add_argument("--only", choices=["times", "stages", "processes", "memory", "gpu"])
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        os.environ["MRIBENCH_CACHE"] = str(folder / "cache")
        write_head(folder)
        parts: dict[str, Callable[[], None]] = {
            "times": lambda: _times(folder, arguments.rounds, arguments.reference),
            "stages": lambda: _stages(folder, arguments.rounds, arguments.reference),
            "processes": lambda: _processes(folder, 10 * arguments.rounds),
            "memory": lambda: _memory(folder, arguments.pairs, arguments.reference),
            "gpu": _gpu,
        }
        for part, work in parts.items():
            if arguments.only in (None, part):
                work()


if __name__ == "__main__":
    main()
