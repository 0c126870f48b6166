"""Checks of objectives."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

import torch
from torch import Tensor

from mribench.interfaces import Encoder, Objective
from mribench.testing.problems import ConformanceError, has_gradient, own_randomness, require
from mribench.testing.samples import ClassTokenEncoder, PyramidEncoder, random_views

_PATCH_VOX = 16
_STEPS = 3


def check_objective(make: Callable[[Encoder], Objective]) -> None:
    """Check an objective with a convolutional encoder and with one like a vision transformer.

    Args:
        make: builds the objective for an encoder.

    Raises:
        ConformanceError: at the first rule that it breaks.
    """
    for kind in (PyramidEncoder, ClassTokenEncoder):
        with own_randomness():
            encoder = kind()
            objective = make(encoder)
            _check_attributes(objective, encoder)
            _check_training(objective, encoder)
            _check_checkpoint(objective, make(kind()))


def _check_attributes(objective: Objective, encoder: Encoder) -> None:
    require(isinstance(objective, Objective), f"expected an Objective, got {type(objective).__name__}")
    require(
        getattr(objective, "encoder", None) is encoder, "objective: self.encoder is not the given encoder"
    )
    require(len(objective.view_requests) > 0, "objective: view_requests is empty")
    exported = objective.exported_encoder()
    require(isinstance(exported, Encoder), "objective: exported_encoder() does not return an Encoder")
    require(
        exported.embedding_dim == encoder.embedding_dim and list(exported.strides) == list(encoder.strides),
        "objective: the exported encoder is not like the encoder that was given",
    )


def _check_training(objective: Objective, encoder: Encoder) -> None:
    objective.train()
    optimiser = torch.optim.SGD(objective.parameters(), lr=1e-3)
    for step in range(_STEPS):
        batch = 2 + 2 * step
        views = random_views(objective.view_requests, _PATCH_VOX, batch)
        images = [view.image.clone() for view in views]
        terms = objective.loss(views, step, _STEPS)
        unchanged = all(torch.equal(view.image, image) for view, image in zip(views, images, strict=True))
        require(unchanged, "objective: loss() changes the views in place")
        _check_terms(objective, terms, batch)
        optimiser.zero_grad()
        _total(objective, terms).backward()
        require(has_gradient(encoder), "objective: no finite gradient reaches the encoder")
        optimiser.step()
        objective.after_step(step, _STEPS)


def _check_terms(objective: Objective, terms: Mapping[str, Tensor], batch: int) -> None:
    require(isinstance(terms, Mapping) and len(terms) > 0, "objective: loss() returns no named terms")
    for name, term in terms.items():
        if not isinstance(term, Tensor) or term.ndim != 0:
            raise ConformanceError(f"objective: the term '{name}' is not a scalar tensor")
        require(
            math.isfinite(term.item()), f"objective: the term '{name}' is not finite at batch size {batch}"
        )
    for what, names in (("weights", objective.weights), ("chance_losses", objective.chance_losses(batch))):
        unknown = sorted(set(names) - set(terms))
        require(not unknown, f"objective: {what} names {unknown}, which loss() does not return")
        for name, value in names.items():
            require(math.isfinite(value), f"objective: {what} of '{name}' is not finite")


def _total(objective: Objective, terms: Mapping[str, Tensor]) -> Tensor:
    return torch.stack([objective.weights.get(name, 1.0) * term for name, term in terms.items()]).sum()


def _check_checkpoint(trained: Objective, fresh: Objective) -> None:
    """Resuming must give the same loss: all state is in parameters and buffers."""
    fresh.load_state_dict(trained.state_dict())
    losses = []
    for objective in (trained, fresh):
        with own_randomness(1), torch.no_grad():
            views = random_views(objective.view_requests, _PATCH_VOX, 4)
            losses.append(_total(objective, objective.loss(views, _STEPS, _STEPS + 1)).item())
    require(
        math.isclose(*losses, rel_tol=1e-5, abs_tol=1e-6),
        "objective: restored from its state_dict() it gives another loss; keep all state in parameters and "
        "buffers",
    )
