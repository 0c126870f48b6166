"""Tasks by name, and scans with a label, for the tests of segmentation."""

from __future__ import annotations

import dataclasses

import numpy as np
import torch
import torch.nn.functional as F

from mribench.interfaces import TaskRef, TaskVolume


def make(registry, name, profile="corrected", **options):
    return registry.resolve(TaskRef.model_validate({"name": name, **options}), "test", profile).make()


def scan(label: np.ndarray, image: torch.Tensor | None = None, **changes) -> TaskVolume:
    volume = TaskVolume(
        subject="t:1", session="", sequence="T1w",
        image=torch.from_numpy(label[None]).float() - 1 if image is None else image,
        foreground=torch.ones(label.shape, dtype=torch.bool),
        label=torch.from_numpy(label), native_label=label,
        spacing_mm=(1, 1, 1), native_spacing_mm=(1, 2, 3), to_native=lambda channels: channels, covariates={},
    )  # fmt: skip
    return dataclasses.replace(volume, **changes)


def blocks(classes: int, edge: int = 16) -> np.ndarray:
    label = np.zeros((edge, edge, edge), np.int64)
    for number in range(1, classes):
        label[4 * number - 2 : 4 * number + 2, 3:12, 4:13] = number
    return label


def one_hot_forward(label: np.ndarray, classes: int):
    return lambda _image: 10 * F.one_hot(torch.from_numpy(label), classes).permute(3, 0, 1, 2).float()
