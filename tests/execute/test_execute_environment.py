"""A process has the environment of the run that asks for it, not of the fork server's start."""

from __future__ import annotations

import logging
import os
import warnings

import pytest

from mribench.execute import worker
from mribench.execute.processes import start_process, take_environment


@pytest.fixture
def _own_environment():
    before = dict(os.environ)
    yield
    take_environment(before)


def exit_with(variable: str) -> None:
    raise SystemExit(int(os.environ.get(variable, "99")))


def test_each_process_sees_the_environment_of_its_start(monkeypatch) -> None:
    codes = []
    for code in ("11", "12"):  # both are forked from one server, which is older than either value
        monkeypatch.setenv("OF_THIS_RUN", code)
        process = start_process(exit_with, "OF_THIS_RUN", name=code)
        monkeypatch.setenv("OF_THIS_RUN", "13")  # too late: it has a copy
        process.join(120)
        codes.append(process.exitcode)
    monkeypatch.delenv("OF_THIS_RUN")
    gone = start_process(exit_with, "OF_THIS_RUN")
    gone.join(120)
    assert [*codes, gone.exitcode] == [11, 12, 99]


@pytest.mark.usefixtures("_own_environment")
def test_a_job_sees_one_of_the_gpus_of_its_run(monkeypatch, tmp_path) -> None:
    seen = []
    monkeypatch.setattr(worker, "run_job", lambda *_, **__: seen.append(os.environ["CUDA_VISIBLE_DEVICES"]))
    for name in ("basicConfig", "captureWarnings"):
        monkeypatch.setattr(logging, name, lambda *_, **__: None)
    monkeypatch.setattr(warnings, "simplefilter", lambda _: None)
    take_environment({"CUDA_VISIBLE_DEVICES": "4,5"})
    with pytest.raises(SystemExit):
        worker.main([str(tmp_path)], "1", 1, log=False)
    assert seen == ["5"]
