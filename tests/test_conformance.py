"""Every first-party entry keeps the rules that third parties are asked to keep."""

from __future__ import annotations

from typing import get_args

import pytest
import torch

from mribench.interfaces.options import (
    DatasetRef,
    DecoderRef,
    EncoderRef,
    MetricRef,
    ObjectiveRef,
    ProbeRef,
    Profile,
    SequenceRef,
    TaskRef,
    TrackerRef,
    ViewsRef,
)
from mribench.plugins import load_registry
from mribench.registry import Registry
from mribench.testing import NotCheckable, check_entry

SMALL = {
    ("encoder", "cnn"): {"features": [4, 8, 12]},
    ("encoder", "vit"): {"token_vox": 4, "width": 24, "depth": 3, "heads": 2, "maps": 2},
    ("encoder", "dinov2"): {"token_vox": 4, "width": 24, "depth": 2, "heads": 2, "maps": 2, "grid": 3},
    ("objective", "byol"): {"hidden": 16, "out": 8},
    ("objective", "dino"): {"prototypes": 32, "hidden": 16, "bottleneck": 8},
    ("encoder", "resenc"): {"features": [4, 6, 8], "blocks": [1, 1, 2], "strides": [1, 2, 2]},
    ("encoder", "resnet"): {"depth": 10, "features": [4, 4, 6, 8]},
    ("encoder", "swin-unetr"): {"feature_size": 12, "depths": [1, 1, 1, 1], "window": 4},
    ("objective", "mae"): {"decoder_width": 24, "decoder_depth": 1, "decoder_heads": 2},
    ("task", "regression"): {"covariate": "age"},
    ("task", "classification"): {"covariate": "sex", "classes": {"female": ["F", 2], "male": "M"}},
    ("task", "segmentation"): {"classes": {"GM": 1, "WM": [2, 41], "CSF": 24}},
}
OPTIONAL = {("encoder", "resenc")}
"""Entries whose package is an extra of mribench."""
PROFILES: tuple[Profile, ...] = get_args(Profile)
REFERENCES = {
    reference.kind: reference
    for reference in (
        DecoderRef, EncoderRef, MetricRef, ObjectiveRef, ProbeRef, SequenceRef, TaskRef, TrackerRef, ViewsRef,
    )
}  # fmt: skip
READERS = ("ixi", "arc", "mpm")
OWN_TESTS = ("bids", "labelmap", "table")
"""Datasets that are checked in their own tests."""


@pytest.fixture(scope="module")
def registry():
    return load_registry()


@pytest.fixture(autouse=True)
def _one_thread():
    torch.set_num_threads(1)


def first_party() -> list[tuple[str, str]]:
    return [(item.entry.kind, item.entry.name) for item in load_registry() if item.distribution == "mribench"]


def checked() -> list[tuple[str, str, Profile]]:
    """Return every entry but datasets, corrected and under each profile that changes its options."""
    registry = load_registry()
    found: list[tuple[str, str, Profile]] = []
    for kind, name in first_party():
        if kind == "dataset":
            continue
        seen = []
        for profile in PROFILES:
            options = options_of(registry, kind, name, profile)
            if options not in seen:
                seen.append(options)
                found.append((kind, name, profile))
    return found


def options_of(registry: Registry, kind: str, name: str, profile: Profile) -> str:
    """Return all that an entry is made of under a profile; nothing where entries are not made of options."""
    if kind not in REFERENCES:
        return ""
    given = SMALL.get((kind, name), {})
    reference = REFERENCES[kind].model_validate({"name": name, **given})
    return repr(registry.resolve(reference, "test", profile).options)


def test_all_plugins_load(registry):
    assert registry.problems == []


@pytest.mark.parametrize(("kind", "name", "profile"), checked())
def test_entry(registry, kind, name, profile):
    try:
        check_entry(registry.get(kind, name), SMALL.get((kind, name)), profile, registry)
    except NotCheckable as error:
        if (kind, name) not in OPTIONAL:
            raise
        pytest.skip(str(error))


@pytest.mark.parametrize("layout", READERS)
def test_datasets_on_a_phantom(registry, layout):
    options = {"layout": layout, "subjects": 2, "spacing_mm": 8.0}
    reference = DatasetRef.model_validate({"name": "phantom", **options})
    phantom = registry.resolve(reference, "test", "corrected").make()
    phantom.make()
    check_entry(registry.get("dataset", "phantom"), options, registry=registry)
    check_entry(registry.get("dataset", layout), {"root": str(phantom.folder)}, registry=registry)


def test_profiles_that_change_an_entry_are_checked():
    pairs = {(kind, name) for kind, name, profile in checked() if profile != "corrected"}
    assert {("encoder", "cnn"), ("views", "seqinv"), ("objective", "simclr-recon")} <= pairs
    assert ("encoder", "resnet") not in pairs


def test_every_dataset_is_checked():
    names = {name for kind, name in first_party() if kind == "dataset"}
    assert names == {"phantom", *READERS, *OWN_TESTS}
