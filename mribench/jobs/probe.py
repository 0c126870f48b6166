"""The adapt job of a task with a probe: embeddings of people, and what is fitted on them."""

from __future__ import annotations

import itertools
import logging
import time
from collections.abc import Callable, Iterator, Sequence

import numpy as np
import torch
from threadpoolctl import threadpool_limits
from torch import Tensor

from mribench.config import EmbedOptions
from mribench.data.uses import ScanSet
from mribench.errors import DataError, JobError
from mribench.interfaces.dataset import Subject
from mribench.interfaces.probe import Probe, ProbeSubjects
from mribench.interfaces.subject_task import SubjectTask
from mribench.interfaces.task import TaskVolume
from mribench.jobs.context import Context, Outcome
from mribench.jobs.embedding import embed_scan
from mribench.jobs.encoder_input import EncoderInput
from mribench.jobs.model import arm_encoder
from mribench.jobs.still import StillEncoder
from mribench.jobs.volumes import TaskScans
from mribench.results.specification import AdaptSpec, EvaluateSpec
from mribench.training.weights import state_digest

logger = logging.getLogger(__name__)

PROBE_FILE = "probe.safetensors"


class FrozenEmbedder:
    """The encoder of a job, which is left as it is, and the embeddings of scans by it.

    Attributes:
        digest_before: of the encoder's weights, before any scan.
        weights_account: what is said of weights from outside.
        n_windows: that were embedded so far.
        patch_vox: edge of the windows.
        edge_vox: edge of what the encoder gets: a window, or a whole scan.
    """

    def __init__(self, spec: AdaptSpec | EvaluateSpec, context: Context) -> None:
        self.patch_vox = EmbedOptions.model_validate(spec.adapt).patch_vox
        start = arm_encoder(spec, context)
        self._encoder = start.encoder.requires_grad_(False).eval()
        self._encoder.to(context.device, memory_format=torch.channels_last_3d)  # type: ignore[call-overload]
        self._device = context.device
        self._input = EncoderInput(spec.input)
        self.edge_vox = self._input.whole_vox or self.patch_vox
        self._still = StillEncoder(self._encoder, (self.edge_vox,) * 3, context.device)
        self.digest_before = state_digest(self._encoder)
        self.weights_account = start.account
        self.n_windows = 0

    @property
    def n_parameters(self) -> int:
        """Parameters of the encoder."""
        return sum(p.numel() for p in self._encoder.parameters())

    def embed_scan(self, volume: TaskVolume) -> np.ndarray:
        """Return the mean embedding of the windows of a scan, ``(D,)`` float64.

        Raises:
            DataError: when it is not finite.
        """
        embedded = embed_scan(self._encoder, self._input, volume, self.patch_vox, self._device)
        if not bool(embedded.values.isfinite().all()):
            raise DataError(
                f"the embedding of {volume.subject} {volume.session} {volume.sequence} is not finite",
                "look for a scan with extreme values, or an encoder whose training diverged",
            )
        self.n_windows += embedded.n_windows
        return embedded.values.double().numpy()

    def require_unchanged(self, when: str) -> str:
        """Return the digest of the encoder's weights, which is the one before.

        Raises:
            JobError: when the encoder changed.
        """
        self._still.require_unchanged(when)
        digest = state_digest(self._encoder)
        if digest != self.digest_before:
            raise JobError(
                f"the frozen encoder changed {when}: the digest of its weights is another",
                "an encoder must keep no state that a forward pass updates in eval mode",
            )
        return digest


def list_subjects(scans: TaskScans) -> Iterator[tuple[Subject, list[ScanSet]]]:
    """Yield each subject with its scans, in the order of the subjects."""
    for _, pairs in itertools.groupby(scans.pairs(), key=lambda pair: pair[0].id):
        subjects, own = zip(*pairs, strict=True)
        yield subjects[0], list(own)


def run_probe(spec: AdaptSpec, context: Context, task: SubjectTask, probe: Probe) -> Outcome:
    """Embed training and validation subjects, and fit the probe on them.

    Raises:
        DataError: when a scan cannot be read, or its embedding is not finite.
        JobError: when the encoder changed.
    """
    spacing_mm = EmbedOptions.model_validate(spec.adapt).spacing_mm
    embedder = FrozenEmbedder(spec, context)
    scans = TaskScans(spec, context, task, (*spec.train, *spec.validation), spacing_mm)
    started = time.perf_counter()
    embedded = _embed_subjects(embedder, scans, context.tick)
    training, validation = (_gather(task, spec, ids, embedded) for ids in (spec.train, spec.validation))
    with threadpool_limits(limits=1, user_api="blas"):
        probe.fit(training, validation)
    state = probe.state()
    logger.info("fitted on %d subjects, chosen on %d: %s", len(training), len(validation), _chosen(state))
    return Outcome(
        job={
            "device_s": time.perf_counter() - started,
            "views_seen": embedder.n_windows,
            "voxels_seen": embedder.n_windows * embedder.edge_vox**3,
            "parameters": embedder.n_parameters,
            "parameters_trained": 0,
            "encoder_digest_before": embedder.digest_before,
            "encoder_digest_after": embedder.require_unchanged("while the probe was fitted"),
            "weights_account": embedder.weights_account,
            "label_source": scans.label_source(),
            **scans.voxel_counts(),
        },
        weights={PROBE_FILE: state},
    )


def _embed_subjects(
    embedder: FrozenEmbedder, scans: TaskScans, tick: Callable[[int, int], None]
) -> dict[str, np.ndarray]:
    """Return the embedding of each subject: the mean over its scans, ``(D,)``."""
    embedded: dict[str, list[np.ndarray]] = {}
    for done, (subject, scan) in enumerate(scans.pairs(), start=1):
        embedded.setdefault(subject.id, []).append(embedder.embed_scan(scans.read(subject, scan)))
        tick(done, len(scans))
    return {subject: np.mean(own, axis=0) for subject, own in embedded.items()}


def _gather(
    task: SubjectTask, spec: AdaptSpec, ids: Sequence[str], embedded: dict[str, np.ndarray]
) -> ProbeSubjects:
    width = len(next(iter(embedded.values())))
    rows = [embedded[subject] for subject in ids]
    targets = [task.target(spec.covariates[subject]) for subject in ids]
    return ProbeSubjects(np.array(rows).reshape(len(rows), width), np.array(targets, dtype=np.float64))


def _chosen(state: dict[str, Tensor]) -> str:
    """Name the single numbers of a state: what was chosen."""
    return ", ".join(f"{name} {value.item():g}" for name, value in state.items() if value.numel() == 1)
