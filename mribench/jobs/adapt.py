"""The adapt job: a task's head on an encoder."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import default_collate

from mribench.config import AdaptOptions
from mribench.errors import JobError
from mribench.interfaces.task import Task
from mribench.jobs.context import Context, Outcome
from mribench.jobs.draws import Diversity, draw_identity
from mribench.jobs.model import FROZEN_ARMS, TaskModel, arm_encoder, clipped_parameters
from mribench.jobs.still import StillEncoder
from mribench.jobs.volumes import TaskScans
from mribench.results.specification import AdaptSpec
from mribench.seeding import torch_generator
from mribench.training import Checkpoint, LoopOptions, train
from mribench.training.weights import state_digest


def run_adapt(spec: AdaptSpec, context: Context) -> Outcome:
    """Train a task's head, and the encoder too unless the arm freezes it."""
    options = AdaptOptions.model_validate(spec.adapt)
    task: Task = context.make(spec.task, spec.profile)
    scans = TaskScans(spec, context, task, spec.train, spec.sequence, options.spacing_mm)
    scans.prepare()
    frozen = spec.arm in FROZEN_ARMS
    model = TaskModel(arm_encoder(spec, context), task, frozen=frozen, seed=spec.seed, defects=spec.defects)
    model.to(context.device)
    still = StillEncoder(model.encoder, (options.patch_vox,) * 3, context.device) if frozen else None
    model.train()
    before = state_digest(model.encoder)
    started = time.perf_counter()
    sampler = _Sampler(task, scans, options, spec)
    history = train(
        model,
        lambda step: {"loss": _loss(model, task, sampler.batch(step), context.device)},
        LoopOptions.of(options),
        identity=("adapt", spec.task.name, spec.sequence, spec.seed),
        device=context.device,
        checkpoint=Checkpoint(context.directory / "checkpoint.safetensors", context.checkpoint_every_s),
        carried=sampler,
        on_step=context.tick,
        watch=context.watch,
        clipped=clipped_parameters(spec.defects),
        rates=None if options.finetune_lr is None else _rates(spec.arm, options),
    )
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
    return Outcome(
        job={
            "device_s": trained_s,
            "steps": options.steps,
            "views_seen": options.steps * options.batch_size,
            "voxels_seen": options.steps * options.batch_size * options.patch_vox**3,
            "parameters": sum(p.numel() for p in model.parameters()),
            "parameters_trained": sum(p.numel() for p in model.parameters() if p.requires_grad),
            "encoder_digest_before": before,
            "encoder_digest_after": after,
            **sampler.diversity.row(),
            "first_loss": history.mean("total", first=True),
            "last_loss": history.mean("total", first=False),
            "label_source": scans.label_source(),
            **scans.voxel_counts(),
        },
        weights={("head" if frozen else "model") + ".safetensors": kept.state_dict()},
        history=history.rows,
    )


class _Sampler:
    """Draws training samples by (step, sample) alone, so every arm sees the same crops."""

    def __init__(self, task: Task, volumes: TaskScans, options: AdaptOptions, spec: AdaptSpec) -> None:
        self._task = task
        self._volumes = volumes
        self._options = options
        self._identity = (spec.task.name, spec.sequence, spec.seed)
        self._defects = spec.defects
        self.diversity = Diversity()

    def state_dict(self) -> dict[str, Any]:
        """Return what was counted so far; see ``mribench.training.Carried``."""
        return {"view_sums": self.diversity.sums()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from what was counted before the job was interrupted."""
        self.diversity.restore(state["view_sums"])

    def batch(self, step: int) -> dict[str, Tensor]:
        """Return the batch of a step, collated."""
        samples = []
        a_pass = len(self._volumes) // self._options.batch_size
        for sample in range(self._options.batch_size):
            generator = torch_generator("sample", *self._identity, step, sample)
            volume = self._volumes[int(torch.randint(len(self._volumes), (), generator=generator))]
            drawn = draw_identity(step, sample, a_pass, self._defects)
            if drawn != (step, sample):
                generator = torch_generator("sample", *self._identity, *drawn)
            samples.append(self._task.training_sample(volume, self._options.patch_vox, generator))
        batch: dict[str, Tensor] = default_collate(samples)
        self.diversity.add(batch["image"])
        return batch


def _loss(model: TaskModel, task: Task, batch: dict[str, Tensor], device: torch.device) -> Tensor:
    on_device = {name: _sent(value, device) for name, value in batch.items()}
    return task.loss(model(on_device["image"]), on_device)


def _sent(value: Tensor, device: torch.device) -> Tensor:
    """Copy to the device; from pinned memory the host does not wait for a GPU."""
    if device.type == "cuda" and value.device.type == "cpu":
        return value.pin_memory().to(device, non_blocking=True)
    return value.to(device)


def _rates(arm: str, options: AdaptOptions) -> Any:
    """Return the peak learning rate by parameter name: a pretrained encoder may learn more slowly."""
    slow = options.finetune_lr if arm == "finetune" else options.lr
    return lambda name: slow if name.startswith("encoder.") else options.lr
