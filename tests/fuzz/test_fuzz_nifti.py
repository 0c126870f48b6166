"""Fuzzed NIfTI files, the corpus, and what the fuzzer found that is no small file."""

from __future__ import annotations

import gzip
import json
import os
import subprocess
import sys
from pathlib import Path

import fuzz_nifti
import nibabel as nib
import numpy as np
import pytest
from fuzz_nifti import Defect, base_case, check_path, set_field, zeros
from fuzz_running import check_message, run

from mribench.data.inspection import inspect_file
from mribench.errors import DataError
from mribench.volumes import nifti_file, read_grid_of, read_volume
from mribench.volumes.nifti_file import shorten_path

CORPUS = Path(__file__).parent / "corpus"
ROWS = {
    row.split("|")[1].strip(" `"): row.split("|")[3].strip()
    for row in (CORPUS / "README.md").read_text(encoding="utf-8").splitlines()
    if row.startswith("| `")
}


def refusal(path: Path) -> str:
    with pytest.raises(DataError) as caught:
        read_volume(path)
    check_message(caught.value.message, shorten_path(path)[-20:])
    assert caught.value.hint
    return caught.value.message


def test_many_cases():
    command = [sys.executable, fuzz_nifti.__file__, "--cases", "300", "--start", "0", "--json"]
    done = subprocess.run(command, capture_output=True, text=True, env=os.environ | {"OMP_NUM_THREADS": "1"})
    figures = json.loads(done.stdout)
    assert figures["defects"] == []
    assert figures["cases"] == 300
    assert figures["accepted"] > 30, "most cases test the first check only"
    assert figures["refused"] > 150
    assert figures["peak_mib"] < 1024


def test_the_same_seed_makes_the_same_file():
    for seed in (0, 7, 123):
        assert fuzz_nifti.make(seed)[1] == fuzz_nifti.make(seed)[1]
    assert len({fuzz_nifti.make(seed)[1] for seed in range(30)}) > 25


# ---- the corpus ----


def test_the_corpus_is_small_and_listed():
    files = {path.name: path.stat().st_size for path in CORPUS.iterdir() if path.name != "README.md"}
    assert files.keys() == ROWS.keys()
    assert max(files.values()) < 10_000


@pytest.mark.parametrize("name", [name for name in ROWS if ".nii" in name])
def test_corpus(name, recwarn, capfd):
    assert check_path(CORPUS / name).startswith(ROWS[name])
    assert capfd.readouterr() == ("", ""), "nibabel prints what it repairs"


# ---- the runner notices ----


def test_the_runner_notices_every_kind_of_defect(tmp_path, monkeypatch):
    # long enough for a process that waits for its turn on a busy machine
    monkeypatch.setattr("fuzz_running.HANG_S", 1.0)
    monkeypatch.setattr("fuzz_running.BLOCKED_S", 5.0)

    def check(seed: int, folder: Path) -> str:
        if seed == 1:
            raise ValueError("a crash")
        if seed == 2:
            os._exit(3)
        if seed == 3:
            fuzz_nifti.timed(os.mkfifo, folder / "pipe")
            fuzz_nifti.timed(open, folder / "pipe")
        if seed == 4:
            fuzz_nifti.timed(lambda: [None for _ in iter(int, 1)])
        if seed == 5:
            np.ones(2**29, dtype=np.uint64)
        if seed == 6:
            os.write(1, b"something")
        return "accepted"

    held = np.ones(2**27)  # 1 GiB of the suite's own is nobody's defect
    outcomes = run(check, range(8))
    assert held.all()
    assert [outcome.seed for outcome in outcomes] == list(range(8))
    assert [outcome.seed for outcome in outcomes if outcome.defect] == [1, 2, 3, 4, 5, 6]
    reasons = ("a crash", "exit code 3", "Hang", "Hang", "MemoryError", "printed")
    for outcome, reason in zip(outcomes[1:7], reasons, strict=True):
        assert reason in outcome.said


@pytest.mark.parametrize("text", ["", "a\nb", "\x1b[31m", "\u202e", "\udcff", "x" * 600])
def test_messages_are_checked(text):
    with pytest.raises(Defect):
        check_message(text)
    with pytest.raises(Defect):
        check_message("b.nii is bad", "a.nii")


def test_a_reader_that_reads_other_values_is_noticed(tmp_path, monkeypatch):
    path = tmp_path / "a.nii"
    path.write_bytes(base_case(0).content)
    assert check_path(path).startswith("accepted")
    monkeypatch.setattr(nifti_file, "apply_read_scaling", lambda raw, slope, inter: raw + 1.0)
    with pytest.raises(Defect, match="nibabel reads other values"):
        check_path(path)


# ---- what is no file ----


@pytest.mark.parametrize("name", ["scan.nii", "scan.nii.gz"])
def test_a_pipe_is_not_waited_for(tmp_path, name):
    os.mkfifo(tmp_path / name)
    assert "is a pipe or a device" in refusal(tmp_path / name)
    assert "is a pipe or a device" in inspect_file(tmp_path / name).problem
    assert "is a pipe or a device" in read_grid_of([tmp_path / name], [])


def test_a_device_without_end_is_not_read(tmp_path):
    path = tmp_path / "scan.nii"
    path.symlink_to("/dev/zero")
    assert "is a pipe or a device" in inspect_file(path).problem
    assert inspect_file(path).digest == ""


def test_a_loop_of_links(tmp_path):
    path = tmp_path / "scan.nii"
    path.symlink_to(path)
    assert "cannot be opened" in refusal(path)
    assert "cannot be opened" in inspect_file(path).problem
    assert "cannot be opened" in read_grid_of([path], [])


@pytest.mark.parametrize("name", ["none\0.nii", "\udcff.nii", "x" * 300 + ".nii"])
def test_a_name_that_no_file_can_have(tmp_path, name):
    path = tmp_path / name
    refusal(path)
    for problem in (inspect_file(path).problem, read_grid_of([path], [])):
        check_message(problem, shorten_path(path)[-20:])


def test_a_folder_that_may_not_be_entered(tmp_path, monkeypatch):
    path = tmp_path / "scan.nii"

    def denied(*args, **kwargs):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "stat", denied)
    assert "permission denied" in refusal(path)
    assert "cannot be opened: Permission denied" in inspect_file(path).problem


def test_a_file_name_cannot_colour_the_terminal(tmp_path):
    path = tmp_path / "a\x1b[31m\nb.nii"
    path.write_bytes(b"")
    assert r"a\x1b[31m\nb.nii is empty" in refusal(path)


def test_a_long_path_is_shown_by_its_end():
    text = shorten_path(Path("/".join(["folder"] * 100)) / "scan.nii")
    assert len(text) == 200
    assert text.startswith("…")
    assert text.endswith("/scan.nii")


# ---- bombs ----


def bomb(path: Path, edges: tuple[int, int, int], surplus: bytes = b"") -> Path:
    case = next(c for c in map(base_case, range(100)) if c.said[0].startswith("Nifti1Image uint8"))
    for axis, edge in enumerate(edges):
        set_field(case, "dim", edge, axis + 1)
    set_field(case, "scl_slope", 0)
    n_blocks = -(-int(np.prod(edges)) // 2**24)
    path.write_bytes(gzip.compress(case.content[:352]) + zeros(16) * n_blocks + surplus)
    return path


def test_a_bomb_that_is_what_it_claims_is_refused_unread(tmp_path, monkeypatch):
    path = bomb(tmp_path / "scan.nii.gz", (600, 600, 600))
    monkeypatch.setattr(nifti_file, "read_voxels", lambda *_: pytest.fail("was unpacked"))
    message = refusal(path)
    assert "compressed more than any scan" in message
    assert "600x600x600" in message


def test_an_empty_mask_of_usual_size_is_no_bomb(tmp_path):
    path = bomb(tmp_path / "mask.nii.gz", (256, 256, 256))
    assert path.stat().st_size < 20_000
    assert read_volume(path, allow_constant=True).shape_vox == (256, 256, 256)


def test_a_stream_that_goes_on_is_not_read_to_its_end(tmp_path):
    path = bomb(tmp_path / "scan.nii.gz", (20, 20, 20), surplus=zeros(16) * 5)
    assert "after its last voxel" in refusal(path)


def test_a_volume_read_in_pieces_is_that_of_nibabel(tmp_path, monkeypatch):
    values = np.random.default_rng(0).integers(-500, 500, (7, 11, 13)).astype(np.int16)
    affine = np.array([[0, 0, 2, 5], [-1.5, 0, 0, 6], [0, -1, 0, 7], [0, 0, 0, 1.0]])
    image = nib.Nifti1Image(values, affine)
    image.header.set_slope_inter(0.37, -11)
    nib.save(image, tmp_path / "a.nii.gz")
    expected = nib.as_closest_canonical(nib.load(tmp_path / "a.nii.gz")).get_fdata().astype(np.float32)
    for piece_bytes in (1, 14, 40, 7 * 2 * 11, 1000, 2**23):
        monkeypatch.setattr(nifti_file, "_PIECE_BYTES", piece_bytes)
        assert np.array_equal(read_volume(tmp_path / "a.nii.gz").data, expected), piece_bytes
