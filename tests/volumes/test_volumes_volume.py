"""Reading, writing, reorienting and resampling volumes."""

from __future__ import annotations

import gzip
import struct
import warnings
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings, strategies as st
from nibabel import orientations, processing

from mribench.errors import DataError
from mribench.volumes import (
    Volume,
    read_grid_of,
    read_volume,
    resample_to,
    same_grid,
    target_grid,
    write_volume,
)

SHAPE = (12, 14, 10)


def noise(shape=SHAPE, seed=0):
    return np.random.default_rng(seed).uniform(1, 100, shape).astype(np.float32)


def tilted_affine():
    affine = np.diag([1.5, 2.0, 2.5, 1.0])
    angle = 0.2
    turn = np.array([[np.cos(angle), -np.sin(angle), 0], [np.sin(angle), np.cos(angle), 0], [0, 0, 1]])
    affine[:3, :3] = turn @ affine[:3, :3]
    affine[:3, 3] = [-10, 5, 20]
    return affine


def save(path, data, affine=None, **header):
    image = nib.Nifti1Image(data, np.eye(4) if affine is None else affine)
    for key, value in header.items():
        image.header[key] = value
    nib.save(image, path)
    return path


@pytest.fixture
def good(tmp_path) -> Path:
    return save(tmp_path / "good.nii.gz", noise())


# ---- reading -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("suffix", [".nii", ".nii.gz"])
@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.uint16, np.int32, np.float32, np.float64])
def test_any_real_type_is_read_as_float32(tmp_path, dtype, suffix):
    data = (noise() if dtype == np.uint8 else noise() * 3).astype(dtype)
    volume = read_volume(save(tmp_path / f"a{suffix}", data))
    assert volume.data.dtype == np.float32
    assert volume.data.flags.c_contiguous
    np.testing.assert_array_equal(volume.data, data.astype(np.float32))


def test_the_slope_in_the_header_is_applied(tmp_path):
    stored = (np.arange(1000) % 250).reshape(10, 10, 10)
    image = nib.Nifti1Image(stored.astype(np.uint8), np.eye(4))
    image.header.set_slope_inter(0.5, -3)
    image.header["magic"] = b"n+1"
    path = tmp_path / "a.nii"
    with path.open("wb") as stream:  # nibabel would compute a slope of its own
        header = image.header.copy()
        header["vox_offset"] = 352
        stream.write(header.binaryblock + b"\0" * 4)
        stream.write(np.asarray(image.dataobj).tobytes(order="F"))
    np.testing.assert_allclose(read_volume(path).data, stored * 0.5 - 3)


@pytest.mark.parametrize("shape", [(*SHAPE, 1), (*SHAPE, 1, 1)])
def test_one_volume_in_4d_is_a_volume(tmp_path, shape):
    assert read_volume(save(tmp_path / "a.nii.gz", noise(shape))).data.shape == SHAPE


@pytest.mark.parametrize("codes", ["RAS", "LIA", "LPS", "PSR", "LAS", "SRP", "AIL"])
def test_any_orientation_becomes_ras_and_keeps_world_coordinates(tmp_path, codes):
    data, affine = noise(), tilted_affine()
    to_codes = orientations.ornt_transform(
        nib.io_orientation(affine), orientations.axcodes2ornt(tuple(codes))
    )
    stored = orientations.apply_orientation(data, to_codes)
    stored_affine = affine @ orientations.inv_ornt_aff(to_codes, data.shape)
    volume = read_volume(save(tmp_path / "a.nii.gz", stored, stored_affine))
    assert nib.aff2axcodes(volume.affine) == ("R", "A", "S")
    np.testing.assert_array_equal(volume.data, data)
    np.testing.assert_allclose(volume.affine, affine, atol=1e-5)
    # a marked voxel lies where it lay
    where = np.array(np.unravel_index(np.argmax(stored), stored.shape))
    now = np.array(np.unravel_index(np.argmax(volume.data), volume.data.shape))
    world = nib.affines.apply_affine
    np.testing.assert_allclose(world(volume.affine, now), world(stored_affine, where), atol=1e-4)


def test_spacing_and_shape():
    volume = Volume(noise((2, *SHAPE)), tilted_affine())
    assert volume.shape_vox == SHAPE
    np.testing.assert_allclose(volume.spacing_mm, (1.5, 2.0, 2.5))


def test_a_volume_has_three_or_four_axes():
    with pytest.raises(DataError, match="got 2D"):
        Volume(np.zeros((3, 3)), np.eye(4))
    with pytest.raises(DataError, match=r"\(4, 4\)"):
        Volume(np.zeros((3, 3, 3)), np.eye(3))


def test_real_scans_are_read_as_nibabel_reads_them(shared_dir):
    for name in ("chris_T1w", "chris_PDw", "arc_M2208_T2w"):
        path = shared_dir / "data" / "scans" / f"{name}.nii.gz"
        expected = nib.as_closest_canonical(nib.load(path))
        volume = read_volume(path)
        np.testing.assert_allclose(volume.data, expected.get_fdata(), rtol=1e-6)
        np.testing.assert_allclose(volume.affine, expected.affine)


def test_a_real_label_map_is_turned_from_lia(shared_dir):
    path = shared_dir / "data" / "labelmaps" / "subject_01.nii.gz"
    assert nib.aff2axcodes(nib.load(path).affine) == ("L", "I", "A")
    volume = read_volume(path)
    assert nib.aff2axcodes(volume.affine) == ("R", "A", "S")
    left, right = np.argwhere(volume.data == 17), np.argwhere(volume.data == 53)  # hippocampi
    assert left[:, 0].mean() < right[:, 0].mean()


# ---- files that cannot be used -------------------------------------------------------------------------


def refusal(path, **options) -> str:
    with pytest.raises(DataError) as caught:
        read_volume(path, **options)
    error = caught.value
    assert path.name in error.message
    assert error.hint
    assert "\n" not in error.message
    return error.message


def test_missing_and_empty_and_other_files(tmp_path):
    assert "does not exist" in refusal(tmp_path / "none.nii.gz")
    (tmp_path / "empty.nii.gz").touch()
    assert "is empty" in refusal(tmp_path / "empty.nii.gz")
    (tmp_path / "notes.txt").write_text("hello")
    assert "not a .nii" in refusal(tmp_path / "notes.txt")
    (tmp_path / "folder.nii").mkdir()
    assert "folder" in refusal(tmp_path / "folder.nii")
    (tmp_path / "text.nii").write_text("no image " * 100)
    assert "cannot be read as NIfTI" in refusal(tmp_path / "text.nii")
    (tmp_path / "plain.nii.gz").write_bytes(b"not compressed at all" * 30)
    refusal(tmp_path / "plain.nii.gz")


@pytest.mark.parametrize("share", [0.001, 0.01, 0.1, 0.5, 0.9, 0.99])
def test_a_truncated_gz_is_noticed(tmp_path, good, share):
    content = good.read_bytes()
    path = tmp_path / "cut.nii.gz"
    path.write_bytes(content[: max(1, int(len(content) * share))])
    refusal(path)


@pytest.mark.parametrize("missing", [1, 4, 8, 9])
def test_a_gz_that_misses_its_last_bytes_is_noticed(tmp_path, good, missing):
    path = tmp_path / "cut.nii.gz"
    path.write_bytes(good.read_bytes()[:-missing])
    assert "truncated" in refusal(path)


def test_a_flipped_bit_in_the_voxels_is_noticed(tmp_path, good):
    content = bytearray(good.read_bytes())
    content[len(content) // 2] ^= 0x10
    path = tmp_path / "bit.nii.gz"
    path.write_bytes(content)
    refusal(path)


@pytest.mark.parametrize("keep", [100, 348, 352, 1000])
def test_a_truncated_nii_is_noticed(tmp_path, keep):
    path = save(tmp_path / "a.nii", noise())
    path.write_bytes(path.read_bytes()[:keep])
    refusal(path)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(place=st.integers(0, 351), value=st.integers(0, 255))
def test_a_damaged_header_never_crashes(tmp_path, place, value):
    content = bytearray(save(tmp_path / "a.nii", noise((4, 5, 6))).read_bytes())
    content[place] = value
    path = tmp_path / "damaged.nii"
    path.write_bytes(content)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            volume = read_volume(path)
        except DataError as error:
            assert path.name in error.message  # noqa: PT017 - either outcome is fine
        else:
            assert np.isfinite(volume.data).all()
            assert volume.data.ndim == 3


def test_a_file_is_not_believed_to_be_gigantic(tmp_path):
    for suffix in (".nii", ".nii.gz"):
        path = save(tmp_path / f"bomb{suffix}", noise())
        content = bytearray(gzip.decompress(path.read_bytes()) if suffix == ".nii.gz" else path.read_bytes())
        content[40:56] = struct.pack("<8h", 3, 32767, 32767, 32767, 1, 1, 1, 1)
        path.write_bytes(gzip.compress(bytes(content)) if suffix == ".nii.gz" else bytes(content))
        assert "claims 32767x32767x32767 voxels" in refusal(path)


def test_2d_and_time_series_are_refused(tmp_path):
    assert "not 3D, shape 12x14" in refusal(save(tmp_path / "a.nii.gz", noise((12, 14))))
    assert "not 3D, shape 12x14x1" in refusal(save(tmp_path / "b.nii.gz", noise((12, 14, 1))))
    assert "more than one volume" in refusal(save(tmp_path / "c.nii.gz", noise((6, 6, 6, 3))))


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_voxels_that_are_not_finite_are_refused(tmp_path, bad):
    data = noise()
    data[1, 2, 3] = bad
    assert "1 voxels that are not finite" in refusal(save(tmp_path / "a.nii.gz", data))


def test_doubles_beyond_float32_are_not_finite(tmp_path):
    data = noise().astype(np.float64)
    data[0, 0, 0] = 1e300
    assert "not finite" in refusal(save(tmp_path / "a.nii.gz", data))


def test_constant_images_are_refused_and_empty_masks_are_not(tmp_path):
    path = save(tmp_path / "a.nii.gz", np.zeros(SHAPE, np.uint8))
    assert "same value" in refusal(path)
    assert read_volume(path, allow_constant=True).data.max() == 0


def test_complex_and_colour_voxels_are_refused(tmp_path):
    assert "one real number" in refusal(save(tmp_path / "a.nii.gz", noise().astype(np.complex64)))
    colour = np.zeros(SHAPE, dtype=[("R", "u1"), ("G", "u1"), ("B", "u1")])
    assert "one real number" in refusal(save(tmp_path / "b.nii.gz", colour))


@pytest.mark.parametrize("rows", [np.zeros((3, 4)), np.full((3, 4), np.nan), np.ones((3, 4))])
def test_an_affine_that_spans_no_space_is_refused(tmp_path, rows):
    path = tmp_path / "a.nii"
    save(path, noise(), np.diag([2, 2, 2, 1]))
    content = bytearray(path.read_bytes())
    content[252:256] = struct.pack("<2h", 0, 1)  # qform_code, sform_code
    content[280:328] = struct.pack("<12f", *rows.ravel())
    path.write_bytes(content)
    assert "affine" in refusal(path) or "voxel edges" in refusal(path)


# ---- writing -------------------------------------------------------------------------------------------


def test_what_is_written_is_read(tmp_path):
    volume = Volume(noise(), tilted_affine())
    path = tmp_path / "deep" / "a.nii.gz"
    write_volume(path, volume)
    again = read_volume(path)
    np.testing.assert_array_equal(again.data, volume.data)
    np.testing.assert_allclose(again.affine, volume.affine, atol=1e-5)


def test_the_same_volume_gives_the_same_bytes(tmp_path):
    volume = Volume(noise(), tilted_affine())
    for name in ("a", "b"):
        write_volume(tmp_path / f"{name}.nii.gz", volume, np.int16)
    assert (tmp_path / "a.nii.gz").read_bytes() == (tmp_path / "b.nii.gz").read_bytes()


def test_memberships_fit_into_uint8_and_masks_stay_whole(tmp_path):
    soft = Volume(np.linspace(0, 1, 1000).reshape(10, 10, 10), np.eye(4))
    write_volume(tmp_path / "soft.nii.gz", soft, np.uint8)
    assert nib.load(tmp_path / "soft.nii.gz").get_data_dtype() == np.uint8
    np.testing.assert_allclose(read_volume(tmp_path / "soft.nii.gz").data, soft.data, atol=0.51 / 255)
    mask = Volume(soft.data > 0.5, np.eye(4))
    write_volume(tmp_path / "mask.nii.gz", mask, np.uint8)
    assert set(np.unique(nib.load(tmp_path / "mask.nii.gz").dataobj.get_unscaled())) == {0, 1}


def test_several_channels_are_not_written(tmp_path):
    with pytest.raises(DataError, match="one volume"):
        write_volume(tmp_path / "a.nii.gz", Volume(noise((2, *SHAPE)), np.eye(4)))


# ---- resampling ----------------------------------------------------------------------------------------


def smooth(shape=(20, 24, 18)) -> Volume:
    i, j, k = np.meshgrid(*(np.linspace(0, 3, n) for n in shape), indexing="ij")
    return Volume(50 + 20 * np.sin(i) * np.cos(j) + 10 * k, tilted_affine())


def test_the_same_grid_is_left_alone():
    volume = smooth()
    assert resample_to(volume, volume.affine.copy(), volume.shape_vox) is volume


@pytest.mark.parametrize("order", [0, 1])
def test_resampling_agrees_with_nibabel(order):
    volume = smooth()
    affine, shape = target_grid(volume, 1.7)
    affine = affine.copy()
    affine[:3, 3] += [0.31, -0.27, 0.13]  # no ties for the nearest neighbour
    ours = resample_to(volume, affine, shape, order=order)
    theirs = processing.resample_from_to(
        nib.Nifti1Image(volume.data, volume.affine), (shape, affine), order=order, mode="nearest"
    )
    inner = tuple(slice(2, -2) for _ in range(3))
    np.testing.assert_allclose(ours.data[inner], theirs.get_fdata()[inner], rtol=1e-4)


def test_resampling_to_a_turned_grid_agrees_with_nilearn():
    from nilearn.image import resample_img

    volume = smooth()
    affine, shape = np.diag([2.0, 2.0, 2.0, 1.0]), (18, 22, 20)
    affine[:3, 3] = volume.affine[:3, 3] + [-8, 2, 1]
    ours = resample_to(volume, affine, shape)
    theirs = resample_img(
        nib.Nifti1Image(volume.data, volume.affine),
        target_affine=affine,
        target_shape=shape,
        interpolation="linear",
        force_resample=True,
        copy_header=True,
    ).get_fdata()
    both = theirs > 0
    assert both.mean() > 0.2
    np.testing.assert_allclose(ours.data[both], theirs[both], rtol=1e-3)


def test_outside_the_field_of_view_is_zero_and_inside_it_is_not():
    volume = Volume(np.ones((4, 4, 4)), np.diag([4.0, 4.0, 4.0, 1.0]))
    affine = np.eye(4)
    affine[:3, 3] = -3.5
    fine = resample_to(volume, affine, (20, 20, 20), order=1)
    assert fine.data.sum() == 16**3  # the whole of 4 x 4 mm, to the voxels' outer faces
    assert fine.data[0, 0, 0] == 0


def test_nearest_neighbour_invents_no_label():
    labels = Volume(np.random.default_rng(1).integers(0, 4, (10, 10, 10)) * 7, tilted_affine())
    affine, shape = target_grid(labels, 1.3)
    assert set(np.unique(resample_to(labels, affine, shape, order=0).data)) <= {0, 7, 14, 21}


def test_channels_move_together():
    volume = smooth()
    two = Volume(np.stack([volume.data, 2 * volume.data]), volume.affine)
    affine, shape = target_grid(volume, 3.0)
    moved = resample_to(two, affine, shape).data
    assert moved.shape == (2, *shape)
    np.testing.assert_allclose(moved[1], 2 * moved[0], rtol=1e-5)


def test_fields_of_view_must_overlap():
    volume = smooth()
    away = volume.affine.copy()
    away[:3, 3] += 500
    with pytest.raises(DataError, match="do not overlap"):
        resample_to(volume, away, volume.shape_vox)


@given(spacing=st.floats(0.7, 6))
@settings(max_examples=30, deadline=None)
def test_the_target_grid_covers_the_same_field_of_view(spacing):
    volume = smooth()
    affine, shape = target_grid(volume, spacing)
    np.testing.assert_allclose(np.linalg.norm(affine[:3, :3], axis=0), spacing)
    extent = np.array(shape) * spacing
    np.testing.assert_allclose(
        extent, np.array(volume.shape_vox) * volume.spacing_mm, atol=spacing / 2 + 1e-9
    )
    centre = affine[:3, :3] @ ((np.array(shape) - 1) / 2) + affine[:3, 3]
    old = volume.affine[:3, :3] @ ((np.array(volume.shape_vox) - 1) / 2) + volume.affine[:3, 3]
    np.testing.assert_allclose(centre, old, atol=1e-9)


def test_same_grid_ignores_channels_and_rounding():
    volume = smooth()
    rounded = Volume(np.stack([volume.data] * 2), volume.affine + 1e-5)
    assert same_grid(volume, rounded)
    assert not same_grid(volume, Volume(volume.data, volume.affine + np.eye(4) * 0.01))
    assert not same_grid(volume, Volume(volume.data[:-1], volume.affine))


# ---- files of one scan ---------------------------------------------------------------------------------


def test_files_that_fit(tmp_path):
    affine = tilted_affine()
    image, other = save(tmp_path / "i.nii", noise(), affine), save(tmp_path / "j.nii", noise(seed=1), affine)
    coarse = affine @ np.diag([2, 2, 2, 1])
    label = save(tmp_path / "l.nii", noise((6, 7, 5)), coarse)
    assert read_grid_of([image, other], [label]) == ""


def test_image_and_label_of_other_shape(tmp_path):
    image, label = save(tmp_path / "i.nii", noise()), save(tmp_path / "l.nii", noise((12, 14, 11)))
    problem = read_grid_of([image], [label])
    assert "image and label of other shape" in problem
    assert "i.nii" in problem
    assert "l.nii" in problem


def test_a_label_in_another_axis_order_on_the_same_grid_fits(tmp_path):
    image = save(tmp_path / "i.nii", noise())
    turned = nib.load(image).as_reoriented(np.array([[2, -1], [0, 1], [1, 1]]))
    nib.save(turned, tmp_path / "l.nii")
    assert read_grid_of([image], [tmp_path / "l.nii"]) == ""


def test_a_label_elsewhere_does_not_fit(tmp_path):
    away = np.eye(4)
    away[:3, 3] = 400
    image, label = save(tmp_path / "i.nii", noise()), save(tmp_path / "l.nii", noise(), away)
    assert "do not overlap" in read_grid_of([image], [label])


def test_maps_share_one_grid(tmp_path):
    image, other = save(tmp_path / "i.nii", noise()), save(tmp_path / "j.nii", noise((12, 14, 9)))
    assert "not on one grid" in read_grid_of([image, other], [])


def test_unreadable_files_are_named(tmp_path, good):
    assert "none.nii" in read_grid_of([good], [tmp_path / "none.nii"])
    (tmp_path / "empty.nii").touch()
    assert "is empty" in read_grid_of([tmp_path / "empty.nii"], [])
    assert read_grid_of([], []) == "the scan has no image"


def test_a_changed_file_is_looked_at_again(tmp_path):
    image, label = save(tmp_path / "i.nii", noise()), save(tmp_path / "l.nii", noise())
    assert read_grid_of([image], [label]) == ""
    save(label, noise((12, 14, 11)))
    assert "other shape" in read_grid_of([image], [label])
