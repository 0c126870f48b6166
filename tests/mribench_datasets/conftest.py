"""Cohorts that several test modules look at."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from mribench.interfaces import DatasetRef
from mribench.plugins import load_registry
from mribench.registry import Registry
from mribench.volumes import Volume, write_volume

torch.set_num_threads(1)

SPACING_MM = 6.0


@pytest.fixture(scope="session")
def registry() -> Registry:
    return load_registry()


@pytest.fixture(scope="session")
def build(registry) -> Callable[..., Any]:
    """Builds a dataset from its name and options."""

    def _build(name: str, **options: Any) -> Any:
        component = DatasetRef.model_validate({"name": name, **options})
        return registry.resolve(component, "test", "corrected").make()

    return _build


@pytest.fixture(scope="session")
def phantoms(build, tmp_path_factory) -> dict[str, Path]:
    """Folders with a phantom cohort in each layout."""
    folders = {}
    for layout, options in {
        "ixi": {"sites": {"Guys": 2, "HH": 1, "IOP": 1}},
        "arc": {"subjects": 4},
        "mpm": {"subjects": 3},
    }.items():
        folders[layout] = tmp_path_factory.mktemp(layout)
        build("phantom", layout=layout, spacing_mm=SPACING_MM, seed=3, **options).write(folders[layout])
    return folders


@pytest.fixture
def put() -> Callable[..., Path]:
    """Writes a small volume."""

    def _put(path: Path, data: Any = None, seed: int = 0, shape: tuple[int, ...] = (6, 7, 8)) -> Path:
        if data is None:
            data = np.random.default_rng(seed).random(shape)
        write_volume(path, Volume(np.asarray(data), np.diag([2.0, 2.0, 2.0, 1.0])))
        return path

    return _put
