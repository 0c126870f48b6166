"""A job's process has the environment of the run that asks for it, not of the fork server's start."""

from __future__ import annotations

import os
from pathlib import Path
from types import SimpleNamespace

import pytest

from mribench.execute import worker
from mribench.execute.local import LocalExecutor


@pytest.fixture
def _own_environment():
    before = dict(os.environ)
    yield
    os.environ.clear()
    os.environ.update(before)


@pytest.mark.usefixtures("_own_environment")
def test_a_job_takes_over_the_whole_environment(monkeypatch, tmp_path) -> None:
    seen = []
    monkeypatch.setattr(worker, "run_job", lambda *_, **__: seen.append(dict(os.environ)))
    for name in ("basicConfig", "captureWarnings"):
        monkeypatch.setattr(worker.logging, name, lambda *_, **__: None)
    monkeypatch.setattr(worker.warnings, "simplefilter", lambda _: None)
    os.environ["OF_AN_EARLIER_RUN"] = "gone"
    given = {"MRIBENCH_CACHE": "/somewhere", "CUDA_VISIBLE_DEVICES": "4,5"}
    with pytest.raises(SystemExit):
        worker.main(str(tmp_path), "1", 1, log=False, environment=given)
    assert seen == [{"MRIBENCH_CACHE": "/somewhere", "CUDA_VISIBLE_DEVICES": "5"}]


def test_each_submission_sends_the_environment_of_its_moment(monkeypatch, tmp_path) -> None:
    executor = LocalExecutor(SimpleNamespace(), SimpleNamespace(threads=1, gpus=(), jobs=2))
    sent = []

    class Process:
        sentinel = property(lambda self: id(self))

        def __init__(self, target, args, name):
            assert target is worker.main
            sent.append(args)

        def start(self):
            pass

    monkeypatch.setattr(executor, "_process", Process)
    for cache in ("one", "two"):
        monkeypatch.setenv("MRIBENCH_CACHE", cache)
        executor.submit(cache, Path(tmp_path / cache))
    assert [args[4]["MRIBENCH_CACHE"] for args in sent] == ["one", "two"]
    monkeypatch.setenv("MRIBENCH_CACHE", "three")
    assert sent[0][4]["MRIBENCH_CACHE"] == "one", "a copy, not the live environment"
