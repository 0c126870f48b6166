"""What reading volumes costs: from the files, prepared for the first time, and by crop from the store.

    python benchmarks/perf/read_volumes.py [--repeats 9] [--volumes 60]

Two tables: milliseconds (median) for one head of 197 x 233 x 189 voxels, float32, resampled to 1.2 mm; and
what sampling crops adds to the resident memory of a process, by the number of scans.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import resource
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

from mribench.data.maps import MapSource
from mribench.data.prepare import Reader, make_maps_recipe
from mribench.data.prepared import Recipe, get_volume_store
from mribench.data.task_recipes import make_task_recipe
from mribench.interfaces import Dataset, Scan, Subject, TaskRef
from mribench.plugins import load_registry
from mribench.seeding import numpy_generator, torch_generator
from mribench.volumes import Volume, write_volume

SHAPE_VOX = (197, 233, 189)
SMALL_VOX = (128, 128, 128)
SPACING_MM = 1.2
CROP_VOX = 96
IDENTITY = {"name": "synthetic", "distribution": "perf", "source": "", "options": {}}


class Synthetic(Dataset):
    """Balls of noise on disk."""

    def __init__(self, folder: Path, count: int, shape_vox: tuple[int, ...], suffix: str) -> None:
        self._subjects = []
        for number in range(count):
            path = folder / f"{number}{suffix}"
            if not path.exists():
                write_volume(path, Volume(_ball(shape_vox, number), np.eye(4)))
            self._subjects.append(Subject("ball", str(number), "", (Scan("T1w", {"image": path}),)))

    def missing(self) -> str:
        """Nothing is missing."""
        return ""

    def subjects(self) -> list[Subject]:
        """Return all subjects."""
        return self._subjects


def _ball(shape_vox: tuple[int, ...], seed: int) -> np.ndarray:
    axes = [np.linspace(-1, 1, n, dtype=np.float32) for n in shape_vox]
    inside = axes[0][:, None, None] ** 2 + axes[1][:, None] ** 2 + axes[2] ** 2 < 0.8
    noise = numpy_generator("ball", seed).standard_normal(shape_vox, dtype=np.float32)
    return np.where(inside, 100 + 10 * noise, 0).astype(np.float32)


def _median_ms(work: Callable[[], object], repeats: int) -> float:
    times = []
    for _ in range(repeats):
        started = time.perf_counter()
        work()
        times.append(1e3 * (time.perf_counter() - started))
    return statistics.median(times)


def times_ms(folder: Path, repeats: int) -> dict[str, float]:
    """Return the median time of each way to a volume."""
    dataset = Synthetic(folder, 1, SHAPE_VOX, ".nii.gz")
    subject = dataset.subjects()[0]
    recipe = make_maps_recipe(Reader(dataset, IDENTITY), subject.scans[0], SPACING_MM)

    def first() -> None:
        store = get_volume_store()
        store.clean()
        store.read(recipe)

    files = _median_ms(recipe.build, repeats)
    built = _median_ms(first, repeats)
    source = MapSource(dataset, [subject], SPACING_MM, ["image"], IDENTITY)
    generator = torch_generator("crop")
    source.crops([0], CROP_VOX, [generator], torch.device("cpu"))
    crop = _median_ms(lambda: source.crops([0], CROP_VOX, [generator], torch.device("cpu")), 10 * repeats)
    opened = _median_ms(lambda: get_volume_store().read(recipe), 10 * repeats)
    return {
        "read and resample the .nii.gz": files,
        "prepare it (first read)": built,
        "open it again": opened,
        f"warm crop of {CROP_VOX}³": crop,
    }


def _sampled(folder: str, count: int, mapped: bool, answers: multiprocessing.Queue[float]) -> None:
    torch.set_num_threads(1)
    dataset = Synthetic(Path(folder), count, SMALL_VOX, ".nii")
    resolved = load_registry().resolve(TaskRef(name="denoising"), "perf", "corrected")
    task, reader = resolved.make(), Reader(dataset, IDENTITY if mapped else None)
    recipes = [
        make_task_recipe(reader, subject, subject.scans[0], task, None, resolved.identity())
        for subject in dataset.subjects()
    ]
    _warm_up(recipes[0].image)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for draw in range(4 * count):
        volume = recipes[draw % count].load()
        task.training_sample(volume, 64, torch_generator("sample", draw))
    unit = 1 if sys.platform == "darwin" else 1024
    answers.put((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * unit / 2**20)


def _warm_up(recipe: Recipe) -> None:
    """Read a volume once, so that what reading itself takes for a moment is not counted."""
    content = recipe.build()
    del content


def memory_mib(folder: Path, counts: list[int]) -> dict[int, tuple[float, float]]:
    """Return the growth of the resident memory by the number of scans: in memory, and mapped."""
    context = multiprocessing.get_context("spawn")
    found: dict[int, list[float]] = {count: [] for count in counts}
    for mapped in (False, True):
        for count in sorted(counts, reverse=True):  # the largest prepares the volumes for all
            for counted in (False, True):
                if not mapped and not counted:
                    continue
                answers: multiprocessing.Queue[float] = context.Queue()
                process = context.Process(target=_sampled, args=(str(folder), count, mapped, answers))
                process.start()
                growth = answers.get()
                process.join()
                if counted:
                    found[count].append(growth)
    return {count: (values[0], values[1]) for count, values in found.items()}


def main() -> None:
    """Print both tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=9)
    parser.add_argument("--volumes", type=int, default=60)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        os.environ["MRIBENCH_CACHE"] = str(folder / "cache")
        found = times_ms(folder, arguments.repeats)
        full = found["read and resample the .nii.gz"]
        print("| what | median ms | times faster |\n|:--|--:|--:|")
        for what, median_ms in found.items():
            print(f"| {what} | {median_ms:.2f} | {full / median_ms:.1f} |")
        counts = [max(1, arguments.volumes // n) for n in (4, 2, 1)]
        print("\n| scans (128³) | in memory, MiB | mapped, MiB |\n|--:|--:|--:|")
        for count, (held, mapped) in memory_mib(folder, counts).items():
            print(f"| {count} | {held:.0f} | {mapped:.0f} |")


if __name__ == "__main__":
    main()
