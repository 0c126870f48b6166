"""The contrastive loss of SimCLR."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor


def nt_xent(first: Tensor, second: Tensor, temperature: float, subjects: Sequence[str] = ()) -> Tensor:
    """Return the normalised temperature-scaled cross-entropy (NT-Xent) of two views of a batch.

    Equation 1 of Chen et al. 2020 (doi:10.48550/arXiv.2002.05709): for each of the 2B embeddings, the
    cross-entropy of finding its other view among the 2B - 1 others by cosine similarity / temperature.
    The same value as ``monai.losses.ContrastiveLoss``, which has no way to leave negatives out.

    Args:
        first: projections ``(B, D)`` of the first view.
        second: projections ``(B, D)`` of the second view, rows in the same order.
        temperature: divides the cosine similarities.
        subjects: of each row; rows of one subject are then no negatives of each other. Without it all
            rows are.

    Raises:
        ValueError: when the shapes differ, or there is not one subject for each row.
    """
    if first.ndim != 2 or first.shape != second.shape:
        raise ValueError(f"expected two (B, D), got {tuple(first.shape)} and {tuple(second.shape)}")
    rows = len(first)
    embeddings = F.normalize(torch.cat([first, second]).float(), dim=1)
    other_view = torch.arange(2 * rows, device=first.device).roll(rows)
    logits = embeddings @ embeddings.T / temperature
    hidden = torch.eye(2 * rows, dtype=torch.bool, device=first.device)
    if subjects:
        hidden |= _same_subject(subjects, rows).to(first.device)
        hidden[torch.arange(2 * rows, device=first.device), other_view] = False
    return F.cross_entropy(logits.masked_fill(hidden, -math.inf), other_view)


def _same_subject(subjects: Sequence[str], rows: int) -> Tensor:
    if len(subjects) != rows:
        raise ValueError(f"expected {rows} subjects, got {len(subjects)}")
    numbers = {subject: number for number, subject in enumerate(dict.fromkeys(subjects))}
    codes = torch.tensor([numbers[subject] for subject in subjects]).repeat(2)
    return codes[:, None] == codes[None, :]
