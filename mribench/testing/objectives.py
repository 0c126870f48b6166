"""Checks of objectives."""

from __future__ import annotations

import copy
import math
import warnings
from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor

from mribench.errors import MRIBenchError
from mribench.interfaces import Decoder, Encoder, Objective, ParameterGroup, View, ViewRequest
from mribench.testing.problems import (
    ConformanceError,
    NotCheckable,
    has_gradient,
    isolate_randomness,
    require,
    require_tensor,
)
from mribench.testing.samples import ClassTokenEncoder, PyramidEncoder, draw_views

_SMALLEST_PATCH_VOX = 16
_STEPS = 3
_MORE = 4
"""Subjects in a batch that every objective is to learn from."""
_OTHER_ENCODER = "`mribench plugins check --encoder NAME`, or check_objective(…, encoders=…), gives it one"

SAMPLE_ENCODERS: Sequence[Callable[[], Encoder]] = (
    PyramidEncoder,
    lambda: PyramidEncoder(mask_kind="zero"),
    lambda: ClassTokenEncoder(mask_kind="replace"),
    ClassTokenEncoder,
)
"""Encoders of each kind of mask: like convolutions, and like vision transformers."""


def check_objective(
    make: Callable[[Encoder], Objective], encoders: Sequence[Callable[[], Encoder]] = SAMPLE_ENCODERS
) -> None:
    """Check an objective with encoders of several kinds, as the pretrain job uses it.

    Args:
        make: builds the objective for an encoder; an ``MRIBenchError`` says that it cannot use one, which is
            then left out.
        encoders: each makes one. An objective that needs more than the interface of ``Encoder`` has (blocks,
            patches) is checked with encoders that have it.

    Raises:
        ConformanceError: at the first rule that it breaks.
        NotCheckable: when it can use none of the encoders.
    """
    refused = [sentence for kind in encoders if (sentence := _check_or_refuse(make, kind))]
    if len(refused) == len(encoders):
        raise NotCheckable(f"needs another encoder: {refused[0]}; {_OTHER_ENCODER}")


def _check_or_refuse(make: Callable[[Encoder], Objective], kind: Callable[[], Encoder]) -> str:
    """Check with one kind of encoder, or return why the objective does not take it."""
    with isolate_randomness():
        encoder = kind()
        try:
            objective = make(encoder)
        except MRIBenchError as error:
            return error.message
        except AttributeError as error:
            raise _find_need(error) from error
        if objective.needs_mask and encoder.mask_kind == "none":
            return "it hides parts of images, and the encoder takes no mask"
        try:
            _check_with(objective, encoder, make, kind)
        except AttributeError as error:
            raise _find_need(error) from error
    return ""


def _find_need(error: AttributeError) -> Exception:
    """Return what is wrong when an encoder lacks what it is asked for; any other error as it is."""
    if not isinstance(error.obj, Encoder):
        return error
    return ConformanceError(
        f"objective: needs another encoder: it reads '{error.name}', which the interface of encoders does"
        f" not have; {_OTHER_ENCODER}"
    )


def _check_with(
    objective: Objective, encoder: Encoder, make: Callable[[Encoder], Objective], kind: Callable[[], Encoder]
) -> None:
    _check_attributes(objective, encoder)
    objective.to(memory_format=torch.channels_last_3d)  # type: ignore[call-overload]
    _check_smallest_batch(objective)
    _check_training(objective, encoder)
    _check_checkpoint(objective, make(kind()))
    _check_export(objective, kind())


def _draw_views(objective: Objective, batch: int) -> list[View]:
    """Return what the objective asks for, with classes where it says that it learns from those."""
    patch_vox = _patch_vox(objective)
    return draw_views(objective.view_requests, patch_vox, batch, with_classes=objective.needs_classes)


def _check_attributes(objective: Objective, encoder: Encoder) -> None:
    require(isinstance(objective, Objective), f"expected an Objective, got {type(objective).__name__}")
    require(
        getattr(objective, "encoder", None) is encoder, "objective: self.encoder is not the given encoder"
    )
    require(len(objective.view_requests) > 0, "objective: view_requests is empty")
    smallest = objective.min_batch
    multiple = objective.patch_multiple
    require(
        isinstance(multiple, int) and multiple >= 1,
        f"objective: patch_multiple is a number of voxels, got {multiple!r}",
    )
    require(
        isinstance(smallest, int) and 1 <= smallest <= _MORE,
        f"objective: min_batch is a number of subjects from 1 to {_MORE}, got {smallest!r}",
    )
    _check_groups(objective)
    for part, module in objective.exported_modules().items():
        require(part == "decoder", f"objective: exported_modules() knows 'decoder' alone, got '{part}'")
        require(isinstance(module, Decoder), "objective: the decoder of exported_modules() is no Decoder")
    exported = objective.exported_encoder()
    require(isinstance(exported, Encoder), "objective: exported_encoder() does not return an Encoder")
    require(
        exported.embedding_dim == encoder.embedding_dim and list(exported.strides) == list(encoder.strides),
        "objective: the exported encoder is not like the encoder that was given",
    )


def _check_groups(objective: Objective) -> None:
    trained = [name for name, parameter in objective.named_parameters() if parameter.requires_grad]
    for group in objective.parameter_groups:
        what = f"objective: the parameter group '{group.prefix}'"
        require(isinstance(group, ParameterGroup), f"objective: expected a ParameterGroup, got {group!r}")
        require(
            any(name.startswith(group.prefix) for name in trained), f"{what} has no parameter that is trained"
        )
        require(group.rate > 0, f"{what}: expected a rate above 0, got {group.rate}")
        require(
            0 <= group.frozen_share < 1,
            f"{what}: frozen_share is from 0 to less than 1, got {group.frozen_share}",
        )
        others = [other for other in objective.parameter_groups if other is not group]
        require(
            not any(other.prefix.startswith(group.prefix) for other in others),
            f"{what} has another group's parameters too",
        )


def _check_smallest_batch(objective: Objective) -> None:
    """Every term that learns from a larger batch learns from the smallest one too."""
    smallest = objective.min_batch
    more, few = (_collect_gradients(objective, batch) for batch in (_MORE, smallest))
    silent = sorted(name for name, gradient in more.items() if gradient and not few.get(name))
    require(
        smallest > 1 or not silent,
        f"objective: no gradient at a batch size of {smallest} of: {', '.join(silent)}; set 'min_batch' to "
        "the smallest that it learns from",
    )


def _collect_gradients(objective: Objective, batch: int) -> dict[str, bool]:
    """Return which terms have a gradient other than zero at a batch size; the objective stays as it is."""
    trial = copy.deepcopy(objective).train()
    with warnings.catch_warnings():  # of statistics over one subject: what comes of them is checked
        warnings.simplefilter("ignore")
        terms = trial.loss(_draw_views(trial, batch), 0, _STEPS)
    _check_terms(objective, terms, batch)
    parameters = [parameter for parameter in trial.parameters() if parameter.requires_grad]
    learning = {}
    for name, term in terms.items():
        gradients = (
            torch.autograd.grad(term, parameters, retain_graph=True, allow_unused=True)
            if term.requires_grad
            else ()
        )
        learning[name] = any(gradient is not None and bool(gradient.any()) for gradient in gradients)
    return learning


def _patch_vox(objective: Objective) -> int:
    """Return the edge of a patch whose views are multiples of the strides and of the objective's blocks."""
    unit = math.lcm(max(objective.encoder.strides), objective.patch_multiple)
    smallest = unit * max(2, math.ceil(_SMALLEST_PATCH_VOX / unit))
    candidates = range(smallest, 8 * smallest, unit)
    return next((edge for edge in candidates if _fits(objective.view_requests, edge, unit)), smallest)


def _fits(requests: Sequence[ViewRequest], patch_vox: int, unit: int) -> bool:
    edges = [round(patch_vox * request.patch_scale) for request in requests]
    return all(edge % unit == 0 and edge >= 2 * unit for edge in edges)


def _check_training(objective: Objective, encoder: Encoder) -> None:
    objective.train()
    optimiser = torch.optim.SGD(objective.parameters(), lr=1e-3)
    for step in range(_STEPS):
        batch = 2 + 2 * step
        views = _draw_views(objective, batch)
        images = [view.image.clone() for view in views]
        terms = objective.loss(views, step, _STEPS)
        unchanged = all(torch.equal(view.image, image) for view, image in zip(views, images, strict=True))
        require(unchanged, "objective: loss() changes the views in place")
        _check_terms(objective, terms, batch)
        optimiser.zero_grad()
        _sum_losses(objective, terms).backward()
        require(has_gradient(encoder), "objective: no finite gradient reaches the encoder")
        optimiser.step()
        objective.after_step(step, _STEPS)


def _check_terms(objective: Objective, terms: Mapping[str, Tensor], batch: int) -> None:
    require(isinstance(terms, Mapping) and len(terms) > 0, "objective: loss() returns no named terms")
    for name, term in terms.items():
        if not isinstance(term, Tensor) or term.ndim != 0:
            raise ConformanceError(f"objective: the term '{name}' is not a scalar tensor")
        hint = "; set 'min_batch' to the smallest batch that it is defined for" if batch == 1 else ""
        require(
            math.isfinite(term.item()),
            f"objective: the term '{name}' is not finite at batch size {batch}{hint}",
        )
    for what, names in (("weights", objective.weights), ("chance_losses", objective.chance_losses(batch))):
        unknown = sorted(set(names) - set(terms))
        require(not unknown, f"objective: {what} names {unknown}, which loss() does not return")
        for name, value in names.items():
            require(math.isfinite(value), f"objective: {what} of '{name}' is not finite")


def _sum_losses(objective: Objective, terms: Mapping[str, Tensor]) -> Tensor:
    return torch.stack([objective.weights.get(name, 1.0) * term for name, term in terms.items()]).sum()


def _check_checkpoint(trained: Objective, fresh: Objective) -> None:
    """Resuming must give the same loss: all state is in parameters and buffers."""
    fresh.load_state_dict(trained.state_dict())
    losses = []
    for objective in (trained, fresh):
        with isolate_randomness(1), torch.no_grad():
            views = _draw_views(objective, 4)
            losses.append(_sum_losses(objective, objective.loss(views, _STEPS, _STEPS + 1)).item())
    require(
        math.isclose(*losses, rel_tol=1e-5, abs_tol=1e-6),
        "objective: restored from its state_dict() it gives another loss; keep all state in parameters and "
        "buffers",
    )


def _check_export(objective: Objective, fresh: Encoder) -> None:
    """Tasks get a new encoder with the exported weights, and test it on one image at a time."""
    try:
        fresh.load_state_dict(objective.exported_encoder().state_dict())
    except RuntimeError as error:
        raise ConformanceError(
            "objective: the weights of exported_encoder() do not fit an encoder like the one that was given"
        ) from error
    image = _draw_views(objective, 1)[0].image
    with torch.no_grad():
        embedding = fresh.eval().embed(image)
    require_tensor(embedding, (1, fresh.embedding_dim), "objective: embedding of the exported encoder")
