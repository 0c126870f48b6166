"""The part of `views.py` that needs a GPU: batched views, and their share of a pretraining step."""

from __future__ import annotations

import itertools
import statistics
import time
from collections.abc import Callable, Mapping

import torch
from torch import Tensor

from mribench.config import Optimisation
from mribench.interfaces import (
    EncoderRef,
    ObjectiveRef,
    SampleOrigin,
    View,
    ViewGenerator,
    ViewRequest,
    ViewsRef,
)
from mribench.plugins import load_registry
from mribench.seeding import torch_generator
from mribench.training import Trainee, train

PAPER_ENCODER = {"name": "cnn", "features": [64, 128, 256, 512, 768]}
TYPICAL = {"PD": 70.0, "R1": 0.8, "R2s": 18.0, "MTsat": 1.0}
REQUESTS = (ViewRequest(), ViewRequest())


def device_maps(device: torch.device, batch: int, edge_vox: int) -> dict[str, Tensor]:
    """Return crops of four maps ``(B, I, J, K)`` on the device."""
    generator = torch_generator("perf", "maps")
    shape = (batch, edge_vox, edge_vox, edge_vox)
    return {
        name: (typical * (0.5 + torch.rand(shape, generator=generator))).to(device)
        for name, typical in TYPICAL.items()
    }


def make_views(
    generator: ViewGenerator, maps: Mapping[str, Tensor], patch_vox: int, first: int
) -> list[View]:
    """Return a batch of pairs; ``first`` numbers its first sample."""
    batch = maps["PD"].shape[0]
    generators = [torch_generator("perf", first + sample) for sample in range(batch)]
    return generator.views(maps, REQUESTS, patch_vox, 1.0, generators)


def median_s(work: Callable[[int], object], device: torch.device, repeats: int) -> float:
    """Return the median seconds of a call, with the device's work done."""
    times = []
    for number in range(repeats + 3):
        _wait(device)
        started = time.perf_counter()
        work(number)
        _wait(device)
        times.append(time.perf_counter() - started)
    return statistics.median(times[3:])


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def step_s(device: torch.device, generator: ViewGenerator, maps: Mapping[str, Tensor], patch_vox: int,
           encoder: Mapping[str, object], repeats: int) -> tuple[float, float]:  # fmt: skip
    """Return the median seconds of a pretraining step, and of its views."""
    registry = load_registry()
    torch.manual_seed(0)
    network = registry.resolve(EncoderRef.model_validate(encoder), "perf", "corrected").make()
    objective = registry.resolve(ObjectiveRef(name="simclr-recon"), "perf", "corrected").make(network)
    objective.to(device, memory_format=torch.channels_last_3d).train()
    origins = [SampleOrigin(str(sample)) for sample in range(maps["PD"].shape[0])]
    views_s: list[float] = []
    ends: list[float] = []

    class Timed(Trainee):
        """The objective on views that are timed as they are made."""

        module, identity = objective, ("perf",)

        def losses(self, step: int, batch: int) -> Mapping[str, Tensor]:
            _wait(device)
            started = time.perf_counter()
            views = make_views(generator, maps, patch_vox, batch * len(origins))
            _wait(device)
            views_s.append(time.perf_counter() - started)
            for view in views:
                view.origins = origins
            return objective.loss(views, step, repeats)

    def ended(_done: int, _total: int) -> None:
        _wait(device)
        ends.append(time.perf_counter())

    options = Optimisation(steps=repeats + 4, lr=1e-4, precision="bf16")
    train(Timed(), options, device, on_step=ended)
    steps = [after - before for before, after in itertools.pairwise(ends[3:])]
    return statistics.median(steps), statistics.median(views_s[4:])


def gpu_tables(
    device: torch.device, *, patch_vox: int = 96, encoder: Mapping[str, object] = PAPER_ENCODER,
    batches: tuple[int, ...] = (1, 8, 32), repeats: int = 20,
) -> list[str]:  # fmt: skip
    """Return the lines of two tables: pairs per second by batch, and the share of a pretraining step."""
    lines = ["| generator | batch | ms a batch | pairs/s |", "|:--|--:|--:|--:|"]
    for name in ("mprage", "seqaug", "seqinv"):
        generator = load_registry().resolve(ViewsRef(name=name), "perf", "corrected").make()
        for batch in batches:
            maps = device_maps(device, batch, generator.source_vox(patch_vox))
            taken_s = median_s(
                lambda number, g=generator, m=maps, b=batch: make_views(g, m, patch_vox, number * b),
                device, repeats,
            )  # fmt: skip
            lines.append(f"| {name} | {batch} | {1e3 * taken_s:.1f} | {batch / taken_s:.0f} |")
    maps = device_maps(device, 8, generator.source_vox(patch_vox))
    whole_s, views_s = step_s(device, generator, maps, patch_vox, encoder, repeats)
    lines += ["", "| pretraining step, batch 8 x 2 views, bf16 | ms |", "|:--|--:|",
              f"| whole step | {1e3 * whole_s:.1f} |",
              f"| SeqInv views | {1e3 * views_s:.1f} ({views_s / whole_s:.0%}) |"]  # fmt: skip
    return lines
