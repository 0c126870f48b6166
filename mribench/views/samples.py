"""Samples of a source: views with their images, or what is drawn for very many of them."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from torch import Tensor

from mribench.interfaces.views import ParameterLabel, View
from mribench.views.sources import JobViews, Progress, Source

SEQUENCE = "sequence"
"""The parameter that is the view's own sequence, and not drawn as others are."""
DRAWN_VOX, SMALLEST_VOX = 16, 8
"""Edge of the views that are made for their parameters alone, and the least edge of the smallest of them: the
conformance checks make every view generator cope with these."""


@dataclass(frozen=True, eq=False)
class Shown:
    """One view of one sample, or what was drawn for it.

    Attributes:
        role: of the view, as the objective calls it.
        sequence: behind the image.
        parameters: as the view generator records them, units in their names.
        subject: id.
        image: ``(i, j, k)`` as the network gets it; empty where the parameters alone are wanted.
        target: the same without artefacts.
    """

    role: str
    sequence: str
    parameters: Mapping[str, Any]
    subject: str
    image: np.ndarray
    target: np.ndarray


@dataclass(frozen=True, eq=False)
class Sample:
    """All views of one sample: its training step, its place in the batch, and the views in order."""

    step: int
    place: int
    views: tuple[Shown, ...]


@dataclass(frozen=True, eq=False)
class MadeSamples:
    """Samples; for the ``n_views`` views of their batches ``redraws`` acquisitions were found impossible.

    ``labels`` are those of the view generator.
    """

    samples: tuple[Sample, ...]
    n_views: int
    redraws: int
    labels: Mapping[str, ParameterLabel] = field(default_factory=dict)

    @property
    def n_shown(self) -> int:
        """How many views the samples have; batches may have had more."""
        return sum(len(sample.views) for sample in self.samples)

    def views(self) -> Iterator[Shown]:
        """Yield the views of all samples."""
        return (view for sample in self.samples for view in sample.views)


def make_samples(source: Source, count: int, step: int = 0, progress: Progress | None = None) -> MadeSamples:
    """Return the first samples of a step, and of the steps after it where its batch is too small.

    Args:
        source: from ``open_sources``.
        count: samples.
        step: of the training.
        progress: called with (what is being done, done, in all).

    Raises:
        DataError: when a subject cannot be read.
    """
    batches = source.batches()
    return _make(batches, count, step, f"views of {source.label}", progress, keep=True)


def draw_parameters(source: Source, n_views: int, progress: Progress | None = None) -> MadeSamples:
    """Return what the first steps of a job draw for at least so many views, without their images.

    Views are made ``DRAWN_VOX`` voxels wide: what is measured in voxels, or else depends on the size of a
    view, is not as in the job; everything else is drawn by the same generators.

    Raises:
        DataError: when a subject cannot be read.
    """
    smallest = min(request.patch_scale for request in source.requests)
    edge_vox = max(DRAWN_VOX, math.ceil(SMALLEST_VOX / smallest))
    batches = source.batches(min(edge_vox, source.patch_vox))
    count = math.ceil(n_views / len(source.requests))
    return _make(batches, count, 0, f"parameters of {source.label}", progress, keep=False)


def _make(
    batches: JobViews, count: int, step: int, what: str, progress: Progress | None, *, keep: bool
) -> MadeSamples:
    """Make whole batches until there are ``count`` samples; with ``keep`` no more than those, with images."""
    samples: list[Sample] = []
    n_views = redraws = 0
    while len(samples) < count:
        views = batches.batch(step)
        samples += _take_samples(views, step, keep)
        n_views += sum(len(view.image) for view in views)
        redraws += sum(view.redraws for view in views)
        step += 1
        if progress:
            progress(what, min(len(samples), count), count)
    return MadeSamples(tuple(samples[:count] if keep else samples), n_views, redraws, batches.labels)


def _take_samples(views: Sequence[View], step: int, keep: bool) -> Iterator[Sample]:
    nothing = np.zeros((0, 0, 0), np.float32)
    for place in range(len(views[0].image)):
        shown = [
            Shown(
                role=view.role,
                sequence=str(view.sequences[place]) if place < len(view.sequences) else "",
                parameters=_make_plain(view.parameters[place]) if place < len(view.parameters) else {},
                subject=view.subjects[place] if place < len(view.subjects) else "",
                image=view.image[place, 0].detach().float().numpy() if keep else nothing,
                target=view.target[place, 0].detach().float().numpy() if keep else nothing,
            )
            for view in views
        ]
        yield Sample(step, place, tuple(shown))


def _make_plain(parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Return parameters in Python's own numbers and lists, whatever arrays they are in."""
    return {
        str(name): value.tolist() if isinstance(value, np.generic | np.ndarray | Tensor) else value
        for name, value in parameters.items()
    }
