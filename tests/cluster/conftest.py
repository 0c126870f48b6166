"""What tests of clusters share: a cache, and the rows that are expected."""

from __future__ import annotations

import os
from pathlib import Path

import pandas as pd
import pytest
from cluster_lab import Lab


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Leave these tests to `make test-cluster`: each takes minutes."""
    if os.environ.get("MRIBENCH_CLUSTER") != "1":
        for item in items:
            if Path(__file__).parent in item.path.parents:
                item.add_marker(pytest.mark.skip(reason="`make test-cluster` runs it"))


@pytest.fixture(scope="session")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="session")
def expected(cache: Path, tmp_path_factory: pytest.TempPathFactory) -> pd.DataFrame:
    """The rows of one process."""
    lab = Lab(tmp_path_factory.mktemp("inline"), cache)
    code, said = lab.run("inline")
    assert code == 0, said
    return lab.rows()
