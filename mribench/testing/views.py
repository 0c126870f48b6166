"""Checks of view generators."""

from __future__ import annotations

import torch
from torch import Tensor

from mribench.interfaces import View, ViewGenerator, ViewRequest
from mribench.seeding import torch_generator
from mribench.testing.problems import require, require_no_global_randomness, require_tensor
from mribench.testing.samples import make_maps

_PATCH_VOX = 16
_SPACING_MM = 2.0
_REQUESTS = (ViewRequest("global"), ViewRequest("global"), ViewRequest("local", 0.5))
_TOLERANCE = 1e-3


def check_views(generator: ViewGenerator) -> None:
    """Check a view generator: shapes, purity, and that a sample does not depend on its batch.

    Raises:
        ConformanceError: at the first rule that it breaks.
    """
    require(isinstance(generator, ViewGenerator), f"expected a ViewGenerator, got {type(generator).__name__}")
    source_vox = generator.source_vox(_PATCH_VOX)
    require(
        source_vox >= _PATCH_VOX, f"views: source_vox({_PATCH_VOX}) is smaller than the patch: {source_vox}"
    )
    maps = make_maps(generator.needs, source_vox)
    require(len(maps) > 0, "views: 'needs' names no map to read")
    before = {name: values.clone() for name, values in maps.items()}
    views = require_no_global_randomness(lambda: _make_views(generator, maps, (0, 1)), "views")
    unchanged = all(torch.equal(maps[name], before[name]) for name in maps)
    require(unchanged, "views: changes the maps that it is given, in place")
    _check_shapes(views)
    _check_labels(generator, views)
    _check_purity(generator, maps, views)
    _check_batch(generator, maps, views)


def _make_views(generator: ViewGenerator, maps: dict[str, Tensor], seeds: tuple[int, ...]) -> list[View]:
    generators = [torch_generator("conformance", "sample", seed) for seed in seeds]
    return generator.views(maps, _REQUESTS, _PATCH_VOX, _SPACING_MM, generators)


def _check_shapes(views: list[View]) -> None:
    require(len(views) == len(_REQUESTS), f"views: {len(views)} views for {len(_REQUESTS)} requests")
    for view, request in zip(views, _REQUESTS, strict=True):
        edge = round(_PATCH_VOX * request.patch_scale)
        require_tensor(view.image, (2, 1, edge, edge, edge), f"views: image of a {request.role} view")
        require_tensor(view.target, (2, 1, edge, edge, edge), f"views: target of a {request.role} view")
        require(view.role == request.role, f"views: role '{view.role}' where '{request.role}' was asked for")
        for name, values in (("sequences", view.sequences), ("parameters", view.parameters)):
            require(len(values) == 2, f"views: {len(values)} {name} for a batch of 2")


def _check_labels(generator: ViewGenerator, views: list[View]) -> None:
    """Every label that writes a text does so from what is drawn."""
    for view in views:
        for name, value in view.parameters[0].items():
            label = generator.labels.get(name)
            if label is not None and label.write is not None:
                text = label.write(value)
                require(isinstance(text, str), f"views: the label of '{name}' writes {text!r}, no text")


def _check_purity(generator: ViewGenerator, maps: dict[str, Tensor], views: list[View]) -> None:
    for view, again in zip(views, _make_views(generator, maps, (0, 1)), strict=True):
        equal = torch.equal(view.image, again.image) and torch.equal(view.target, again.target)
        require(equal, "views: the same generators give other views")
        require(view.parameters == again.parameters, "views: the same generators give other parameters")
    others = _make_views(generator, maps, (2, 3))
    differs = any(not torch.equal(view.image, other.image) for view, other in zip(views, others, strict=True))
    require(differs, "views: other generators give the same views, so nothing is random")


def _check_batch(generator: ViewGenerator, maps: dict[str, Tensor], views: list[View]) -> None:
    last = {name: values[1:] for name, values in maps.items()}
    for view, alone in zip(views, _make_views(generator, last, (1,)), strict=True):
        equal = torch.allclose(view.image[1:], alone.image, rtol=_TOLERANCE, atol=_TOLERANCE)
        require(equal, "views: a sample's view depends on the other samples of its batch")
