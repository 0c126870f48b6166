"""Where training crops are centred, for every task, and that only the generator decides."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from mribench_tasks.dense import patch_inside, random_centre, random_voxel_of

from mribench.interfaces import TaskRef, TaskVolume
from mribench.plugins import load_registry

TASKS = ("tissue-segmentation", "lesion-segmentation", "denoising")


@pytest.fixture(autouse=True)
def _one_thread():
    torch.set_num_threads(1)


@pytest.fixture(scope="module")
def registry():
    return load_registry()


def make(registry, name, profile="corrected", **options):
    return registry.resolve(TaskRef.model_validate({"name": name, **options}), "test", profile).make()


def generator(*seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(sum(seed))


def scan(shape=(30, 34, 28), lesion=True) -> TaskVolume:
    """A box of a head, with a lesion of 4 x 4 x 4 voxels off its middle."""
    foreground = torch.zeros(shape, dtype=torch.bool)
    foreground[4:-4, 4:-4, 4:-4] = True
    label = torch.zeros(shape, dtype=torch.int64)
    if lesion:
        label[8:12, 16:20, 15:19] = 1
    return TaskVolume(
        "t:1", "", "T1w", torch.randn(1, *shape, generator=generator(0)), foreground, label, label.numpy(),
        (1, 1, 1), (1, 1, 1), lambda channels: channels, {},
    )  # fmt: skip


@pytest.mark.parametrize("name", TASKS)
def test_samples_depend_on_the_generator_alone(registry, name):
    task, volume = make(registry, name), scan()
    torch.manual_seed(1)
    first = task.training_sample(volume, 16, generator(5))
    torch.manual_seed(2)
    state = torch.get_rng_state()
    again = task.training_sample(volume, 16, generator(5))
    assert torch.equal(state, torch.get_rng_state())
    other = task.training_sample(volume, 16, generator(6))
    assert set(first) == set(again)
    assert all(torch.equal(first[key], again[key]) for key in first)
    assert not torch.equal(first["image"], other["image"])


@pytest.mark.parametrize("name", TASKS)
@pytest.mark.parametrize("patch_vox", [8, 32, 40])
def test_samples_have_the_patchs_size_also_in_small_volumes(registry, name, patch_vox):
    sample = make(registry, name).training_sample(scan(), patch_vox, generator(1))
    assert {tuple(value.shape) for value in sample.values()} == {(1, patch_vox, patch_vox, patch_vox)}
    assert sample["image"].dtype == torch.float32


@pytest.mark.parametrize("name", TASKS)
def test_many_samples_are_all_different(registry, name):
    task, volume = make(registry, name), scan()
    sums = {task.training_sample(volume, 16, generator(seed))["image"].sum().item() for seed in range(50)}
    assert len(sums) == 50


def test_the_scan_is_left_as_it_was(registry):
    volume = scan()
    before = volume.image.clone(), volume.label.clone()
    for name in TASKS:
        make(registry, name).training_sample(volume, 16, generator(1))
    assert torch.equal(volume.image, before[0])
    assert torch.equal(volume.label, before[1])


@pytest.mark.parametrize(("ratio", "share"), [(6, 6 / 7), (1, 0.5), (0, 0)])
def test_lesion_crops_are_on_the_lesion_in_the_asked_ratio(registry, ratio, share):
    task, volume = make(registry, "lesion-segmentation", foreground_ratio=ratio), scan()
    # a patch of two voxels leaves no room to move: its centre is the lesion voxel that was drawn
    on_lesion = [bool(volume.label[task.centre(volume, 2, generator(seed))]) for seed in range(700)]
    sigma = np.sqrt(share * (1 - share) / 700)
    assert np.mean(on_lesion) == pytest.approx(share, abs=4 * sigma + 1e-9)


def test_the_lesion_is_not_always_in_the_middle_of_the_crop(registry):
    task, volume = make(registry, "lesion-segmentation", foreground_ratio=1e9), scan()
    voxel = tuple(int(i) for i in torch.nonzero(volume.label)[0])
    volume.label.zero_()[voxel] = 1
    centres = [task.centre(volume, 9, generator(seed)) for seed in range(200)]
    shifts = np.array(centres) - np.array(voxel)
    assert np.abs(shifts).max() <= 3
    assert all(len(set(axis)) >= 4 for axis in shifts.T)


def test_the_default_ratio_is_six_to_one(registry):
    assert make(registry, "lesion-segmentation")._foreground_share == pytest.approx(6 / 7)


def test_a_scan_without_lesion_gives_crops_of_the_head(registry):
    task, volume = make(registry, "lesion-segmentation"), scan(lesion=False)
    for seed in range(20):
        assert volume.foreground[task.centre(volume, 8, generator(seed))]


def test_every_voxel_of_the_head_can_be_a_centre():
    inside = torch.zeros(6, 6, 6, dtype=torch.bool)
    inside[1:5, 2:5, 3:6] = True
    counts = np.zeros((6, 6, 6))
    for seed in range(2000):
        counts[random_centre(inside, 1, generator(seed))] += 1
    assert not counts[~inside.numpy()].any()
    expected = 2000 / int(inside.sum())
    assert (np.abs(counts[inside.numpy()] - expected) < 5 * np.sqrt(expected)).all()


def test_an_empty_head_still_gives_a_centre():
    assert random_centre(torch.zeros(4, 4, 4, dtype=torch.bool), 2, generator(0)) is not None


def test_a_random_voxel_of_a_sparse_mask():
    mask = torch.zeros(5, 6, 7, dtype=torch.bool)
    mask[4, 2, 6] = mask[0, 5, 1] = True
    assert {random_voxel_of(mask, generator(seed)) for seed in range(30)} == {(4, 2, 6), (0, 5, 1)}
    assert random_voxel_of(torch.zeros_like(mask), generator(0)) is None


@pytest.mark.parametrize("patch", [1, 4, 5, 8])
@pytest.mark.parametrize("centre", [(0, 0, 0), (7, 8, 9), (4, 4, 4)])
def test_patches_lie_in_the_volume(patch, centre):
    shape = (8, 9, 10)
    for middle, size in zip(patch_inside(centre, shape, patch), shape, strict=True):
        assert middle - patch // 2 >= 0
        assert middle - patch // 2 + patch <= size
    assert patch_inside((0, 0, 0), (3, 9, 9), 8)[0] == 1
