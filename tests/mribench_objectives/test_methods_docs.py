"""docs/methods.md is true: its example conforms, and its benchmark parts fit."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path
from typing import Any, get_args

import pytest
import torch

from mribench.interfaces import InputContract, MaskKind, NoOptions, SampleOrigin, ViewRequest
from mribench.testing import check_objective, check_views

TEXT = (Path(__file__).parents[2] / "docs" / "methods.md").read_text(encoding="utf-8")


def section(title: str) -> str:
    """Return the part of the text below a heading of the second level."""
    (part,) = [part for part in TEXT.split("\n## ") if part.startswith(f"{title}\n")]
    return part


def example(name: str, folder: Path) -> Any:
    """Import the Python block that defines ``name``."""
    (block,) = [
        code for code in re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL) if f"class {name}(" in code
    ]
    path = folder / f"example_{name.lower()}.py"
    path.write_text(block, encoding="utf-8")
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)


def test_the_masked_example_conforms(tmp_path: Path) -> None:
    (entry,) = example("SimMim", tmp_path).mribench_entries()
    check_objective(lambda encoder: entry.factory(entry.options(), encoder))


def test_the_views_that_know_where_they_are_from_conform(tmp_path: Path) -> None:
    generator = example("EdgeNoise", tmp_path).EdgeNoise(NoOptions())
    check_views(generator)
    image = torch.rand(2, 8, 8, 8)
    middle, edge = (SampleOrigin("p:1", corner_vox=(0, 0, corner), shape_vox=(8, 8, 16)) for corner in (8, 0))
    generators = [torch.Generator().manual_seed(0) for _ in range(2)]
    (view,) = generator.views_from([middle, edge], {"image": image}, [ViewRequest()], 8, 1.0, generators)
    assert torch.equal(view.image[0], view.target[0]), "no noise in the middle"
    assert (view.image[1] - view.target[1]).std() == pytest.approx(0.5, rel=0.1)


def test_every_kind_of_mask_has_its_line() -> None:
    table = re.findall(r"^\| `(\w+)` \|", section("Masks"), re.MULTILINE)
    assert table[1:] == list(get_args(MaskKind))


def test_every_part_of_an_input_contract_is_said() -> None:
    table = re.findall(r"^\| (`.*`) \|", section("What an encoder sees"), re.MULTILINE)
    assert set(re.findall(r"`(\w+)`", " ".join(table))) == set(InputContract.model_fields)


def test_the_augmentation_example_runs() -> None:
    (block,) = re.findall(r"```python\n(.*?)```", section("Augmentation"), re.DOTALL)
    made: dict[str, Any] = {}
    exec(block, made)  # noqa: S102 - our own example
    assert made["image"].shape == made["target"].shape == (2, 1, 32, 32, 32)
    assert made["crop"].shape == made["label"].shape == (1, 24, 24, 24)
    assert set(made["label"].unique().tolist()) == {0, 1}
