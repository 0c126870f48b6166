"""What a job reads of another is as it was written, and can be read only while that one is done."""

from __future__ import annotations

from pathlib import Path

import pytest

from mribench.errors import DamagedError
from mribench.results import JobStatus
from mribench.results.sound import digest_file, require_sound
from mribench.results.status import State, write_status


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    path = tmp_path / "jobs" / "k" / "encoder.safetensors"
    path.parent.mkdir(parents=True)
    path.write_bytes(b"weights")
    write_status(path.parent, JobStatus("done", files={path.name: digest_file(path)}))
    require_sound(path)
    return path


def test_a_flipped_bit_is_found(weights: Path) -> None:
    weights.write_bytes(b"weighus")
    with pytest.raises(DamagedError, match="its digest is another"):
        require_sound(weights)


@pytest.mark.parametrize("state", ["damaged", "running", "interrupted", "failed"])
def test_nothing_is_read_of_a_job_that_is_not_done_any_more(weights: Path, state: State) -> None:
    """Somebody else has found it damaged before, and its digests are gone: it could not be told any more."""
    write_status(weights.parent, JobStatus(state, "for a reason"))
    with pytest.raises(DamagedError, match="not done any more: for a reason") as caught:
        require_sound(weights)
    assert caught.value.directory == weights.parent


def test_what_no_job_left_is_not_checked(tmp_path: Path) -> None:
    path = tmp_path / "mine.safetensors"
    path.write_bytes(b"x")
    require_sound(path)
