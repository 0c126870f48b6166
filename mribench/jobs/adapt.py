"""The adapt job: a task's head on an encoder."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import default_collate

from mribench.arms import DECODER_ARMS, FINETUNED_ARMS, FROZEN_ARMS, NO_IMAGE
from mribench.config import AdaptOptions
from mribench.errors import JobError
from mribench.interfaces.subject_task import SubjectTask
from mribench.interfaces.task import Task
from mribench.jobs.ahead import Ahead, pin, send
from mribench.jobs.chosen_rate import choose_rate, list_tables
from mribench.jobs.context import Context, Outcome
from mribench.jobs.draws import Diversity, draw_identity
from mribench.jobs.encoder_input import EncoderInput
from mribench.jobs.model import TaskModel, arm_encoder, is_clipped, scale_layers, start_from_decoder
from mribench.jobs.probe import run_probe
from mribench.jobs.still import StillEncoder
from mribench.jobs.volumes import TaskScans
from mribench.jobs.without_image import list_training, run_without_image
from mribench.results.specification import AdaptSpec
from mribench.seeding import torch_generator
from mribench.training import DivergenceError, History, Trainee, train
from mribench.training.weights import state_digest

logger = logging.getLogger(__name__)


def run_adapt(spec: AdaptSpec, context: Context) -> Outcome:
    """Train a task's head, and the encoder too unless the arm freezes it; or fit the task's probe."""
    task: Task = context.make(spec.task, spec.profile)
    if isinstance(task, SubjectTask):
        if spec.arm == NO_IMAGE:
            return run_without_image(spec, task)
        probe = task.build_probe()
        if probe is not None:
            return run_probe(spec, context, task, probe)
        task.learn_from(list_training(spec, task))
    wanted = AdaptOptions.model_validate(spec.adapt)
    chosen = choose_rate(spec, wanted, task, context.jobs)
    options = wanted.at_rate(chosen.factor)
    scans = TaskScans(spec, context, task, spec.train, options.spacing_mm)
    scans.prepare()
    frozen = spec.arm in FROZEN_ARMS
    start = arm_encoder(spec, context)
    model = TaskModel(
        start.encoder, task, frozen=frozen, seed=spec.seed, defects=spec.defects, wanted=spec.input
    )
    account = start.account
    if spec.arm in DECODER_ARMS:
        account = start_from_decoder(model, task, spec, context)
    model.to(context.device)
    still = StillEncoder(model.encoder, (options.patch_vox,) * 3, context.device) if frozen else None
    model.train()
    before = state_digest(model.encoder)
    started = time.perf_counter()
    adaptation = _Adaptation(
        model, task, _Sampler(task, scans, options, spec, model.input), options, spec, context.device
    )
    history = _train(adaptation, options, spec, context)
    trained_s = time.perf_counter() - started
    after = state_digest(model.encoder)
    if still:
        if after != before:
            raise JobError(
                "the frozen encoder changed while the head was trained: the digest of its weights is another",
                "an encoder must keep no state that a forward pass updates in eval mode",
            )
        still.require_unchanged("while the head was trained, though it is frozen")
    kept = model.head if frozen else model
    samples = options.steps * options.accumulate * options.batch_size
    return Outcome(
        job={
            "device_s": trained_s,
            "steps": options.steps,
            "views_seen": samples,
            "voxels_seen": samples * options.patch_vox**3,
            "parameters": sum(p.numel() for p in model.parameters()),
            "parameters_trained": sum(p.numel() for p in model.parameters() if p.requires_grad),
            "encoder_digest_before": before,
            "encoder_digest_after": after,
            **adaptation.diversity.row(),
            "first_loss": history.mean("total", first=True),
            "last_loss": history.mean("total", first=False),
            "weights_account": account,
            "channels_account": start.widened,
            "label_source": scans.label_source(),
            **scans.voxel_counts(),
        },
        weights={("head" if frozen else "model") + ".safetensors": kept.state_dict()},
        history=history.rows,
        tables=list_tables(chosen, wanted, task, context.directory.name),
    )


def _train(adaptation: _Adaptation, options: AdaptOptions, spec: AdaptSpec, context: Context) -> History:
    """Train; the training of a trial that diverges ends where it does, and will score badly."""
    so_far = History()

    def watch(rows: list[dict[str, float]]) -> None:
        so_far.rows = rows
        context.watch(rows)

    try:
        return train(adaptation, options, context.device, context.checkpoint(), context.tick, watch)
    except DivergenceError as error:
        if not (spec.is_trial and so_far.rows):
            raise
        logger.warning("%s; it is a trial, and goes on to be scored", error.message)
        return so_far
    finally:
        adaptation.close()


class _Sampler:
    """Draws training samples by (step, sample) alone, so every arm sees the same crops."""

    def __init__(
        self, task: Task, volumes: TaskScans, options: AdaptOptions, spec: AdaptSpec, wanted: EncoderInput
    ) -> None:
        self._task = task
        self._volumes = volumes
        self._options = options
        self._identity = (spec.task.name, spec.sequence, spec.seed)
        self._defects = spec.defects
        self._wanted = wanted
        self._levels: dict[int, Tensor | None] = {}

    def batch(self, number: int) -> tuple[dict[str, Tensor], Tensor | None]:
        """Return a batch by its number, collated, and the levels at which the encoder wants each sample."""
        samples, levels = [], []
        a_pass = len(self._volumes) // self._options.batch_size
        for sample in range(self._options.batch_size):
            generator = torch_generator("sample", *self._identity, number, sample)
            place = int(torch.randint(len(self._volumes), (), generator=generator))
            volume = self._volumes[place]
            drawn = draw_identity(number, sample, a_pass, self._defects)
            if drawn != (number, sample):
                generator = torch_generator("sample", *self._identity, *drawn)
            samples.append(self._task.training_sample(volume, self._options.patch_vox, generator))
            if place not in self._levels:
                self._levels[place] = self._wanted.find_levels(volume)
            levels.append(self._levels[place])
        batch: dict[str, Tensor] = default_collate(samples)
        wanted = [values for values in levels if values is not None]
        return batch, torch.stack(wanted) if wanted else None


class _Adaptation(Trainee):
    """A task's head on an encoder, as it learns."""

    def __init__(
        self,
        model: TaskModel,
        task: Task,
        sampler: _Sampler,
        options: AdaptOptions,
        spec: AdaptSpec,
        device: torch.device,
    ) -> None:
        self.module = model
        self.identity = ("adapt", spec.task.name, spec.sequence, spec.seed)
        self.sampler = sampler
        self.diversity = Diversity()
        self._layer_rates = scale_layers(model.encoder, options.layer_decay)
        self._task, self._options, self._spec, self._device = task, options, spec, device
        self._ahead = Ahead(self._draw, options.steps * options.accumulate, device)

    def _draw(self, batch: int) -> tuple[dict[str, Tensor], Tensor | None]:
        drawn, levels = self.sampler.batch(batch)
        return {name: pin(value, self._device) for name, value in drawn.items()}, levels

    def close(self) -> None:
        """Draw no more."""
        self._ahead.close()

    def losses(self, step: int, batch: int) -> Mapping[str, Tensor]:
        """Return the loss of a batch."""
        del step
        drawn, levels = self._ahead.take(batch)
        self.diversity.add(drawn["image"])
        samples = {name: send(value, self._device) for name, value in drawn.items()}
        return {"loss": self._task.loss(self.module(samples["image"], levels), samples)}

    def peak_rate(self, name: str, usual: float) -> float:
        """Return the peak learning rate of a parameter: a pretrained encoder may learn more slowly."""
        if not name.startswith("encoder."):
            return usual
        slow = self._options.finetune_lr if self._spec.arm in FINETUNED_ARMS else None
        return (usual if slow is None else slow) * self._layer_rates.get(name, 1.0)

    def is_clipped(self, name: str) -> bool:
        """Whether the gradient of a parameter is clipped, by its name."""
        return is_clipped(name, self._spec.defects)

    def state_dict(self) -> dict[str, Any]:
        """Return what was counted so far."""
        return {"view_sums": self.diversity.sums()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from what was counted before the job was interrupted."""
        self.diversity.restore(state["view_sums"])
