"""BIDS entities: what tells scans of a session apart, and what is no scan."""

from __future__ import annotations

import pytest
from imitated import image, mask

STEM = "sub-M1_ses-1"


@pytest.mark.parametrize(
    ("files", "sessions"),
    [
        (("acq-a_T1w", "acq-b_T1w"), {"1_acq-a", "1_acq-b"}),
        (("rec-norm_T1w", "rec-orig_T1w"), {"1_rec-norm", "1_rec-orig"}),
        (("echo-1_T2w", "echo-2_T2w"), {"1_echo-1", "1_echo-2"}),
        (("ce-gad_T1w", "T1w"), {"1_ce-gad", "1"}),
        (("inv-1_T1w", "inv-2_T1w"), {"1_inv-1", "1_inv-2"}),
        (("acq-a_rec-x_run-1_T1w", "acq-a_rec-x_run-2_T1w"), {"1_acq-a_rec-x_run-1", "1_acq-a_rec-x_run-2"}),
    ],
)
def test_scans_of_a_session_have_names_of_their_own(build, tmp_path, files, sessions):
    for seed, name in enumerate(files):
        image(tmp_path / "sub-M1" / "ses-1" / "anat" / f"{STEM}_{name}.nii.gz", seed)
    (subject,) = build("arc", root=tmp_path).subjects()
    assert {scan.session for scan in subject.scans} == sessions


def test_phase_images_and_other_spaces_are_no_scans_and_are_counted(build, tmp_path):
    anat = tmp_path / "sub-M1" / "ses-1" / "anat"
    for name in (
        "T2w", "part-mag_T1w", "part-phase_T1w", "part-real_T1w", "part-imag_T1w", "space-MNI152_T2w",
        "space-orig_FLAIR",
    ):  # fmt: skip
        image(anat / f"{STEM}_{name}.nii.gz")
    masks = tmp_path / "derivatives" / "lesion_masks" / "sub-M1" / "ses-1" / "anat"
    mask(masks / f"{STEM}_desc-lesion_mask.nii.gz")
    mask(masks / f"{STEM}_space-MNI152_desc-lesion_mask.nii.gz")
    image(tmp_path / "derivatives" / "fmriprep" / "sub-M1" / "anat" / "sub-M1_space-MNI152_T1w.nii.gz")
    dataset = build("arc", root=tmp_path)
    (subject,) = dataset.subjects()
    names = [scan.images["image"].name for scan in subject.scans]
    used = {name.removeprefix(f"{STEM}_").removesuffix(".nii.gz") for name in names}
    assert used == {"T2w", "part-mag_T1w", "space-orig_FLAIR"}
    assert {path.name for scan in subject.scans for path in scan.labels["lesion"]} == {
        f"{STEM}_desc-lesion_mask.nii.gz"
    }
    assert dataset.ignored() == {
        "part-phase and the like: no magnitude": 3,
        "space-*: in another space": 2,
        "derivatives/fmriprep/*": 1,
    }
