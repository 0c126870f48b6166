"""Which GPU a job's process sees, told without one."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
import warnings

import pytest

from mribench.execute import worker
from mribench.execute.setting_up import visible_gpu
from mribench.interfaces.executor import WorkerExit


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
