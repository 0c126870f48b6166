"""The tiny benchmark, run once; copies of it to be damaged."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from older_results import forget_digests
from support_verify import Done

from mribench import cli


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory, repository: Path) -> Path:
    """The results folder of a run of ``tiny.yaml``."""
    torch.set_num_threads(1)
    results = tmp_path_factory.mktemp("verified")
    file = repository / "tests" / "benchmarks" / "tiny.yaml"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MRIBENCH_CACHE", str(tmp_path_factory.getbasetemp() / "cache"))
        options = ["--results", str(results), "--executor", "inline", "--set", "arms=[frozen]"]
        code = cli.cli.main(["run", str(file), *options], standalone_mode=False)
    assert code == 0
    return results / "tiny"


@pytest.fixture
def results(finished: Path, tmp_path: Path) -> Path:
    """A copy of the results, to be damaged."""
    copy = Path(shutil.copytree(finished, tmp_path / "tiny"))
    forget_digests(copy)  # which would find whatever a test changes
    return copy


@pytest.fixture
def done(results: Path) -> Callable[[str], Done]:
    """Find a done job of the copy by its name."""
    folders = {
        json.loads((folder / "job.json").read_text())["id"]: folder for folder in (results / "jobs").iterdir()
    }
    return lambda name: Done(name, folders[name])
