"""The example plugin: it is found, conforms, computes VICReg, and its README is true."""

from __future__ import annotations

import tomllib
from importlib.metadata import EntryPoint

import numpy as np
import pytest
import torch

from mribench.interfaces import ObjectiveRef, View
from mribench.plugins import load_registry
from mribench.testing import PyramidEncoder, check_entry


@pytest.fixture
def folder(repository):
    return repository / "plugins" / "example-method"


@pytest.fixture
def registry(folder, monkeypatch):
    monkeypatch.syspath_prepend(str(folder))
    torch.set_num_threads(1)
    project = tomllib.loads((folder / "pyproject.toml").read_text())["project"]
    points = project["entry-points"]["mribench"].items()
    return load_registry([EntryPoint(name, value, "mribench") for name, value in points])


def test_it_is_found_and_conforms(registry):
    assert registry.problems == []
    check_entry(registry.get("objective", "vicreg"), registry=registry)


def test_terms_equal_the_paper_written_out(registry):
    torch.manual_seed(0)
    reference = ObjectiveRef.model_validate({"name": "vicreg", "width": 6})
    objective = registry.resolve(reference, "test", "corrected").make(PyramidEncoder())
    views = [View(image, image) for image in torch.randn(2, 5, 1, 8, 8, 8)]
    terms = {name: term.item() for name, term in objective.loss(views, 0, 1).items()}
    with torch.no_grad():
        one, two = (
            objective.expander(objective.encoder.embed(view.image)).double().numpy() for view in views
        )
    assert terms["invariance"] == pytest.approx(np.mean((one - two) ** 2), rel=1e-4)
    hinges = [np.maximum(0, 1 - np.sqrt(z.var(0, ddof=1) + 1e-4)).mean() for z in (one, two)]
    assert terms["variance"] == pytest.approx(np.mean(hinges), rel=1e-4)
    covariances = [np.cov(z.T) for z in (one, two)]
    off_diagonal = sum((c**2)[~np.eye(6, dtype=bool)].sum() / 6 for c in covariances)
    assert terms["covariance"] == pytest.approx(off_diagonal, rel=1e-4)
    assert objective.weights == {"invariance": 25, "variance": 25, "covariance": 1}


def test_it_is_short(folder):
    assert len((folder / "mribench_example_method.py").read_text().splitlines()) <= 70


def test_the_readme_says_how_to_test_it(folder):
    assert "mribench plugins check example-method" in (folder / "README.md").read_text()
