"""Limits in mm and mm³ hold at equality on grids as NIfTI files keep them, in float32."""

from __future__ import annotations

from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from mribench_tasks.metrics import NSD, LesionF1, LesionF1Options, NSDOptions
from scipy.spatial.transform import Rotation

from mribench.volumes import read_volume

SHAPE = (12, 12, 12)


def plate(at: int) -> np.ndarray:
    """Return a mask of one layer."""
    mask = np.zeros(SHAPE, bool)
    mask[2:10, 2:10, at] = True
    return mask


def edges_of_file(
    path: Path, angles_deg: np.ndarray, edge_mm: float, form: str
) -> tuple[float, float, float]:
    """Write an oblique grid as sform or as qform; return its edges as they are read."""
    affine = np.eye(4)
    affine[:3, :3] = Rotation.from_euler("xyz", angles_deg, degrees=True).as_matrix() * edge_mm
    image = nib.Nifti1Image(np.arange(12.0**3, dtype=np.float32).reshape(SHAPE), affine)
    image.set_sform(affine if form == "sform" else None, int(form == "sform"))
    image.set_qform(affine if form == "qform" else None, int(form == "qform"))
    nib.save(image, path)
    return read_volume(path).spacing_mm


@pytest.mark.parametrize("form", ["sform", "qform"])
@pytest.mark.parametrize("edge_mm", [1.0, 0.4, 0.1])
def test_what_lies_just_at_a_limit_counts(tmp_path: Path, form: str, edge_mm: float) -> None:
    rng = np.random.default_rng(0)
    nsd = NSD(NSDOptions(tolerance_mm=3 * edge_mm))
    just = LesionF1(LesionF1Options(min_volume_mm3=64 * edge_mm**3))
    inexact = 0
    for _ in range(30):
        spacing_mm = edges_of_file(tmp_path / "grid.nii", rng.uniform(-25, 25, 3), edge_mm, form)
        inexact += spacing_mm != (edge_mm,) * 3
        assert nsd.score(plate(3), plate(6), spacing_mm).value == 1.0, spacing_mm
        assert just.score(plate(4), plate(4), spacing_mm).status == "ok", spacing_mm
    assert form == "qform" or inexact > 10, "the files are the hard case"


def test_what_lies_beyond_a_limit_does_not_count() -> None:
    assert NSD(NSDOptions(tolerance_mm=2.9999)).score(plate(3), plate(6), (1, 1, 1)).value < 1
    too_large = LesionF1(LesionF1Options(min_volume_mm3=64.01))
    assert too_large.score(plate(4), plate(4), (1, 1, 1)).status == "both-empty"
