"""The pretrain job: one method's encoder for one seed."""

from __future__ import annotations

import contextlib
import functools
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from mribench.config import PretrainSettings
from mribench.data.maps import Crops
from mribench.data.mixing import BatchDraws, CohortMix, Place, count_voxels
from mribench.interfaces.encoder import Encoder
from mribench.interfaces.objective import Objective
from mribench.interfaces.views import View, ViewGenerator, ViewRequest
from mribench.jobs.ahead import Ahead, pin, send
from mribench.jobs.collapse import CollapseCheck, check_collapse
from mribench.jobs.context import Context, Outcome
from mribench.jobs.draws import Diversity, draw_identity
from mribench.jobs.encoder_input import EncoderInput, scale
from mribench.jobs.mixing import choose_checked, open_mix
from mribench.jobs.model import is_clipped, new_encoder, scale_layers
from mribench.jobs.views_example import FILE, views_file
from mribench.jobs.volumes import voxel_row
from mribench.results.specification import PretrainSpec
from mribench.seeding import Identity, derive_seed, torch_generator
from mribench.training import Trainee, train
from mribench.training.weights import parameters_digest, state_digest

CHECK_ROUNDS = 8
"""Draws of two views of each subject for the collapse check."""
CHECKS = 4
"""Times that the check is made after training has begun; once more before, on the untrained encoder."""
LOOK_ROUNDS = 2
"""Draws of the checks in between, which are only looked at as a curve."""


def run_pretrain(spec: PretrainSpec, context: Context) -> Outcome:
    """Pretrain an encoder and check that it has not collapsed."""
    job = Pretraining(spec, context)
    before, parameters_before = state_digest(job.encoder), parameters_digest(job.encoder)
    untrained = job.check()
    started = time.perf_counter()
    with contextlib.closing(job):
        history = train(job, job.options, context.device, context.checkpoint(), context.tick, context.watch)
    trained_s = time.perf_counter() - started
    exported = job.objective.exported_encoder()
    check = job.check().row(untrained, trained=parameters_digest(exported) != parameters_before)
    chance = job.objective.chance_losses(job.options.batch_size)
    samples = job.options.steps * job.options.accumulate * job.options.batch_size
    picture = views_file(lambda: job.views(0), job.spacing_mm)
    return Outcome(
        job={
            "device_s": trained_s,
            "steps": job.options.steps,
            "views_seen": samples * len(job.objective.view_requests),
            "voxels_seen": samples * job.voxels_a_sample(),
            "parameters": sum(p.numel() for p in exported.parameters()),
            "parameters_trained": sum(p.numel() for p in job.objective.parameters() if p.requires_grad),
            "encoder_digest_before": before,
            "encoder_digest_after": state_digest(exported),
            "first_loss": history.mean("total", first=True),
            "last_loss": history.mean("total", first=False),
            "chance_loss": sum(chance.values()) if chance else None,
            **job.diversity.row(),
            "redraws": job.redraws,
            **voxel_row(count_voxels(job.source, job.checked)),
            **check,
        },
        weights={
            f"{part}.safetensors": module.state_dict()
            for part, module in {"encoder": exported, **job.objective.exported_modules()}.items()
        },
        history=history.rows + job.checks,
        files={} if picture is None else {FILE: picture},
    )


class Pretraining(Trainee):
    """A pretrain job, set up: its subjects, view generator, encoder and objective.

    Args:
        spec: what the job is asked.
        context: how to build components, and where to compute.
    """

    def __init__(self, spec: PretrainSpec, context: Context) -> None:
        self.seed = spec.seed
        self.device = context.device
        self.options = PretrainSettings.model_validate(spec.pretrain)
        self.generator: ViewGenerator = context.make(spec.views, spec.profile)
        self.encoder: Encoder = new_encoder(spec, context)
        torch.manual_seed(derive_seed("objective", self.seed))
        self.objective: Objective = context.make(spec.objective, spec.profile, self.encoder)
        self.module = self.objective
        self.identity = ("pretrain", self.seed)
        self.weights = self.objective.weights
        self.groups = self.objective.parameter_groups
        self._layer_rates = scale_layers(self.encoder, self.options.layer_decay)
        self.objective.to(self.device, memory_format=torch.channels_last_3d).train()
        train = [source.train for source in spec.sources]
        self.source = open_mix(spec, context, self.generator, train)
        self.checked = open_mix(spec, context, self.generator, choose_checked(spec.sources))
        self.batches = BatchDraws(
            [len(ids) for ids in train],
            [source.share for source in spec.sources],
            self.options.batch_size,
            ("pretrain", self.seed),
            self.options.repeat_subjects,
        )
        self.spacing_mm = self.source.spacing_mm()
        self._input = EncoderInput(spec.input)
        self.redraws = 0
        self.diversity = Diversity()
        self.defects = spec.defects
        self.checks: list[dict[str, float]] = []
        self._ahead = Ahead(self._draw, self.options.steps * self.options.accumulate, self.device)

    def close(self) -> None:
        """Draw no more."""
        self._ahead.close()

    def state_dict(self) -> dict[str, Any]:
        """Return what was counted and checked so far."""
        self._ahead.settle()
        return {
            "checks": self.checks,
            "redraws": self.redraws,
            "view_sums": self.diversity.sums(),
            "voxel_counts": [[*scan, counts] for scan, counts in self.source.counts().items()],
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from what was counted and checked before the job was interrupted."""
        self.checks = state["checks"]
        self.redraws = state["redraws"]
        self.diversity.restore(state["view_sums"])
        self.source.restore({(number, *scan): counts for number, *scan, counts in state["voxel_counts"]})

    def peak_rate(self, name: str, usual: float) -> float:
        """Return the peak learning rate of a parameter, by the layer of the encoder that it is in."""
        return usual * self._layer_rates.get(name, 1.0)

    def is_clipped(self, name: str) -> bool:
        """Whether the gradient of a parameter is clipped, by its name."""
        return is_clipped(name, self.defects)

    def voxels_a_sample(self) -> int:
        """Return the voxels of all views of one sample."""
        edges = [
            round(self.options.patch_vox * request.patch_scale) for request in self.objective.view_requests
        ]
        return sum(edge**3 for edge in edges)

    def losses(self, step: int, batch: int) -> Mapping[str, Tensor]:
        """Return the loss terms of a batch."""
        views = self._render(self._ahead.take(batch), self.objective.view_requests)
        for view in views:
            self.redraws += view.redraws
            self.diversity.add(view.image)
        return self.objective.loss(views, step, self.options.steps)

    def views(self, batch: int) -> list[View]:
        """Return what the objective gets as one batch, one ``View`` for each of its requests.

        Args:
            batch: counted over all steps; the step's own number unless gradients are accumulated.
        """
        return self._render(self._draw(batch), self.objective.view_requests)

    def _draw(self, batch: int) -> _Drawn:
        """Return the crops of a batch, on the host, and the generators that its views are drawn from."""
        places = self.batches.draw(batch)
        # The method is not in the seed: every method sees the same crops, drawn by the same generators.
        a_pass = sum(self.batches.sizes) // self.options.batch_size
        seeds = [
            ("views", self.seed, *draw_identity(batch, sample, a_pass, self.defects))
            for sample in range(len(places))
        ]
        return self._crop(self.source, places, seeds)

    def after_step(self, step: int, total: int) -> None:
        """Let the objective update its teachers, and look at the embeddings now and then."""
        self.objective.after_step(step, total)
        if (step + 1) % max(1, total // CHECKS) == 0 and step + 1 < total:
            check = self.check(LOOK_ROUNDS)
            self.checks.append(
                {"step": step, "mean_cosine": check.mean_cosine, "effective_rank": check.effective_rank,
                 "retrieval": check.retrieval()}
            )  # fmt: skip

    def check(self, rounds: int = CHECK_ROUNDS) -> CollapseCheck:
        """Run the collapse check on the exported encoder, on the first ``rounds`` draws."""
        encoder = self.objective.exported_encoder()
        mode = encoder.training
        encoder.eval()
        first, second = (self._embed_all(encoder, draws[:rounds]) for draws in self._check_images)
        encoder.train(mode)
        return check_collapse(first, second)

    def _embed_all(self, encoder: Encoder, images: Sequence[Tensor]) -> Tensor:
        with torch.no_grad():
            embeddings = [encoder.embed(image.to(self.device)).float().cpu() for image in images]
        return torch.stack(embeddings)

    @functools.cached_property
    def _check_images(self) -> tuple[list[Tensor], list[Tensor]]:
        """Both views of every draw, on the CPU: made once for all checks."""
        places = self.checked.places()
        images: tuple[list[Tensor], list[Tensor]] = ([], [])
        for draw in range(CHECK_ROUNDS):
            seeds = [("collapse-check", self.seed, draw, sample) for sample in range(len(places))]
            views = self._render(self._crop(self.checked, places, seeds), (ViewRequest(), ViewRequest()))
            for kept, view in zip(images, views, strict=True):
                kept.append(view.image.cpu())
        return images

    def _show(self, view: View) -> None:
        """Put a view on the scale that the encoder wants; taken over the whole view, its target alike."""
        found = [self._input.find_image_levels(image) for image in view.image]
        levels = torch.stack([rows for rows in found if rows is not None]) if found[0] is not None else None
        view.image, view.target = scale(view.image, levels), scale(view.target, levels)

    def _crop(
        self, source: CohortMix, places: Sequence[Place], seeds: Sequence[tuple[Identity, ...]]
    ) -> _Drawn:
        generators = [torch_generator(*seed) for seed in seeds]
        edge = self.generator.source_vox(self.options.patch_vox)
        crops = source.crops(places, edge, generators, torch.device("cpu"))
        maps = {name: pin(values, self.device) for name, values in crops.maps.items()}
        return _Drawn(replace(crops, maps=maps), generators)

    def _render(self, drawn: _Drawn, requests: Sequence[ViewRequest]) -> list[View]:
        origins = drawn.crops.origins
        maps = {name: send(values, self.device) for name, values in drawn.crops.maps.items()}
        views = self.generator.views_from(
            origins, maps, requests, self.options.patch_vox, self.spacing_mm, drawn.generators
        )
        for view in views:
            self._show(view)
            view.origins = origins
            view.sequences = view.sequences or [origin.sequence for origin in origins]
        return views


@dataclass(frozen=True)
class _Drawn:
    """Crops on the host, and the generators that go on from where cutting them has left them."""

    crops: Crops
    generators: list[torch.Generator]
