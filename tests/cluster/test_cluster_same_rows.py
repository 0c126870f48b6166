"""The same score rows whatever runs the jobs: `make test-cluster` runs it."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import pytest
from cluster_lab import Lab
from same_rows import Through, differ, run_through
from slurm_cluster import SlurmCluster, find_obstacle

pytestmark = pytest.mark.timeout(1500)


@pytest.mark.parametrize(
    "executor",
    [
        "local",
        pytest.param("dask", marks=pytest.mark.skipif(not find_spec("distributed"), reason="no dask")),
        pytest.param("slurm", marks=pytest.mark.skipif(bool(find_obstacle()), reason=find_obstacle())),
    ],
)
def test_rows_are_those_of_one_process(
    executor: str, cache: Path, one_process: Through, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    environment = {}
    if executor == "slurm":
        cluster: SlurmCluster = request.getfixturevalue("cluster")
        environment = cluster.environment
    through = run_through(executor, Lab(tmp_path, cache, environment=environment))
    assert not through.problem, through.problem
    assert not differ(one_process, through)


def test_a_difference_is_found(one_process: Through) -> None:
    rows = one_process.rows.copy()
    rows.loc[0, "value"] += 1e-12
    assert differ(one_process, Through("other", rows, 0, 0, ""))
