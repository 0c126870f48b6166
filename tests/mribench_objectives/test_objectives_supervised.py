"""Supervised pretraining: its loss by an independent formula, what it refuses, and that labels teach."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
import yaml
from command_line import call
from mribench_objectives.supervised_segmentation import SupervisedSegmentation
from torch import Tensor

from mribench.errors import DataError
from mribench.interfaces import ObjectiveRef, View
from mribench.plugins import load_registry
from mribench.testing import PyramidEncoder


def make(classes: int = 2) -> SupervisedSegmentation:
    torch.manual_seed(0)
    asked = {"name": "supervised-segmentation", "classes": classes, "decoder": {"name": "unet", "dropout": 0}}
    resolved = load_registry().resolve(ObjectiveRef.model_validate(asked), "test", "corrected")
    objective: SupervisedSegmentation = resolved.make(PyramidEncoder())
    return objective


def view(batch: int = 2, edge: int = 16) -> View:
    image = torch.randn(batch, 1, edge, edge, edge, generator=torch.Generator().manual_seed(1))
    smooth = F.avg_pool3d(image, 5, stride=1, padding=2)
    classes = (smooth > 0.05).long() + (smooth > 0.12).long()
    return View(image, image, classes=classes)


def dice_loss(probabilities: Tensor, classes: Tensor) -> Tensor:
    """1 - Dice of each foreground class and sample, averaged; Milletari's denominator is of plain sums."""
    losses = []
    for sample, truth in zip(probabilities, classes[:, 0], strict=True):
        for number in range(1, len(sample)):
            share, there = sample[number], (truth == number).float()
            losses.append(1 - 2 * (share * there).sum() / (share.sum() + there.sum()))
    return torch.stack(losses).mean()


def test_the_terms_are_dice_and_cross_entropy() -> None:
    objective, shown = make(), view()
    terms = objective.loss([shown], 0, 1)
    logits = objective.decoder(objective.encoder.feature_maps(shown.image))
    assert shown.classes is not None
    expected = dice_loss(logits.softmax(1), shown.classes)
    assert float(terms["dice"].detach()) == pytest.approx(float(expected.detach()), abs=1e-4)
    picked = logits.log_softmax(1).gather(1, shown.classes)
    assert float(terms["cross_entropy"].detach()) == pytest.approx(float(-picked.mean().detach()), rel=1e-5)


def test_what_it_cannot_learn_from_is_refused() -> None:
    shown = view()
    with pytest.raises(DataError, match="the label has class 2, and the objective knows 1"):
        make(classes=1).loss([shown], 0, 1)
    shown.classes = None
    with pytest.raises(DataError, match="views without classes"):
        make().loss([shown], 0, 1)


def test_views_without_a_label_are_refused_by_the_plan(repository: Path, tmp_path: Path) -> None:
    file = repository / "tests" / "benchmarks" / "tiny.yaml"
    said = call(
        "run", file, "--results", tmp_path, "--set", "methods.seqinv.objective=supervised-segmentation"
    )
    assert said.code == 2
    assert "learns from the classes of voxels, and the views 'seqinv' read no label" in said.message


def test_from_labels_to_rows(repository: Path, tmp_path: Path) -> None:
    """A benchmark with both controls runs from the cohort's labels to the scores of their frozen encoders."""
    content = yaml.safe_load((repository / "tests" / "benchmarks" / "tiny.yaml").read_text())
    scans = {"data": [{"cohort": "ixi", "sequences": ["T1w"]}]}
    content["methods"] = {
        name: {"views": {"name": views, "label": "tissue"}, "objective": "supervised-segmentation",
               "pretrain": scans}
        for name, views in (("supervised", "labelled"), ("synthseg", "synthseg"))
    }  # fmt: skip
    del content["tasks"]["denoise"], content["data"]["qmri"], content["splits"]["qmri"]
    content |= {"arms": ["frozen"], "reference_arms": []}
    content["defaults"]["pretrain"] |= {"data": "ixi"}
    file = tmp_path / "controls.yaml"
    file.write_text(yaml.safe_dump(content))
    ran = call("run", file, "--results", tmp_path, "--executor", "inline")
    assert (ran.code, ran.err) == (0, "")
    assert "2 pretrain" in ran.out
    prepared = call("data", "prepare", file)
    assert prepared.code == 0
    assert "0 made" in prepared.out or "nothing" in prepared.out or "there" in prepared.out
