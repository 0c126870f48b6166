"""Checks of view generators, and of the MRI sequences that they draw from."""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch
from torch import Tensor

from mribench.data.class_maps import CLASSES
from mribench.data.showing import image_names
from mribench.interfaces import MRISequence, SampleOrigin, View, ViewGenerator, ViewRequest
from mribench.interfaces.dataset import IMAGE
from mribench.seeding import torch_generator
from mribench.testing.problems import (
    ConformanceError,
    require,
    require_no_global_randomness,
    require_tensor,
)
from mribench.testing.samples import TISSUE_VALUES, make_maps

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
    maps = make_maps(_names(generator), source_vox)
    require(len(maps) > 0, "views: 'needs' names no map to read")
    before = {name: values.clone() for name, values in maps.items()}
    views = require_no_global_randomness(lambda: _make_views(generator, maps, (0, 1)), "views")
    unchanged = all(torch.equal(maps[name], before[name]) for name in maps)
    require(unchanged, "views: changes the maps that it is given, in place")
    _check_shapes(generator, views)
    _check_labels(generator, views)
    _check_purity(generator, maps, views)
    _check_batch(generator, maps, views)


def _make_views(generator: ViewGenerator, maps: dict[str, Tensor], seeds: tuple[int, ...]) -> list[View]:
    generators = [torch_generator("conformance", "sample", seed) for seed in seeds]
    paired = tuple(f"sequence {place}" for place in range(2, generator.images + 1))
    origins = [SampleOrigin(f"test:{seed}", sequence="sequence 1", paired=paired) for seed in seeds]
    return generator.views_from(origins, maps, _REQUESTS, _PATCH_VOX, _SPACING_MM, generators)


def _names(generator: ViewGenerator) -> list[str]:
    """Return the names of the maps that a view generator reads."""
    images = generator.images
    require(isinstance(images, int) and images >= 1, f"views: 'images' is {images!r}, expected 1 or more")
    classes = [CLASSES] if generator.needs_label else []
    if images == 1:
        return [*generator.needs, *classes]
    needs = tuple(generator.needs)
    require(needs == (IMAGE,), f"views: 'images' is {images}, so 'needs' is ('image',), got {needs}")
    return [*image_names(images), *classes]


def _check_shapes(generator: ViewGenerator, views: list[View]) -> None:
    require(len(views) == len(_REQUESTS), f"views: {len(views)} views for {len(_REQUESTS)} requests")
    for view, request in zip(views, _REQUESTS, strict=True):
        edge = round(_PATCH_VOX * request.patch_scale)
        require_tensor(view.image, (2, 1, edge, edge, edge), f"views: image of a {request.role} view")
        require_tensor(view.target, (2, 1, edge, edge, edge), f"views: target of a {request.role} view")
        if generator.needs_label:
            what = f"views: classes of a {request.role} view"
            classes = require_tensor(view.classes, (2, 1, edge, edge, edge), what)
            known = set(classes.unique().tolist())
            require(known <= {0, 1, 2, 3}, f"{what}: numbers that the label has not: {sorted(known)}")
            require(not classes.is_floating_point(), f"{what}: expected whole numbers, got {classes.dtype}")
        require(view.role == request.role, f"views: role '{view.role}' where '{request.role}' was asked for")
        require(len(view.parameters) == 2, f"views: {len(view.parameters)} parameters for a batch of 2")
        named = len(view.sequences)
        require(named in (0, 2), f"views: {named} sequences for a batch of 2; give none for the scan's own")


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


_DRAWS = 1000


def check_sequence(sequence: MRISequence) -> None:
    """Check a sequence: draws that a scanner can run, a finite signal, samples independent of the batch.

    Raises:
        ConformanceError: at the first rule that it breaks.
    """
    require(isinstance(sequence, MRISequence), f"expected an MRISequence, got {type(sequence).__name__}")
    for name in ("name", "family"):
        require(bool(getattr(sequence, name, "")), f"sequence: the attribute '{name}' is missing")
    draws = [_draw_valid(sequence, seed) for seed in range(2)]
    require(draws[0] == _draw_valid(sequence, 0), "sequence: the same generator draws other parameters")
    maps = make_maps(list(TISSUE_VALUES), 8)
    signal = require_tensor(sequence.signal(maps, _split_columns(draws)), (2, 8, 8, 8), "sequence: signal")
    require(float(signal.std()) > 0, "sequence: the signal is the same everywhere")
    for sample, draw in enumerate(draws):
        own = {name: values[sample : sample + 1] for name, values in maps.items()}
        require(
            torch.allclose(
                signal[sample], sequence.signal(own, _split_columns([draw]))[0], rtol=1e-4, atol=1e-5
            ),
            "sequence: the signal of a sample depends on the other samples of its batch",
        )
    _check_without_r2(sequence, maps, _split_columns(draws))
    _check_voxelwise(sequence, maps, _split_columns(draws), signal)
    _check_transmit(sequence, maps, _split_columns(draws), signal)


def _check_without_r2(
    sequence: MRISequence, maps: Mapping[str, Tensor], parameters: Mapping[str, Tensor]
) -> None:
    measured = {name: values for name, values in maps.items() if name != "R2"}
    try:
        signal = sequence.signal(measured, parameters)
    except KeyError as error:
        raise ConformanceError(
            f"sequence: cannot do without the map {error}, and most cohorts have no R2 map; fall back on a"
            " share of R2s"
        ) from error
    require_tensor(signal, (2, 8, 8, 8), "sequence: signal without an R2 map")


def _check_voxelwise(
    sequence: MRISequence, maps: Mapping[str, Tensor], parameters: Mapping[str, Tensor], signal: Tensor
) -> None:
    """A signal is computed part by part: a voxel must not depend on its neighbours."""
    part = {name: values[:, 2:5] for name, values in maps.items()}
    require(
        torch.allclose(signal[:, 2:5], sequence.signal(part, parameters), rtol=1e-4, atol=1e-5),
        "sequence: the signal of a voxel depends on other voxels",
    )


def _check_transmit(
    sequence: MRISequence, maps: Mapping[str, Tensor], parameters: Mapping[str, Tensor], signal: Tensor
) -> None:
    field = torch.full((1, 1, 1, 1), 0.8)
    same = torch.allclose(signal, sequence.signal(maps, parameters, 1.0, field), rtol=1e-4, atol=1e-5)
    require(
        same or sequence.reads_transmit,
        "sequence: 'reads_transmit' is False, and the signal depends on the transmit field",
    )


def _draw_valid(sequence: MRISequence, seed: int) -> dict[str, float]:
    generator = torch_generator("conformance", "sequence", seed)
    reason = ""
    for _ in range(_DRAWS):
        parameters = require_no_global_randomness(lambda: sequence.draw(generator), "sequence: draw()")
        for name, value in parameters.items():
            require(math.isfinite(value), f"sequence: draws {name} = {value}")
        reason = sequence.invalid(parameters)
        if not reason:
            return parameters
    require(False, f"sequence: none of {_DRAWS} draws can be run by a scanner; the last: {reason}")
    return {}


def _split_columns(draws: list[dict[str, float]]) -> dict[str, Tensor]:
    """Return each parameter as ``(B, 1, 1, 1)``."""
    columns = {}
    for name in draws[0]:
        columns[name] = torch.tensor([draw[name] for draw in draws]).view(-1, 1, 1, 1)
    return columns
