"""Batched equals one at a time: every transform and generator, whatever the batch, order, views, threads.

The public path (``views`` on the CPU) is bit for bit. The raw transforms on a batch, which is what a GPU
runs, are bit for bit where an operation has no sum over voxels, and else within the ``CLOSE`` tolerance.
"""

from __future__ import annotations

import gc
import hashlib
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
import torch
from hypothesis import HealthCheck, given, settings, strategies as st
from mribench_views.acquisition import Acquisition, draw_transmit, draw_valid, simulate
from torch import Tensor

from mribench.augmentation import AugmentDraw, AugmentOptions, apply, draw_augmentation, splines
from mribench.interfaces import View, ViewRequest
from mribench.jobs.draws import draw_identity
from mribench.seeding import torch_generator

NAMES = ("mprage", "seqaug", "seqinv")
PATCH, SOURCE, SPACING_MM = 10, 12, 4.0
CLOSE = {"rtol": 1e-4, "atol": 1e-5}
Fixture = Callable[..., Any]
REQUESTS = {
    "one": (ViewRequest(),),
    "pair": (ViewRequest(),) * 2,
    "multi-crop": (*(ViewRequest(),) * 2, *(ViewRequest("local", 0.5),) * 2, ViewRequest("local", 0.3)),
}
ALWAYS = AugmentOptions(
    elastic_probability=1.0, bias_probability=1.0, gibbs_probability=1.0, noise_probability=1.0,
    dropout_probability=1.0, scale=0.1,
)  # fmt: skip
SOMETIMES = AugmentOptions()
properties = settings(
    max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


def augmentations(seeds: Sequence[int], options: AugmentOptions) -> list[AugmentDraw]:
    rngs = [torch.Generator().manual_seed(seed) for seed in seeds]
    return [draw_augmentation(options, PATCH, (SOURCE,) * 3, SPACING_MM, rng) for rng in rngs]


def images(seeds: Sequence[int], edge: int, channel: bool = True) -> Tensor:
    """Noise, one sample for each seed, whose batch does not matter."""
    drawn = [torch.rand(edge, edge, edge, generator=torch.Generator().manual_seed(seed)) for seed in seeds]
    stacked = torch.stack(drawn) ** 2
    return stacked[:, None] if channel else stacked


# Each transform

BITWISE: dict[str, Callable[[list[int], AugmentOptions], Tensor]] = {
    "intensity_window": lambda seeds, _: apply.intensity_window(images(seeds, SOURCE, False), 0.5, 95.0),
    "equalise": lambda seeds, _: apply.equalise(images(seeds, SOURCE, False)),
    "drop_cuboids": lambda seeds, options: apply.drop_cuboids(
        images(seeds, PATCH), augmentations(seeds, options)
    ),
    "noise": lambda seeds, options: apply.add_artefacts(
        images(seeds, PATCH), [only(one, "noise") for one in augmentations(seeds, options)], 15.0
    ),
}
NEARLY: dict[str, Callable[[list[int], AugmentOptions], Tensor]] = {
    "resample": lambda seeds, options: apply.resample(
        images(seeds, SOURCE), augmentations(seeds, options), PATCH, 6.0
    ),
    "receive field": lambda seeds, options: apply.add_artefacts(
        images(seeds, PATCH), [only(one, "bias") for one in augmentations(seeds, options)], 15.0
    ),
    "truncate_frequencies": lambda seeds, options: apply.truncate_frequencies(
        images(seeds, PATCH), [one.gibbs_kept for one in augmentations(seeds, options)]
    ),
    "add_artefacts": lambda seeds, options: apply.add_artefacts(
        images(seeds, PATCH), augmentations(seeds, options), 15.0
    ),
    "standardise": lambda seeds, _: apply.standardise(images(seeds, PATCH), images(seeds, PATCH) ** 2)[0],
    "target": lambda seeds, _: apply.standardise(images(seeds, PATCH), images(seeds, PATCH) ** 2)[1],
    "expand": lambda seeds, options: splines.expand(
        torch.stack([one.displacement_vox for one in augmentations(seeds, options)]), (9, PATCH, 8), 6.0
    ),
}


def only(one: AugmentDraw, step: str) -> AugmentDraw:
    """Keep one artefact of a draw."""
    if step == "noise":
        return replace(one, gibbs_kept=(1.0,) * 3, parameters={**one.parameters, "bias_sd": 0.0})
    return replace(one, gibbs_kept=(1.0,) * 3, noise_sigma=0.0)


seeds_of_a_batch = st.lists(st.integers(0, 2**31), min_size=1, max_size=5)


@pytest.mark.parametrize("step", BITWISE)
@pytest.mark.parametrize("options", [ALWAYS, SOMETIMES], ids=["always", "sometimes"])
@properties
@given(seeds=seeds_of_a_batch)
def test_step_is_bitwise_the_samples_alone(step: str, options: AugmentOptions, seeds: list[int]) -> None:
    together = BITWISE[step](seeds, options)
    alone = [BITWISE[step]([seed], options) for seed in seeds]
    assert torch.equal(together, torch.cat(alone))


@pytest.mark.parametrize("step", NEARLY)
@pytest.mark.parametrize("options", [ALWAYS, SOMETIMES], ids=["always", "sometimes"])
@properties
@given(seeds=seeds_of_a_batch)
def test_step_is_the_samples_alone_up_to_rounding(
    step: str, options: AugmentOptions, seeds: list[int]
) -> None:
    together = NEARLY[step](seeds, options)
    alone = [NEARLY[step]([seed], options) for seed in seeds]
    torch.testing.assert_close(together, torch.cat(alone), **CLOSE)


@properties
@given(
    seeds=seeds_of_a_batch,
    chosen=st.lists(st.sampled_from(("fse", "gre", "flair", "mprage", "mp2rage")), min_size=5, max_size=5),
    transmit_sd=st.sampled_from([0.0, 0.1]),
)
def test_simulation_is_the_samples_alone(
    seeds: list[int], chosen: list[str], transmit_sd: float, sequence: Fixture, head: Fixture
) -> None:
    """Samples that share a sequence are computed together, wherever they are in the batch."""
    known = {name: sequence(name) for name in set(chosen)}
    scans = []
    for seed, name in zip(seeds, chosen, strict=False):
        rng = torch.Generator().manual_seed(seed)
        field = draw_transmit(transmit_sd, (SOURCE,) * 3, SPACING_MM, rng)
        scans.append(Acquisition(known[name], *draw_valid(known[name], rng, 1000), transmit=field))
    maps = {name: values[: len(seeds)] for name, values in head(5, SOURCE).items()}
    together = simulate(maps, scans, SPACING_MM)
    for index, scan in enumerate(scans):
        one = {name: values[index : index + 1] for name, values in maps.items()}
        alone = simulate(one, [scan], SPACING_MM)
        torch.testing.assert_close(together[index : index + 1], alone, rtol=1e-3, atol=1e-3)


def test_noise_of_a_sample_is_its_own() -> None:
    """The property above would hold for samples that all had the same noise."""
    empty = torch.zeros(3, 1, PATCH, PATCH, PATCH)
    quiet = [replace(only(one, "noise"), noise_sigma=0.1) for one in augmentations([1, 2, 3], ALWAYS)]
    noise = apply.add_artefacts(empty, quiet, 15.0).flatten(1).numpy()
    correlation = np.corrcoef(noise)[np.triu_indices(3, 1)]
    assert np.abs(correlation).max() < 4 / np.sqrt(PATCH**3)


# The generators


def made(
    built: Any,
    maps: dict[str, Tensor],
    seeds: Sequence[int],
    requests: Sequence[ViewRequest],
    threads: int = 1,
) -> list[View]:
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        rngs = [torch.Generator().manual_seed(seed) for seed in seeds]
        views: list[View] = built.views(maps, requests, PATCH, SPACING_MM, rngs)
    finally:
        torch.set_num_threads(before)
    return views


def rows(maps: dict[str, Tensor], chosen: Sequence[int]) -> dict[str, Tensor]:
    return {name: values[list(chosen)] for name, values in maps.items()}


def assert_same(ours: Sequence[View], theirs: Sequence[View], row: int = 0, other: int = 0) -> None:
    for view, reference in zip(ours, theirs, strict=True):
        assert torch.equal(view.image[row], reference.image[other])
        assert torch.equal(view.target[row], reference.target[other])
        assert view.parameters[row] == reference.parameters[other]
        assert view.sequences[row] == reference.sequences[other]


@pytest.mark.parametrize("profile", ["corrected", "as-released"])
@pytest.mark.parametrize("name", NAMES)
@settings(properties, max_examples=6)
@given(
    order=st.permutations(range(5)), batch=st.integers(1, 5), asked=st.sampled_from(sorted(REQUESTS)),
    seed=st.integers(0, 2**40), threads=st.sampled_from([1, 2]),
)  # fmt: skip
def test_views_are_bitwise_the_samples_alone(
    name: str, profile: str, order: list[int], batch: int, asked: str, seed: int, threads: int,
    generator: Fixture, head: Fixture,
) -> None:  # fmt: skip
    built, maps, chosen = generator(name, profile), head(5, SOURCE), order[:batch]
    requests = REQUESTS[asked]
    together = made(built, rows(maps, chosen), [seed + one for one in chosen], requests, threads)
    assert [view.image.shape[-1] for view in together] == [round(PATCH * r.patch_scale) for r in requests]
    for row, one in enumerate(chosen):
        assert_same(together, made(built, rows(maps, [one]), [seed + one], requests), row)


@pytest.mark.parametrize("name", NAMES)
def test_redraws_of_a_batch_are_those_of_its_samples(name: str, generator: Fixture, head: Fixture) -> None:
    built, maps, pair = generator(name, "paper"), head(5, SOURCE), REQUESTS["pair"]
    together = made(built, maps, range(5), pair)
    alone = [made(built, rows(maps, [one]), [one], pair) for one in range(5)]
    for index, view in enumerate(together):
        assert view.redraws == sum(views[index].redraws for views in alone)


@pytest.mark.parametrize("layout", ["strided", "reversed", "channels last", "expanded"])
def test_layout_of_the_maps_changes_nothing(layout: str, generator: Fixture, head: Fixture) -> None:
    built, maps = generator("seqinv"), head(2, SOURCE)
    if layout == "expanded":
        maps = {name: values[:1].expand(2, -1, -1, -1) for name, values in maps.items()}
    plain = made(
        built, {name: values.contiguous() for name, values in maps.items()}, (1, 2), REQUESTS["pair"]
    )
    other = {name: laid_out(values, layout) for name, values in maps.items()}
    assert not any(values.is_contiguous() for values in other.values())
    shown = made(built, other, (1, 2), REQUESTS["pair"])
    for row in range(2):
        assert_same(shown, plain, row, row)


def laid_out(values: Tensor, layout: str) -> Tensor:
    if layout == "strided":
        wide = values.new_full((*values.shape[:3], 2 * values.shape[3]), float("nan"))
        wide[..., ::2] = values
        return wide[..., ::2]
    if layout == "reversed":
        return values.permute(3, 2, 1, 0).contiguous().permute(3, 2, 1, 0)
    if layout == "channels last":
        return values.permute(1, 2, 3, 0).contiguous().permute(3, 0, 1, 2)
    return values


def test_memory_mapped_crops_change_nothing(tmp_path: Path, generator: Fixture, head: Fixture) -> None:
    """As the store of prepared volumes gives them: read-only files, of which a window is read."""
    built, maps = generator("seqinv"), head(1, SOURCE)
    windows = {}
    for name, values in maps.items():
        volume = np.full((SOURCE + 5, SOURCE + 4, SOURCE + 3), np.nan, dtype=np.float32)
        volume[2 : 2 + SOURCE, 3 : 3 + SOURCE, 1 : 1 + SOURCE] = values[0].numpy()
        np.save(tmp_path / f"{name}.npy", volume)
        mapped = np.load(tmp_path / f"{name}.npy", mmap_mode="c")
        window = mapped[2 : 2 + SOURCE, 3 : 3 + SOURCE, 1 : 1 + SOURCE]
        assert isinstance(window, np.memmap)
        windows[name] = torch.from_numpy(window)[None]
    shown = made(built, windows, (3,), REQUESTS["multi-crop"])
    assert_same(shown, made(built, maps, (3,), REQUESTS["multi-crop"]))


@pytest.mark.parametrize("name", NAMES)
def test_float64_maps_give_the_same_views_in_double_precision(
    name: str, generator: Fixture, head: Fixture
) -> None:
    """Clipping and percentiles pass rounding on, so the two precisions agree in the mean only closely."""
    built, maps = generator(name), head(3, SOURCE)
    double = {key: values.double() for key, values in maps.items()}
    single = made(built, maps, (1, 2, 3), REQUESTS["pair"])
    shown = made(built, double, (1, 2, 3), REQUESTS["pair"])
    for view, reference in zip(shown, single, strict=True):
        assert view.target.dtype == torch.float64
        torch.testing.assert_close(view.target.float(), reference.target, rtol=1e-2, atol=1e-2)
        assert view.parameters == reference.parameters
    for row in range(3):
        alone = made(built, {k: v[row : row + 1] for k, v in double.items()}, (row + 1,), REQUESTS["pair"])
        assert_same(shown, alone, row)


@pytest.mark.parametrize("name", NAMES)
def test_bfloat16_around_it_changes_nothing(name: str, generator: Fixture, head: Fixture) -> None:
    built, maps = generator(name), head(2, SOURCE)
    plain = made(built, maps, (1, 2), REQUESTS["multi-crop"])
    with torch.autocast("cpu", dtype=torch.bfloat16):
        mixed = made(built, maps, (1, 2), REQUESTS["multi-crop"])
    for row in range(2):
        assert_same(mixed, plain, row, row)


# The harness: no pool of loader processes; what a sample draws is named, not counted


def test_draws_of_a_training_sample_depend_on_its_step_and_place_alone(
    generator: Fixture, head: Fixture
) -> None:
    """Seeds are derived from (seed, step, place): steps in any order, in any process, draw the same."""
    built, maps, pair = generator("seqinv"), head(2, SOURCE), REQUESTS["pair"]

    def digest(step: int) -> str:
        rngs = [torch_generator("views", 0, *draw_identity(step, place, 4, ())) for place in range(2)]
        views = built.views(maps, pair, PATCH, SPACING_MM, rngs)
        return hashlib.sha256(b"".join(view.image.numpy().tobytes() for view in views)).hexdigest()

    forwards = [digest(step) for step in range(4)]
    backwards = [digest(step) for step in reversed(range(4))][::-1]
    assert forwards == backwards
    assert len(set(forwards)) == 4


@pytest.mark.slow
def test_memory_stays_flat(generator: Fixture, head: Fixture) -> None:
    """200 pairs of 32³: a kept view of float32 would be 0.13 MB, so 800 kept images 100 MB."""
    built, process = generator("seqinv"), psutil.Process()
    maps = head(1, built.source_vox(32))

    def pairs(first: int, count: int) -> int:
        for seed in range(first, first + count):
            built.views(maps, REQUESTS["pair"], 32, SPACING_MM, [torch.Generator().manual_seed(seed)])
        gc.collect()
        return int(process.memory_info().rss)

    before = pairs(0, 30)
    assert pairs(30, 200) - before < 40e6


# On a GPU


@pytest.fixture
def cuda() -> torch.device:
    if not torch.cuda.is_available():
        pytest.skip("no CUDA device")
    return torch.device("cuda")


@pytest.mark.gpu
@pytest.mark.parametrize("asked", REQUESTS)
@pytest.mark.parametrize("name", NAMES)
def test_views_on_a_gpu_are_those_of_the_cpu_but_for_noise(
    name: str, asked: str, cuda: torch.device, generator: Fixture, head: Fixture
) -> None:
    augment = {**ALWAYS.model_dump(), "noise_probability": 0.0}
    built, maps = generator(name, augment=augment), head(5, SOURCE)
    moved = {key: values.to(cuda) for key, values in maps.items()}
    shown = made(built, moved, range(5), REQUESTS[asked])
    for view, reference in zip(shown, made(built, maps, range(5), REQUESTS[asked]), strict=True):
        assert view.image.device.type == "cuda"
        assert view.parameters == reference.parameters
        torch.testing.assert_close(view.target.cpu(), reference.target, rtol=1e-3, atol=1e-3)
        torch.testing.assert_close(view.image.cpu(), reference.image, rtol=1e-3, atol=1e-3)


@pytest.mark.gpu
def test_batch_on_a_gpu_is_its_samples_alone(cuda: torch.device, generator: Fixture, head: Fixture) -> None:
    """Noise included: each sample has a generator of its own there too."""
    built = generator("seqinv", augment=ALWAYS.model_dump())
    maps = {key: values.to(cuda) for key, values in head(5, SOURCE).items()}
    together = made(built, maps, range(5), REQUESTS["multi-crop"])
    for row in range(5):
        alone = made(built, rows(maps, [row]), [row], REQUESTS["multi-crop"])
        for view, single in zip(together, alone, strict=True):
            torch.testing.assert_close(view.image[row], single.image[0], rtol=1e-3, atol=1e-3)


@pytest.mark.gpu
def test_noise_on_a_gpu_has_the_same_distribution(cuda: torch.device) -> None:
    flat = torch.full((5, 1, PATCH, PATCH, PATCH), 0.2)
    noisy = [replace(only(one, "noise"), noise_sigma=0.1) for one in augmentations(range(5), ALWAYS)]
    there = apply.add_artefacts(flat.to(cuda), noisy, 15.0).cpu()
    here = apply.add_artefacts(flat, noisy, 15.0)
    assert there.mean().item() == pytest.approx(here.mean().item(), abs=4 * 0.1 * (2 / flat.numel()) ** 0.5)
    assert there.std().item() == pytest.approx(here.std().item(), rel=0.08)
