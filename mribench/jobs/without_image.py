"""The reference row of tasks about people: what the targets of the training subjects alone predict."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from mribench.interfaces.subject_task import SubjectTask, TrainingSubject
from mribench.jobs.context import Outcome
from mribench.results.specification import AdaptSpec

CONSTANT_FILE = "constant.safetensors"
PREDICTION = "prediction"
"""Name of the tensor in it: ``(C,)`` shares of the classes, or a number ``(1,)``, float64."""


def list_training(spec: AdaptSpec, task: SubjectTask) -> list[TrainingSubject]:
    """Return the training subjects that have a target."""
    known = spec.covariates
    targets = {subject: task.target(known[subject]) for subject in spec.train}
    return [
        TrainingSubject(subject, target, known[subject])
        for subject, target in targets.items()
        if target is not None
    ]


def run_without_image(spec: AdaptSpec, task: SubjectTask) -> Outcome:
    """Keep what is predicted of everybody: the mean target of the training subjects, or the class shares."""
    targets = np.array([subject.target for subject in list_training(spec, task)], dtype=np.float64)
    constant = _find_shares(targets, len(task.classes)) if task.classes else targets.mean(keepdims=True)
    state: dict[str, Tensor] = {PREDICTION: torch.from_numpy(constant)}
    return Outcome(job={"parameters": 0, "parameters_trained": 0}, weights={CONSTANT_FILE: state})


def _find_shares(targets: np.ndarray, n_classes: int) -> np.ndarray:
    counts = np.bincount(targets.astype(np.int64), minlength=n_classes)
    shares: np.ndarray = counts / counts.sum()
    return shares
