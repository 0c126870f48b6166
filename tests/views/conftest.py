"""A small benchmark on phantoms, its pretraining opened once, and a plugin with strange parameters."""

from __future__ import annotations

import importlib
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path

import pytest
import torch
from support_views import BENCHMARK, STRANGE, Opened

from mribench.config import load_benchmark, resolve
from mribench.plugins import GROUP, load_registry
from mribench.views.sources import open_sources


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def file(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("figures") / "small.yaml"
    path.write_text(BENCHMARK)
    return path


@pytest.fixture(scope="session")
def opened(file) -> Opened:
    """Open the benchmark file, with ``--set`` where given."""

    def _opened(*sets: str, **options):
        registry = load_registry()
        return open_sources(resolve(load_benchmark(file, sets), registry), registry, **options)

    return _opened


@pytest.fixture(scope="session")
def sources(opened):
    """The sources of the file by method."""
    found, missing = opened()
    assert missing == {}
    return {method: source for source in found for method in source.methods}


@pytest.fixture
def strange_registry(tmp_path, monkeypatch):
    """All plugins, and one whose view generator records what no other does."""
    name = f"strange_views_{tmp_path.name}"
    (tmp_path / f"{name}.py").write_text(STRANGE)
    monkeypatch.syspath_prepend(str(tmp_path))
    importlib.invalidate_caches()
    return load_registry([*entry_points(group=GROUP), EntryPoint("strange", name, GROUP)])
