"""What beats while a job runs: through errors that pass, until the job is another's."""

from __future__ import annotations

import errno
import logging
import os
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from mribench.execute import pulse
from mribench.execute.live import LiveFile
from mribench.results import Lease
from mribench.results.attempt import LeaseLost
from mribench.results.lease import STALE_S, find_heartbeat_age_s, read_lease


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pulse, "HEARTBEAT_S", 0.02)


@pytest.fixture
def full_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 64 KiB that a test can fill."""
    place = tmp_path / "small"
    place.mkdir()
    mounting = ["mount", "-t", "tmpfs", "-o", "size=64k", "none", str(place)]
    try:
        mounted = subprocess.run(mounting, capture_output=True, check=False).returncode == 0
    except FileNotFoundError:
        mounted = False
    if not mounted:
        pytest.skip("no file system can be mounted here")
    yield place
    subprocess.run(["umount", "-l", str(place)], check=True)


def wait_until(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.01)


def start(directory: Path) -> tuple[Lease, pulse.Pulse]:
    lease = Lease.acquire(directory)
    assert lease is not None
    return lease, pulse.Pulse(lease, LiveFile(lease.attempt))


def fill(place: Path) -> Path:
    filler = place / "filler"
    with pytest.raises(OSError, match="No space left"), filler.open("wb", buffering=0) as file:  # noqa: PT012
        while True:
            file.write(bytes(4096))
    return filler


def test_a_full_disk_does_not_end_the_heartbeat(full_disk: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING)
    lease, beat = start(full_disk)
    with beat.beating():
        filler = fill(full_disk)
        wait_until(lambda: "the heartbeat cannot be written" in caplog.text)
        then = (full_disk / "lease.json").stat().st_mtime - STALE_S
        os.utime(full_disk / "lease.json", (then, then))
        wait_until(lambda: (find_heartbeat_age_s(full_disk) or 0) < STALE_S / 2)
        assert Lease.acquire(full_disk) is None
        filler.unlink()
        beat.tick(3, 10)
        wait_until(lambda: getattr(read_lease(full_disk), "done", 0) == 3)
    assert "the heartbeat is written again" in caplog.text
    assert caplog.text.count("cannot be written") == 1
    assert lease.owned()


def test_a_file_server_that_was_away_does_not_end_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _, beat = start(tmp_path)
    with beat.beating():
        with monkeypatch.context() as patch:
            failed: list[object] = []

            def away(*arguments: object) -> None:
                failed.append(arguments)
                raise OSError(errno.EIO, os.strerror(errno.EIO))

            patch.setattr(Path, "read_bytes", away)
            wait_until(lambda: len(failed) > 2)
        beat.tick(4, 10)
        wait_until(lambda: getattr(read_lease(tmp_path), "done", 0) == 4)


def test_a_job_that_is_anothers_stops_at_its_next_step(tmp_path: Path) -> None:
    _, beat = start(tmp_path)
    with beat.beating():
        beat.tick(1, 10)
        (tmp_path / "lease.json").unlink()
        other = Lease.acquire(tmp_path)
        assert other is not None
        with pytest.raises(LeaseLost):  # noqa: PT012
            while True:
                beat.tick(2, 10)
                time.sleep(0.01)
        assert other.owned()
