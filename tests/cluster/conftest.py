"""What tests of clusters share: a cache, and the rows that are expected."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pytest
from cluster_lab import Lab, end_what_is_left
from same_rows import Through, run_through
from slurm_cluster import PATIENCE_S, SlurmCluster, run_slurm


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Leave these tests to `make test-cluster`: each takes minutes."""
    for item in [item for item in items if Path(__file__).parent in item.path.parents]:
        item.add_marker(pytest.mark.timeout(3 * PATIENCE_S))
        if os.environ.get("MRIBENCH_CLUSTER") != "1":
            item.add_marker(pytest.mark.skip(reason="`make test-cluster` runs it"))


@pytest.fixture(autouse=True)
def _nothing_is_left() -> Iterator[None]:
    """No run outlives its test, however that ends."""
    yield
    end_what_is_left()


@pytest.fixture(scope="session")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="session")
def one_process(cache: Path, tmp_path_factory: pytest.TempPathFactory) -> Through:
    """What one process makes of it."""
    through = run_through("inline", Lab(tmp_path_factory.mktemp("inline"), cache))
    assert not through.problem, through.problem
    return through


@pytest.fixture(scope="session")
def expected(one_process: Through) -> pd.DataFrame:
    """The rows of one process."""
    return one_process.rows


@pytest.fixture(scope="session")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SlurmCluster]:
    """A SLURM of two nodes; where it cannot be started, tests of it are marked to be skipped."""
    with run_slurm(tmp_path_factory.mktemp("slurm")) as cluster:
        yield cluster
