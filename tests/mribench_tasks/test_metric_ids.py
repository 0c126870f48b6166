"""One id, one definition: in every task, profile and defect an id means the same voxels and range."""

from __future__ import annotations

import itertools
import math
from collections import defaultdict
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from mribench_tasks.denoising import UNIT_PEAK
from mribench_tasks.metrics import ENTRIES, LesionF1, LesionF1Options, NSDOptions
from mribench_tasks.metrics.nsd import NSD
from mribench_tasks.metrics.numbers import decimals
from mribench_tasks.whole_volume import over_whole_volume
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from mribench.errors import DataError
from mribench.interfaces import Entry, Metric, Score, TaskRef, TaskVolume
from mribench.plugins import load_registry
from mribench.registry import Registered

PROFILES = ("corrected", "paper", "as-released")
DEFECTS = (None, [], [UNIT_PEAK.name])
OF_SETS = {"auroc", "balanced-accuracy", "absolute-error", "pearson", "r2"}
METRICS = [entry.name for entry in ENTRIES if entry.name not in OF_SETS]
TASKS = (
    "tissue-segmentation",
    "lesion-segmentation",
    "segmentation",
    "denoising",
    "super-resolution",
    "synthesis",
)
ABOUT_PEOPLE = {"classification", "regression"}
"""Tasks that are scored by metrics of whole sets."""
NEEDED = {"segmentation": {"classes": {"a": 1, "b": [2, 3]}}}
"""Options that a task has no defaults for."""
SHAPE, SPACING_MM = (20, 18, 22), (1.0, 1.5, 2.0)
IMAGE_IDS = {f"{name}{part}" for name in ("psnr:range", "psnr:l1", "ssim", "mae") for part in ("", ":whole")}


class Contrast(Metric):
    """A third party's: the standard deviation of the error, over that of the reference."""

    id, higher_is_better, on_empty = "contrast-error", False, "no masks are compared"

    def __init__(self, options=None):
        del options

    def score(self, prediction, target, spacing_mm, mask=None):
        inside = np.ones(target.shape, bool) if mask is None else mask
        return Score(float((prediction - target)[inside].std() / target[inside].std()))


@pytest.fixture(scope="module")
def registry():
    found = load_registry()
    entry = Entry("metric", Contrast.id, Contrast, summary="relative error")
    found.add(Registered(entry, "third-party", "third-party", "0"))
    return found


def test_every_task_is_looked_at(registry):
    first_party = {found.entry.name for found in registry if found.distribution == "mribench"}
    assert first_party & set(registry.names("task")) == {*TASKS, *ABOUT_PEOPLE}


def rng(seed: int) -> np.random.Generator:
    return np.random.default_rng(seed)


def volume() -> TaskVolume:
    """A scan whose air differs from its head in mean and range."""
    inside = np.zeros(SHAPE, bool)
    inside[6:15, 5:14, 5:17] = True
    image = np.where(inside, rng(1).normal(size=SHAPE), 5 + 3 * rng(2).normal(size=SHAPE))
    head = torch.from_numpy(inside)
    return TaskVolume(
        "t:1", "", "T1w", torch.from_numpy(image)[None].float(), head, None, None,
        SPACING_MM, SPACING_MM, lambda channels: channels, {},
    )  # fmt: skip


def predicted(scan: TaskVolume) -> torch.Tensor:
    """An image whose error is larger in the air."""
    sigma = torch.where(scan.foreground, 0.1, 2.0)
    return scan.image[0] + sigma * torch.from_numpy(rng(3).normal(size=SHAPE)).float()


def made(registry, name, profile, **options):
    given = NEEDED.get(name, {}) | {key: value for key, value in options.items() if value is not None}
    return registry.resolve(TaskRef.model_validate({"name": name, **given}), "test", profile).make()


def denoisings(registry, *metrics: str):
    """Every denoising task that a benchmark file can ask for with these metrics, and with the defaults."""
    for profile, defects in itertools.product(PROFILES, DEFECTS):
        yield made(registry, "denoising", profile, defects=defects)
        for metric in metrics:
            yield made(registry, "denoising", profile, defects=defects, metrics=[metric])


def expected(name: str, scan: TaskVolume, found: np.ndarray) -> float:
    """The value that the id alone says, by NumPy and scikit-image."""
    reference, inside = scan.image[0].numpy().astype(np.float64), scan.foreground.numpy()
    where = np.ones_like(inside) if name.endswith(":whole") else inside
    base = name.removesuffix(":whole")
    if base == "mae":
        return float(np.abs(found - reference)[where].mean())
    span = 1.0 if base == "psnr:l1" else float(np.ptp(reference[where]))
    if base.startswith("psnr"):
        return float(peak_signal_noise_ratio(reference[where], found[where], data_range=span))
    options = {"gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False, "full": True}
    _, similarity = structural_similarity(reference, found, data_range=span, **options)
    windowed = np.zeros_like(inside)
    windowed[5:-5, 5:-5, 5:-5] = True
    return float(similarity[where & windowed].mean())


def test_equal_ids_are_of_equal_voxels_and_range_in_every_profile(registry):
    values = defaultdict(set)
    for task in denoisings(registry, *IMAGE_IDS, Contrast.id):
        scan = volume()
        found = predicted(scan)
        scores = task.score(found, scan)
        assert [score.metric.id for score in scores] == [metric.id for metric in task.metrics]
        for score in scores:
            values[score.metric.id].add(score.score.value)
    assert set(values) == IMAGE_IDS | {Contrast.id, f"{Contrast.id}:whole"}
    assert {name: len(seen) for name, seen in values.items()} == dict.fromkeys(values, 1)
    assert len({value for seen in values.values() for value in seen}) == len(values), "no two ids alike"
    image = found.numpy().astype(np.float64)
    for name in IMAGE_IDS:
        assert min(values[name]) == pytest.approx(expected(name, scan, image), rel=1e-4), name


@pytest.mark.parametrize("profile", PROFILES)
def test_what_lies_outside_the_head_counts_where_the_id_says_so(registry, profile):
    """Voxels, probed: an error in the air moves the metrics of the whole volume and no other."""
    for name in sorted(IMAGE_IDS):
        task = made(registry, "denoising", profile, metrics=[name])
        scan = volume()
        found = predicted(scan)
        (before,) = task.score(found, scan)
        found[0, 0, 0] += 50.0
        # SSIM's windows see their surroundings, and the corner is in the window of no voxel that counts.
        found[10, 9, 2] += 50.0 if before.metric.id.endswith(":whole") else 0.0
        (after,) = task.score(found, scan)
        changed = after.score.value != before.score.value
        assert changed is before.metric.id.endswith(":whole"), before.metric.id


@pytest.mark.parametrize("profile", PROFILES)
def test_the_defect_is_measured_over_the_voxels_of_what_it_replaces(registry, profile):
    task = made(registry, "denoising", profile, metrics=["psnr:range", "psnr:l1"])
    scan = volume()
    scored = {one.metric.id: one.score.value for one in task.score(predicted(scan), scan)}
    (pair,) = [(old, new) for old, new in UNIT_PEAK.metrics.items() if old in scored]
    assert pair[1] in scored, "the defect is measured in every profile"
    reference, inside = scan.image[0].numpy(), scan.foreground.numpy()
    span = np.ptp(reference[inside] if profile == "corrected" else reference)
    assert scored[pair[0]] - scored[pair[1]] == pytest.approx(20 * math.log10(span), abs=1e-4)


@pytest.mark.parametrize("profile", PROFILES)
@pytest.mark.parametrize("name", TASKS)
def test_no_id_is_of_images_in_one_task_and_of_masks_in_another(registry, name, profile):
    """Each task has scores by the metrics of its kind; by the others, no value at all."""
    task = made(registry, name, profile)
    mask = np.zeros(SHAPE, bool)
    mask[5:12, 5:12, 5:12] = True
    given = rng(4).normal(size=(2, *SHAPE)) if task.label is None else np.stack([mask, np.roll(mask, 2, 0)])
    scored = set()
    for metric in METRICS:
        (own,) = made(registry, name, profile, metrics=[metric]).metrics
        try:
            score = own.score(given[0], given[1], SPACING_MM)
        except DataError:
            continue
        assert score.status == "ok"
        scored.add(own.id)
    masks = {entry for entry in METRICS if entry not in IMAGE_IDS}
    released = name == "denoising" and profile != "corrected"
    images = {entry for entry in IMAGE_IDS if entry.endswith(":whole") or not released}
    assert scored == (images if task.label is None else masks)


@pytest.mark.parametrize("name", TASKS[:3])
def test_segmentation_is_scored_alike_in_every_profile(registry, name):
    ids = {tuple(metric.id for metric in made(registry, name, profile).metrics) for profile in PROFILES}
    assert len(ids) == 1


def test_published_psnr_is_matched_in_every_profile_and_exactly_by_one_id(registry):
    path = Path(__file__).parents[2] / "plugins" / "mribench_paper" / "paper.yaml"
    matched = yaml.safe_load(path.read_text(encoding="utf-8"))["match"]["metrics"]["PSNR"]
    emitted = set()
    for profile in PROFILES:
        task = made(registry, "denoising", profile, metrics=["psnr:l1", "psnr:range"])
        emitted |= {metric.id for metric in task.metrics}
    assert set(matched) == emitted
    released = made(registry, "denoising", "as-released").metrics
    assert [name for name, differs in matched.items() if not differs] == [metric.id for metric in released]


def test_ids_do_not_round_the_options_in_them():
    tolerances = (2.0, 2.0000001, 1.9999999999, 0.1 + 0.2, 0.3, 1e-7, 12345678.0, 12345678.5)
    assert len({NSD(NSDOptions(tolerance_mm=value)).id for value in tolerances}) == len(tolerances)
    shares = (0.5, 0.50000001, 1 / 3)
    lesions = [LesionF1(LesionF1Options(match="iou", min_iou=value)).id for value in shares]
    assert lesions[0] == "lesion-f1:iou0.5"
    assert len(set(lesions)) == 3
    volumes = (10.0, 10.0000001, 1e-9)
    small = [LesionF1(LesionF1Options(min_volume_mm3=value)).id for value in volumes]
    assert small == ["lesion-f1:min10mm3", "lesion-f1:min10.0000001mm3", "lesion-f1:min0.000000001mm3"]


@pytest.mark.parametrize("value", [2.0, 0.5, 1e-7, 1e20, 0.1 + 0.2, 5e-324, 1.7976931348623157e308])
def test_a_number_in_an_id_reads_back_as_itself(value):
    text = decimals(value)
    assert float(text) == value
    assert set(text) <= set("0123456789.")
    assert not text.endswith(".")


def test_a_third_partys_metric_says_that_it_is_of_the_whole_volume():
    (found,) = over_whole_volume([Contrast()])
    assert found.id == "contrast-error:whole"
    assert (found.unit, found.higher_is_better, found.on_empty) == ("", False, "no masks are compared")
    assert [metric.id for metric in over_whole_volume([found, Contrast()])] == ["contrast-error:whole"]
    prediction, target = rng(5).normal(size=(2, *SHAPE))
    half = np.arange(SHAPE[0])[:, None, None] < np.full(SHAPE, 10)
    assert found.score(prediction, target, SPACING_MM, half) == Contrast().score(
        prediction, target, SPACING_MM
    )
