"""Teachers that follow a student: copies whose weights are moving averages of its own."""

from __future__ import annotations

import copy
import math
from typing import TypeVar

import torch
from torch import nn

_Module = TypeVar("_Module", bound=nn.Module)


def make_teacher(student: _Module) -> _Module:
    """Return a copy of a module that no gradient reaches."""
    teacher = copy.deepcopy(student)
    teacher.requires_grad_(False)
    return teacher


@torch.no_grad()
def follow(teacher: nn.Module, student: nn.Module, decay: float) -> None:
    """Move a teacher's parameters towards the student's, and take over its buffers.

    Args:
        teacher: changed in place.
        student: of the same architecture.
        decay: share of its own that the teacher keeps.
    """
    for weight, followed in zip(teacher.parameters(), student.parameters(), strict=True):
        weight.lerp_(followed, 1 - decay)
    for buffer, taken in zip(teacher.buffers(), student.buffers(), strict=True):
        buffer.copy_(taken)


def rise_along_cosine(start: float, end: float, step: int, total_steps: int) -> float:
    """Return a value that goes from ``start`` at step 0 to ``end`` at the last along half a cosine."""
    progress = step / max(1, total_steps - 1)
    return end - (end - start) * (math.cos(math.pi * progress) + 1) / 2
