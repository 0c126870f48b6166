"""Calls the command line as a shell would; tiny real cohorts, and results to be damaged."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from command_line import call
from support_cli import BENCHMARK, Mribench

from mribench import cli


@pytest.fixture
def mribench() -> Mribench:
    """Call the command line as a shell would, in this process."""
    return call


@pytest.fixture(scope="session")
def cohorts(tmp_path_factory) -> Path:
    """Real tiny cohorts, written once: ``ixi`` and ``mpm``."""
    from mribench.cli.data import data_group as command

    folder = tmp_path_factory.mktemp("cohorts")
    for layout in ("ixi", "mpm"):
        options = ["--set", f"layout={layout}", "--set", "subjects=3", "--set", "spacing_mm=8"]
        command.main(["make", "phantom", str(folder / layout), *options], standalone_mode=False)
    return folder


@pytest.fixture
def file(cohorts, tmp_path) -> Path:
    """A benchmark file that works."""
    path = tmp_path / "bad.yaml"
    path.write_text(BENCHMARK.format(ixi=cohorts / "ixi", mpm=cohorts / "mpm"))
    return path


@pytest.fixture(scope="session")
def finished(cohorts, tmp_path_factory) -> tuple[Path, Path]:
    """A benchmark file and the folder of its results, run to the end once."""
    folder = tmp_path_factory.mktemp("finished")
    path = folder / "bad.yaml"
    path.write_text(BENCHMARK.format(ixi=cohorts / "ixi", mpm=cohorts / "mpm"))
    torch.set_num_threads(1)
    code = cli.cli.main(
        ["run", str(path), "--results", str(folder / "results"), "--executor", "inline"],
        standalone_mode=False,
    )
    assert code == 0
    return path, folder / "results"


@pytest.fixture
def results(finished, tmp_path) -> Path:
    """A copy of the results, to be damaged."""
    return Path(shutil.copytree(finished[1], tmp_path / "results"))


@pytest.fixture
def damaged(cohorts, tmp_path) -> Callable[[str, Callable[[Path], object]], tuple[Path, Path]]:
    """Damage a copy of a cohort; return the benchmark file on it and the cohort's folder."""

    def _damaged(layout: str, damage: Callable[[Path], object]) -> tuple[Path, Path]:
        roots = {"ixi": cohorts / "ixi", "mpm": cohorts / "mpm"}
        roots[layout] = Path(shutil.copytree(roots[layout], tmp_path / layout))
        damage(roots[layout])
        path = tmp_path / "bad.yaml"
        path.write_text(BENCHMARK.format(**roots))
        return path, roots[layout]

    return _damaged
