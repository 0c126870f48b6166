"""What is done with an encoder: arms, and the reference arms that no method stands behind."""

from __future__ import annotations

from typing import Literal

Arm = Literal["frozen", "finetune", "frozen+decoder", "finetune+decoder"]
"""What is done with a pretrained encoder; with ``+decoder`` a task starts from its pretrained decoder too."""
ReferenceArm = Literal["scratch", "random-frozen", "identity", "no-image"]
"""A row that no method stands behind."""

IDENTITY: ReferenceArm = "identity"
"""Returns the image as it is; nothing is trained for it."""
NO_IMAGE: ReferenceArm = "no-image"
"""Predicts the same for every person: the mean of the training subjects, or the shares of their classes."""
FROZEN_ARMS = ("frozen", "frozen+decoder", "random-frozen")
"""Arms and reference arms whose encoder is left as it is."""
FINETUNED_ARMS = ("finetune", "finetune+decoder")
"""Arms that train a pretrained encoder too."""
TRAINED_ARMS = ("scratch", *FINETUNED_ARMS)
"""Arms and reference arms that train the encoder."""
DECODER_ARMS = ("frozen+decoder", "finetune+decoder")
"""Arms whose decoder starts from a pretrained one."""


def label_row(method: str, arm: str) -> str:
    """Return how tables name what is done with an encoder: the method, and the arm unless it is frozen."""
    return method if arm in ("frozen", method) else f"{method} ({arm})"
