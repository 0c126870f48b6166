"""Which GPU a job's process sees, and which share one, told without one."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
import warnings

import pytest
from directed import Directed, job, jobs, run

from mribench.execute import worker
from mribench.execute.places import CONTEXT_BYTES, MARGIN, Places
from mribench.execute.setting_up import visible_gpu
from mribench.interfaces.executor import Batch, Completed, Resources, WorkerExit
from mribench.results import Store


@pytest.mark.parametrize(
    ("gpu", "visible", "expected"),
    [
        ("1", "", "1"),
        ("0", "4,5", "4"),
        ("1", "4, 5", "5"),
        ("1", "GPU-aaaa,MIG-bbbb", "MIG-bbbb"),
        ("GPU-cccc", "4,5", "GPU-cccc"),
        ("7", "4,5", "7"),
    ],
)
def test_numbers_count_what_a_queueing_system_left_visible(gpu, visible, expected) -> None:
    assert visible_gpu(gpu, visible) == expected


@pytest.mark.parametrize(("gpu", "expected"), [("1", "6"), (None, "3,6")])
def test_a_job_sees_its_gpu_only(gpu, expected, monkeypatch, tmp_path) -> None:
    seen = []
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "3,6")
    monkeypatch.setattr(worker, "run_job", lambda *_, **__: seen.append(os.environ["CUDA_VISIBLE_DEVICES"]))
    monkeypatch.setattr(logging, "basicConfig", lambda **_: None)
    monkeypatch.setattr(logging, "captureWarnings", lambda _: None)
    monkeypatch.setattr(warnings, "simplefilter", lambda _: None)
    with pytest.raises(SystemExit) as end:
        worker.main([str(tmp_path)], gpu, 1, log=False)
    assert (end.value.code, seen) == (WorkerExit.ELSEWHERE, [expected])


def test_the_server_of_job_processes_asks_for_no_gpu() -> None:
    """CUDA reads CUDA_VISIBLE_DEVICES once, and does not survive a fork: jobs must be the first to ask."""
    program = (
        "import torch\n"
        "asked = []\n"
        "for name in ('is_available', 'device_count', 'current_device', 'init', '_lazy_init'):\n"
        "    setattr(torch.cuda, name, lambda *a, name=name, **k: asked.append(name) or 0)\n"
        "import mribench.execute.warm\n"
        "print(asked)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "[]"


GB = 10**9


def place_all(places: Places, *peaks: int | None) -> list[str | None]:
    """Place processes one after another while there is room; return the GPU of each."""
    found = []
    for peak in peaks:
        if not places.have_room(peak):
            break
        found.append(places.take(peak).gpu)
    return found


@pytest.mark.parametrize(
    ("sizes", "peaks", "expected"),
    [
        ((), (None,) * 5, ["0", "1", "0", "1", "0"]),
        ((30 * GB, 30 * GB), (None,) * 7, ["0", "1", "0", "1", "0", "1"]),
        ((30 * GB, 30 * GB), (20 * GB, 20 * GB, 20 * GB), ["0", "1"]),
        ((30 * GB, 30 * GB), (20 * GB, 2 * GB, 2 * GB, 15 * GB), ["0", "1", "1", "1"]),
        ((30 * GB, 80 * GB), (20 * GB, 20 * GB, 20 * GB), ["1", "0", "1"]),
        ((30 * GB, 30 * GB), (20 * GB, None, 15 * GB, None), ["0", "1", "1"]),
    ],
    ids=["not measured", "not known", "large", "large and small", "unequal GPUs", "some known"],
)
def test_processes_share_gpus_by_what_they_take(sizes, peaks, expected) -> None:
    places = Places(Resources(jobs=6, gpus=("0", "1"), gpu_memory_bytes=sizes))
    assert place_all(places, *peaks) == expected


def test_a_process_that_fits_nowhere_has_a_gpu_alone() -> None:
    places = Places(Resources(jobs=2, gpus=("0",), gpu_memory_bytes=(10 * GB,)))
    place = places.take(50 * GB)
    assert not places.have_room(1)
    places.give_back(place)
    assert places.have_room(50 * GB)


def test_one_more_byte_does_not_fit() -> None:
    half = int((10 * GB / 2 - CONTEXT_BYTES) / MARGIN)
    for peak, n_placed in ((half, 2), (half + 1, 1)):
        places = Places(Resources(jobs=4, gpus=("0",), gpu_memory_bytes=(10 * GB,)))
        assert len(place_all(places, peak, peak, peak)) == n_placed


class OnGpu(Directed):
    """Has one GPU of 16 GB for four jobs at a time; each job takes 5."""

    def __init__(self, device: str) -> None:
        super().__init__(capacity=4, measured={"device": device, "peak_memory_bytes": 5 * GB})
        self._places = Places(Resources(jobs=4, gpus=("0",), gpu_memory_bytes=(16 * GB,)))
        self._taken = {}

    weighs_memory = True

    def has_room(self, batch: Batch) -> bool:
        return self._places.have_room(batch.gpu_bytes)

    def submit(self, batch: Batch) -> None:
        self._taken[batch.id] = self._places.take(batch.gpu_bytes)
        super().submit(batch)

    def _run(self, batch: Batch) -> Completed | None:
        self._places.give_back(self._taken.pop(batch.id))
        return super()._run(batch)


@pytest.mark.parametrize(
    ("device", "first", "later"), [("some GPU", [1, 2, 3, 4, 3, 2], 2), ("cpu x86", [1, 2, 3, 4, 4, 4], 4)]
)
def test_what_a_job_took_decides_how_many_like_it_run_at_a_time(
    store: Store, device: str, first: list[int], later: int
) -> None:
    """As many as were asked for begin; then they become fewer. A later run knows from its first job on."""
    executor = OnGpu(device)
    run(store, jobs(*(job(name) for name in "pqrstu")), executor)
    assert [len(beside) for beside in executor.beside] == first
    executor = OnGpu(device)
    run(store, jobs(*(job(name) for name in "pqrstuvwxyz")), executor)
    assert max(len(beside) for beside in executor.beside) == later
    assert sorted(executor.submitted) == list("vwxyz")
