"""A process that keeps its memory faults less, and computes the same."""

from __future__ import annotations

import ctypes
import subprocess
import sys

import pytest
import torch

from mribench.execute import processes
from mribench.execute.peak_memory import forget_peak_memory, measure_peak_memory

PROBE = """
import resource, sys, torch
from mribench.execute.processes import keep_freed_memory
torch.set_num_threads(1)
print(keep_freed_memory() if sys.argv[1] == "kept" else False)
values = torch.arange(3_000_000.0)
def work():
    return ((values + 1).exp_().clamp_(0, 1) * 2 - values.cos()).sum().item()
work()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
total = [work() for _ in range(20)]
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
print(total[-1])
"""


def probe(how: str) -> tuple[str, int, str]:
    done = subprocess.run([sys.executable, "-c", PROBE, how], capture_output=True, text=True, check=True)
    taken, faults, total = done.stdout.split()
    return taken, int(faults), total


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="page faults are Linux's")
def test_fewer_page_faults_and_the_same_numbers():
    usual, kept = probe("usual"), probe("kept")
    if kept[0] != "True":
        pytest.skip("this C library has no mallopt")
    if usual[1] < 1000:
        pytest.skip("the allocator that is preloaded here keeps memory already")
    assert kept[1] < 0.7 * usual[1]
    assert kept[2] == usual[2]


def test_other_systems_are_left_alone(monkeypatch):
    monkeypatch.setattr(sys, "platform", "darwin")
    assert processes.keep_freed_memory() is False


def test_other_c_libraries_are_left_alone(monkeypatch):
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setattr(ctypes, "CDLL", lambda _: object())
    assert processes.keep_freed_memory() is False


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only Linux forgets")
def test_a_job_is_not_charged_with_the_memory_of_the_one_before() -> None:
    device = torch.device("cpu")
    forget_peak_memory(device)
    large = torch.ones(50_000_000)
    with_large = measure_peak_memory(device)
    del large
    forget_peak_memory(device)
    assert measure_peak_memory(device) < with_large - 100_000_000
    assert measure_peak_memory(device) > 10_000_000
