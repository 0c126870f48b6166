"""What the metrics cost: HD95 and the other border definitions beside MONAI, and Dice of all labels.

    python benchmarks/perf/metrics.py [--edge 180] [--repeats 5]

One thread, of whose time on the CPU medians are taken. The first table has six kinds of case; repeats take
turns, so that a busy machine slows both. Each pair of values is compared as well.
"""

from __future__ import annotations

import argparse
import statistics
import time
import warnings
from collections.abc import Callable

import numpy as np
import torch
from monai.metrics import compute_dice, compute_hausdorff_distance
from mribench_tasks.metrics import ASSD, MASD, NSD, Dice, HD95MaxDirected, HD95Pooled, surface
from scipy import ndimage

from mribench.execute.processes import keep_freed_memory
from mribench.seeding import numpy_generator

SPACING_MM = (1.0, 1.0, 1.2)
Pair = tuple[np.ndarray, np.ndarray]


def ellipsoid(
    edge: int, centre: tuple[float, ...], radii: tuple[float, ...], rough: float = 0, seed: int = 0
) -> np.ndarray:
    """Return a mask ``(edge, edge, edge)``; lengths are shares of the edge, ``rough`` is one of the radii."""
    axes = np.ogrid[:edge, :edge, :edge]
    distance = sum(((x - c * edge) / (r * edge)) ** 2 for x, c, r in zip(axes, centre, radii, strict=True))
    if not rough:
        return distance <= 1
    noise = numpy_generator("rough", seed).standard_normal((edge,) * 3, dtype=np.float32)
    noise = ndimage.gaussian_filter(noise, edge / 30)
    return np.sqrt(distance) <= 1 + rough * noise / noise.std()


def lesions(edge: int, seed: int, *, moved: float) -> np.ndarray:
    """Return 60 balls; with ``moved`` (in voxels) others of the same, of which a fifth is missing."""
    places, change = numpy_generator("lesions"), numpy_generator("lesions", seed)
    mask = np.zeros((edge,) * 3, dtype=bool)
    for _ in range(60):
        centre, radius = places.uniform(0.1, 0.9, 3), places.uniform(0.01, 0.035)
        centre = centre + moved * change.standard_normal(3) / edge
        if not moved or change.random() < 0.8:
            mask |= ellipsoid(edge, tuple(centre), (radius,) * 3)
    return mask


def cases(edge: int) -> dict[str, Pair]:
    """Return prediction and reference of the six kinds of case."""
    middle, radii = (0.5, 0.5, 0.5), (0.33, 0.39, 0.31)
    organ = ellipsoid(edge, middle, radii, 0.07, 1)
    rim = organ ^ ndimage.binary_erosion(organ)
    near = organ & ~(rim & (numpy_generator("near").random(organ.shape) < 0.05))
    shell = organ & ~ndimage.binary_erosion(organ, iterations=3)
    moved = np.roll(organ, 1, axis=0)
    small = (0.05, 0.05, 0.05)
    return {
        "small blob": (ellipsoid(edge, (0.56, 0.45, 0.5), small), ellipsoid(edge, (0.55, 0.44, 0.5), small)),
        "large blobs": (ellipsoid(edge, (0.51, 0.5, 0.49), radii, 0.07, 2), organ),
        "near-identical": (near, organ),
        "distant": (ellipsoid(edge, (0.2,) * 3, (0.14,) * 3), ellipsoid(edge, (0.78,) * 3, (0.155,) * 3)),
        "many small lesions": (lesions(edge, 1, moved=1.0), lesions(edge, 0, moved=0.0)),
        "thin shell": (moved & ~ndimage.binary_erosion(moved, iterations=2), shell),
    }


def median_ms(works: list[Callable[[], object]], repeats: int) -> tuple[list[float], list[object]]:
    """Return the median time of each, taking turns, and what each returned."""
    times: list[list[float]] = [[] for _ in works]
    found: list[object] = [None] * len(works)
    for _ in range(repeats):
        for number, work in enumerate(works):
            started = time.process_time()
            found[number] = work()
            times[number].append(1e3 * (time.process_time() - started))
    return [statistics.median(each) for each in times], found


def batch(mask: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(mask)[None, None].float()


def hd95(pair: Pair, repeats: int) -> tuple[float, float, float]:
    """Return the median ms of MONAI, of ours, and of five border definitions together."""
    tensors = [batch(mask) for mask in pair]

    def monai() -> float:
        return compute_hausdorff_distance(
            *tensors, include_background=True, percentile=95, spacing=SPACING_MM
        ).item()

    def ours() -> float:
        surface._distances_mm.cache_clear()
        return HD95MaxDirected().score(*pair, SPACING_MM).value

    def five() -> None:
        surface._distances_mm.cache_clear()
        for metric in (HD95MaxDirected(), HD95Pooled(), ASSD(), MASD(), NSD()):
            metric.score(*pair, SPACING_MM)

    times, found = median_ms([monai, ours, five], repeats)
    np.testing.assert_allclose(found[0], found[1], rtol=1e-5)
    return times[0], times[1], times[2]


def dice(edge: int, repeats: int) -> dict[str, float]:
    """Return the median ms of Dice of three labels, three ways."""
    reference = sum(
        ellipsoid(edge, (0.5,) * 3, (r,) * 3, 0.05, 1).astype(np.uint8) for r in (0.45, 0.35, 0.2)
    )
    predicted = np.roll(reference, 2, axis=0)
    labels = [[image == label for label in (1, 2, 3)] for image in (predicted, reference)]
    tensors = [torch.from_numpy(np.stack(masks))[None].float() for masks in labels]

    def by_label() -> list[float]:
        return [Dice().score(predicted == label, reference == label, SPACING_MM).value for label in (1, 2, 3)]

    def by_one_bincount() -> list[float]:
        table = np.bincount((4 * predicted + reference).ravel(), minlength=16).reshape(4, 4)
        sizes = table.sum(0) + table.sum(1)
        return [2 * table[label, label] / sizes[label] for label in (1, 2, 3)]

    def monai() -> list[float]:
        return compute_dice(*tensors).ravel().tolist()

    times, found = median_ms([monai, by_label, by_one_bincount], repeats)
    for values in found[1:]:
        np.testing.assert_allclose(values, found[0], rtol=1e-5)
    return dict(zip(("MONAI, labels apart", "`dice`, label by label", "one bincount"), times, strict=True))


def main() -> None:
    """Print both tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--edge", type=int, default=180)
    parser.add_argument("--repeats", type=int, default=5)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    keep_freed_memory()  # as the process of a job does
    warnings.simplefilter("ignore", FutureWarning)  # MONAI's, about its own arguments
    print("| case | MONAI, ms | hd95:max-directed, ms | times faster | five definitions, ms |")
    print("|:--|--:|--:|--:|--:|")
    ratios = []
    for name, pair in cases(arguments.edge).items():
        monai_ms, ours_ms, five_ms = hd95(pair, arguments.repeats)
        ratios.append(monai_ms / ours_ms)
        print(f"| {name} | {monai_ms:.0f} | {ours_ms:.1f} | {ratios[-1]:.1f} | {five_ms:.1f} |", flush=True)
    print(f"| median (smallest) | | | {statistics.median(ratios):.1f} ({min(ratios):.1f}) | |")
    found = dice(arguments.edge, arguments.repeats)
    print("\n| Dice of three labels | ms | times faster |\n|:--|--:|--:|")
    first = next(iter(found.values()))
    for what, ms in found.items():
        print(f"| {what} | {ms:.1f} | {first / ms:.1f} |")


if __name__ == "__main__":
    main()
