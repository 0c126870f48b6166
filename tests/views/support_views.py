"""What the tests of figures share."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from mribench_views.labels import LABELS
from specifications import pretrain_spec

from mribench.interfaces import ViewRequest
from mribench.views.samples import MadeSamples, Sample, Shown
from mribench.views.sources import Source

BENCHMARK = """\
benchmark: small
seeds: [3, 4]
data:
  maps: {name: phantom, layout: mpm, subjects: 5, spacing_mm: 8, seed: 0}
  never: {name: phantom, layout: ixi, sites: {Guys: 9}, spacing_mm: 8, seed: 1}
splits:
  maps: {train: 4, validation: 1, test: 0}
  never: {train: 6, validation: 1, test: 2}
defaults:
  encoder: {name: cnn, features: [4, 8], dropout: 0}
  pretrain: {data: maps, patch_vox: 20, spacing_mm: 8, steps: 2, batch_size: 3, lr: 1.0e-3}
methods:
  base: {views: mprage, objective: simclr-recon}
  seqinv: {views: seqinv, objective: simclr-recon}
  twin: {views: seqinv, objective: {name: simclr-recon, temperature: 0.5}}
tasks:
  denoise:
    task: {name: denoising, decoder: {name: unet, features: [4], dropout: 0}}
    data: never
    train_sequences: [T1w]
    adapt: {steps: 1, batch_size: 2, lr: 1.0e-3, patch_vox: 16, spacing_mm: 8}
"""

STRANGE = """\
import torch
from mribench import hookimpl
from mribench.interfaces import Entry, NoOptions, ParameterLabel, View, ViewGenerator

HOSTILE = {
    "te_s": [0.01, 0.0234],
    "flip_angle_deg": "variable",
    "spoke_angle_deg": 111.246,
    "spin_lock_hz": 412.34,
    "motion": "jerky [red]$x^2${0}",
    "k_order": None,
    "weird\\x1b[31m\\nname": float("nan"),
    "boxes": [[1, 2], [3, 4]],
    "tensor": torch.tensor([1.0, 2.0]),
    "gradient_t_per_m": torch.tensor(0.0412),
    "huge": 10**400,
    "\\u65e5\\u672c": 3,
    "flip": "yes",
    "constant": 7,
}


class Strange(ViewGenerator):
    needs = ("PD",)
    labels = {name: ParameterLabel(word, acquisition=True) for name, word in
              [("te_s", "TE"), ("flip_angle_deg", "\u03b1")]}

    def __init__(self, options):
        pass

    def views(self, maps, requests, patch_vox, spacing_mm, generators):
        made = []
        for request in requests:
            edge = round(patch_vox * request.patch_scale)
            image = maps["PD"][:, None, :edge, :edge, :edge].clone()
            image += torch.stack([torch.randn(image.shape[1:], generator=g) for g in generators])
            image[:, :, 0, 0, 0] = float("nan")
            drawn = [{**HOSTILE, "jitter": torch.rand((), generator=g).item()} for g in generators]
            names = ["$\\\\frac{1}{[bold]" for _ in generators]
            made.append(View(image, image, request.role, names, drawn, redraws=1))
        return made


@hookimpl
def mribench_entries():
    return [Entry("views", "strange", Strange, NoOptions, "views with parameters that nobody knows")]
"""

Opened = Callable[..., tuple[list[Source], dict[str, str]]]


def shown(sequence: str = "fse", edge: int = 4, role: str = "global", **parameters: Any) -> Shown:
    """Return a view with some parameters; its image counts its voxels."""
    image = np.arange(edge**3, dtype=np.float32).reshape(edge, edge, edge)
    return Shown(role, sequence, parameters, "somebody:1", image, -image)


def made(*views: Shown, redraws: int = 0) -> MadeSamples:
    """Return samples of one view each."""
    samples = tuple(Sample(0, place, (view,)) for place, view in enumerate(views))
    return MadeSamples(samples, len(views), redraws, LABELS)


def source(*methods: str, views: str = "seqinv", patch_vox: int = 4) -> Source:
    """Return a source that nothing can be made from."""
    options = {"steps": 1, "lr": 0.1, "batch_size": 1}
    spec = pretrain_spec(pretrain={**options, "patch_vox": patch_vox, "spacing_mm": 2.0})
    return Source(methods, views, spec, (ViewRequest(),), None)  # type: ignore[arg-type]
