"""The task ``segmentation``: classes by number, merged, left out; the named tasks are cases of it."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from support_segmentation import blocks, make, one_hot_forward, scan

from mribench.errors import ConfigError, DataError
from mribench.plugins import load_registry
from mribench.testing import check_entry

TISSUES = {"GM": 1, "WM": 2, "CSF": 3}


@pytest.fixture(scope="module")
def registry():
    return load_registry()


def segment(registry, classes, **options):
    return make(registry, "segmentation", classes=classes, **options)


def numbers(*values: int) -> np.ndarray:
    """Return a label ``(1, I, J, K)`` of these numbers."""
    return np.array(values, np.float32).reshape(1, len(values), 1, 1)


def test_numbers_become_classes_in_the_order_of_the_file(registry):
    task = segment(registry, {"WM": [2, 41], "GM": [3, 42], "CSF": 24})
    assert list(task.classes) == ["WM", "GM", "CSF"]
    assert task.out_channels == 4
    label = task.label_map(numbers(0, 2, 41, 42, 3, 24))
    assert label.dtype == np.int64
    assert label.ravel().tolist() == [0, 1, 1, 2, 2, 3]


def test_a_number_without_a_class_is_refused_unless_it_is_background(registry):
    values = numbers(0, 1, 7, 9)
    with pytest.raises(DataError, match="the label 'label' has the numbers 7, 9 that no class has") as caught:
        segment(registry, {"a": 1}).label_map(values)
    assert "'background'" in caught.value.hint
    with pytest.raises(DataError, match="has the number 9 that"):
        segment(registry, {"a": 1}, background=[7]).label_map(values)
    assert segment(registry, {"a": 1}, background=[7, 9]).label_map(values).ravel().tolist() == [0, 1, 0, 0]
    assert segment(registry, {"a": 9}, background="others").label_map(values).ravel().tolist() == [0, 0, 0, 1]


def test_a_mask_is_number_one_and_a_share_counts_above_one_half(registry):
    mask = np.array([0, 0.5, 0.51, 1], np.float32).reshape(1, 4, 1, 1)
    assert segment(registry, {"lesion": 1}).label_map(mask).ravel().tolist() == [0, 0, 1, 1]
    assert segment(registry, {"core": 2, "lesion": 1}).label_map(mask).ravel().tolist() == [0, 0, 2, 2]
    with pytest.raises(DataError, match="has the number 1 that no class has"):
        segment(registry, {"lesion": 255}).label_map(mask)
    assert segment(registry, {"lesion": 255}).label_map(mask * 0).max() == 0
    assert segment(registry, {"lesion": 255}).label_map(numbers(0, 255)).ravel().tolist() == [0, 1]


def test_shares_are_numbered_from_one_and_merged_by_their_sum(registry):
    shares = np.array([[0.3, 0.1], [0.3, 0.1], [0.35, 0.1]], np.float32).reshape(3, 2, 1, 1)
    apart = segment(registry, {"a": 1, "b": 2, "c": 3}).label_map(shares)
    assert apart.ravel().tolist() == [3, 0]
    merged = segment(registry, {"ab": [1, 2], "c": 3}).label_map(shares)
    assert merged.ravel().tolist() == [1, 0]
    rest = segment(registry, {"ab": [1, 2]}, background=[3]).label_map(shares)
    assert rest.ravel().tolist() == [1, 0]
    with pytest.raises(DataError, match="has the number 3 that no class has"):
        segment(registry, {"ab": [1, 2]}).label_map(shares)


def test_the_named_tasks_are_cases_of_it(registry):
    posteriors = np.random.default_rng(0).dirichlet(np.ones(4), (6, 7, 8)).astype(np.float32)
    posteriors = np.moveaxis(posteriors[..., :3], -1, 0)
    tissue = make(registry, "tissue-segmentation")
    assert np.array_equal(tissue.label_map(posteriors), segment(registry, TISSUES).label_map(posteriors))
    expected = np.concatenate([1 - posteriors.sum(0, keepdims=True), posteriors]).argmax(0)
    assert np.array_equal(tissue.label_map(posteriors), expected)
    lesion, own = make(registry, "lesion-segmentation"), {"foreground_ratio": 6.0}
    general = segment(registry, {"lesion": 1}, label="lesion", **own)
    share = posteriors[:1] / posteriors[:1].max()
    assert np.array_equal(lesion.label_map(share), (share[0] > 0.5).astype(np.int64))
    volume = scan(blocks(2))
    for task in (lesion, general):
        sample = task.training_sample(volume, 8, torch.Generator().manual_seed(3))
        assert sample["label"].sum() == lesion.training_sample(
            volume, 8, torch.Generator().manual_seed(3)
        )["label"].sum()  # fmt: skip
    with pytest.raises(DataError, match="has the number 255 that no class has"):
        lesion.label_map(numbers(0, 255))


def test_crops_are_anywhere_in_the_head_or_mostly_near_a_class(registry):
    label = np.zeros((40, 40, 40), np.int64)
    label[30:32, 30:32, 30:32] = 2
    shown = {}
    for name, ratio in (("anywhere", None), ("near", 9.0), ("away", 0.0)):
        task = segment(registry, {"a": 1, "b": 2}, foreground_ratio=ratio)
        samples = [task.training_sample(scan(label), 8, torch.Generator().manual_seed(s)) for s in range(60)]
        shown[name] = sum(bool(sample["label"].any()) for sample in samples)
    assert shown["near"] > 40
    assert shown["anywhere"] < 15
    assert shown["away"] < 15


def test_classes_are_scored_by_their_names_and_weighed_in_the_loss(registry):
    task = segment(registry, {"a": [5, 6], "b": 9}, class_weights={"b": 4})
    label = blocks(3)
    scores = task.score(task.predict(one_hot_forward(label, 3), scan(label), torch.Generator()), scan(label))
    assert [(item.label, item.score.value) for item in scores] == [("a", 1.0), ("b", 1.0)]
    plain = segment(registry, {"a": [5, 6], "b": 9})
    logits, target = torch.randn(1, 3, 4, 4, 4), torch.randint(3, (1, 1, 4, 4, 4))
    assert task.loss(logits, {"label": target}) != plain.loss(logits, {"label": target})
    with pytest.raises(DataError, match="no reference label 'label'"):
        plain.score(torch.zeros(16, 16, 16), scan(label, native_label=None))


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({}, "classes: required"),
        ({"classes": {}}, "classes: expected at least 1 item"),
        ({"classes": {"a": 0}}, "classes.a"),
        ({"classes": {"a": []}}, "classes: expected a name and its number"),
        ({"classes": {"a": 1.5}}, "classes.a"),
        ({"classes": {"a": 1, "b": [2, 1]}}, "classes: 1 is a number of 'a' and of 'b'"),
        ({"classes": {"a": 1}, "background": [1]}, "background: 1 is a number of the class 'a' too"),
        ({"classes": {"a": 1}, "background": "rest"}, "background"),
        ({"classes": {"a": 1}, "class_weights": {"b": 2}}, "class_weights: there is no class 'b'"),
    ],
)
def test_a_wrong_option_is_named(registry, options, sentence):
    with pytest.raises(ConfigError, match=sentence):
        make(registry, "segmentation", **options)


@pytest.mark.parametrize("classes", [{"a": 1}, {"a": 2, "b": [3, 4]}, {"a": 1000}, TISSUES])
def test_any_classes_conform(registry, classes):
    check_entry(registry.get("task", "segmentation"), {"classes": classes}, registry=registry)
