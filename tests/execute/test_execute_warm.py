"""The server that job processes are forked from has imported what they need."""

from __future__ import annotations

import multiprocessing
import os
import signal
from multiprocessing import forkserver
from multiprocessing.context import BaseContext

import pytest
import torch

from mribench.execute import processes
from mribench.execute.processes import process_context, start_process

PROBE = """
import sys
before = set(sys.modules)
import monai.inferers, monai.losses, torch
import mribench.execute.worker
from mribench.plugins import load_registry
load_registry()
model = torch.nn.Linear(2, 1)
optimiser = torch.optim.AdamW(model.parameters())
model(torch.ones(1, 2)).sum().backward()
optimiser.step()
new = [name for name in set(sys.modules) - before if not name.startswith("torch.profiler")]
print(sorted(new), file=sys.stderr)
sys.exit(10 + min(len(new), 100))
"""


def exit_code_of(program: str) -> int | None:
    """Run a program in a process that is forked as a job's is; return its exit code."""
    process = start_process(exec, program)
    process.join(120)
    assert not process.is_alive()
    return process.exitcode


needs_a_server = pytest.mark.skipif(
    "forkserver" not in multiprocessing.get_all_start_methods(), reason="processes are not forked here"
)


@needs_a_server
@pytest.mark.skipif(torch.backends.cuda.is_built(), reason="what is built for GPUs is imported by the job")
def test_a_job_that_trains_imports_nothing_anew() -> None:
    assert exit_code_of(PROBE) == 10


@needs_a_server
def test_what_the_server_lacks_is_noticed() -> None:
    assert exit_code_of(PROBE.replace("import monai.inferers", "import wave, monai.inferers")) == 11


@needs_a_server
def test_a_server_that_dies_before_it_is_asked_is_started_again(monkeypatch: pytest.MonkeyPatch) -> None:
    killed: list[int] = []

    def kill_once() -> BaseContext:
        context = process_context()
        if not killed:
            killed.append(forkserver._forkserver._forkserver_pid)
            os.kill(killed[0], signal.SIGKILL)
        return context

    monkeypatch.setattr(processes, "process_context", kill_once)
    assert exit_code_of("import sys; sys.exit(7)") == 7
    assert forkserver._forkserver._forkserver_pid != killed[0]
