"""Real scans: they load, are brought to RAS, and go through a denoising evaluation."""

from __future__ import annotations

from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import torch

from mribench.data.prepare import find_foreground, zscore
from mribench.data.task_recipes import load_task_volume
from mribench.interfaces import Dataset, EncoderRef, Scan, Subject, TaskRef
from mribench.jobs.model import TaskModel
from mribench.plugins import load_registry
from mribench.seeding import numpy_generator, torch_generator
from mribench.volumes import read_volume

SCANS = ("chris_T1w", "chris_PDw", "arc_M2208_T2w")


class OneScan(Dataset):
    """One image on disk."""

    def __init__(self, path: Path) -> None:
        self.subject = Subject("real", path.name.partition(".")[0], "here", (Scan("T1w", {"image": path}),))

    def missing(self) -> str:
        return ""

    def subjects(self) -> list[Subject]:
        return [self.subject]


@pytest.fixture(scope="module")
def registry():  # type: ignore[no-untyped-def]
    return load_registry()


@pytest.mark.parametrize("name", SCANS)
def test_reorientation_keeps_every_voxel_in_its_place(shared_dir: Path, name: str) -> None:
    path = shared_dir / "data" / "scans" / f"{name}.nii.gz"
    volume, image = read_volume(path), nib.load(path)
    assert nib.aff2axcodes(volume.affine) == ("R", "A", "S")
    voxels = np.asarray(image.dataobj, dtype=np.float32).reshape(image.shape[:3])
    there = numpy_generator("voxels", name).integers(0, voxels.shape, size=(200, 3))
    world = nib.affines.apply_affine(image.affine, there)
    here = np.rint(nib.affines.apply_affine(np.linalg.inv(volume.affine), world)).astype(int)
    np.testing.assert_allclose(volume.data[tuple(here.T)], voxels[tuple(there.T)], rtol=1e-5)


@pytest.mark.parametrize("name", SCANS)
def test_denoising_evaluation(shared_dir: Path, name: str, registry) -> None:  # type: ignore[no-untyped-def]
    torch.set_num_threads(1)
    dataset = OneScan(shared_dir / "data" / "scans" / f"{name}.nii.gz")
    task = registry.resolve(TaskRef(name="denoising"), "test", "corrected").make()
    subject = dataset.subject
    volume, source = load_task_volume(dataset, subject, subject.scans[0], task, spacing_mm=5.0)
    assert source == "none"
    assert volume.image.mean().item() == pytest.approx(0, abs=1e-3)
    assert volume.image.std().item() == pytest.approx(1, abs=1e-2)
    assert volume.spacing_mm == pytest.approx((5, 5, 5), abs=1e-3)
    head = volume.foreground.float().mean().item()
    assert 0.1 < head < 0.8
    encoder_ref = EncoderRef.model_validate({"name": "cnn", "features": [4, 8]})
    encoder = registry.resolve(encoder_ref, "test", "corrected").make()
    model = TaskModel(encoder, task, frozen=True, seed=0).eval()

    def forward(image: torch.Tensor) -> torch.Tensor:
        return model.over_volume(image, (32, 32, 32), 0.25)

    def generator() -> torch.Generator:
        return torch_generator("test-noise", name)

    unchanged = task.identity(volume, generator())
    [identity] = task.score(unchanged, volume)
    [restored] = task.score(task.predict(forward, volume, generator()), volume)
    noise = (unchanged - volume.image[0])[volume.foreground]
    reference = volume.image[0][volume.foreground]
    expected = 10 * np.log10(float(reference.max() - reference.min()) ** 2 / float(noise.square().mean()))
    assert identity.score.value == pytest.approx(expected, abs=1e-3)
    assert noise.std().item() == pytest.approx(0.2, rel=0.03)
    assert np.isfinite(restored.score.value)
    assert restored.score.value != identity.score.value


def test_zscore_ignores_outliers_and_scale() -> None:
    image = numpy_generator("z").random((20, 20, 20)).astype(np.float32)
    spiky = image.copy()
    spiky[0, 0, 0] = 1e6
    assert zscore(spiky).max() < 3
    np.testing.assert_allclose(zscore(spiky)[1:], zscore(image)[1:], atol=0.05)
    np.testing.assert_allclose(zscore(image * 37 + 5), zscore(image), atol=1e-4)
    assert zscore(np.zeros((4, 4, 4), np.float32)).std() == 0


def test_foreground_is_the_head_without_holes() -> None:
    i, j, k = np.indices((30, 30, 30)) - 15
    radius = np.sqrt(i**2 + j**2 + k**2)
    image = (radius < 10).astype(np.float32)
    image[radius < 4] = 0  # dark ventricles
    image[0, 0, 0] = 5  # a spike in the air
    found = find_foreground(image + 0.01 * numpy_generator("air").random(image.shape))
    assert found[radius < 9].all()
    assert not found[radius > 14].any()


def test_foreground_of_nothing_is_everything() -> None:
    assert find_foreground(np.zeros((5, 5, 5))).all()
