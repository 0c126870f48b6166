"""The evaluate job of a task about people: a prediction for each subject, scored all at once."""

from __future__ import annotations

import logging
import math
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Protocol

import numpy as np
from threadpoolctl import threadpool_limits
from torch import Tensor

from mribench.arms import NO_IMAGE
from mribench.config import AdaptOptions
from mribench.errors import DataError, JobError
from mribench.interfaces.metric import Score, SetMetric, SetScore
from mribench.interfaces.probe import Probe
from mribench.interfaces.subject_task import SubjectTask
from mribench.interfaces.task import TaskVolume
from mribench.jobs.adapted import AdaptedModel
from mribench.jobs.context import Context, Outcome
from mribench.jobs.probe import PROBE_FILE, FrozenEmbedder, list_subjects
from mribench.jobs.volumes import TaskScans, working_spacing_mm
from mribench.jobs.without_image import CONSTANT_FILE, PREDICTION
from mribench.results.records import PREDICTION_SCHEMA, PREDICTIONS, ScoreRow
from mribench.results.specification import EvaluateSpec
from mribench.seeding import torch_generator
from mribench.training.schedule import autocast
from mribench.training.weights import read_weights

logger = logging.getLogger(__name__)

_FAILED = Score(math.nan, "failed")


class _Predictor(Protocol):
    n_parameters: int

    def predict(self, volumes: Iterator[TaskVolume]) -> np.ndarray:
        """Return what is predicted of a subject: probabilities ``(C,)``, or a number ``(1,)``."""

    def finish(self) -> None:
        """Raise a ``JobError`` where the encoder changed."""


class _Probing:
    """The probe that an adapt job fitted, on the mean embedding of a subject's scans."""

    def __init__(self, spec: EvaluateSpec, context: Context, probe: Probe) -> None:
        self._embedder = FrozenEmbedder(spec, context)
        self._probe = probe
        probe.load(read_weights(context.jobs / str(spec.adapt_key) / PROBE_FILE))
        self.n_parameters = self._embedder.n_parameters

    def predict(self, volumes: Iterator[TaskVolume]) -> np.ndarray:
        embedding = np.mean([self._embedder.embed_scan(volume) for volume in volumes], axis=0)
        with threadpool_limits(limits=1, user_api="blas"):
            return np.atleast_1d(self._probe.predict(embedding[None])[0])

    def finish(self) -> None:
        self._embedder.require_unchanged("while scans were evaluated")


class _WithoutImage:
    """The same prediction for every subject; scans are read all the same, so that the same ones fail."""

    n_parameters = 0

    def __init__(self, spec: EvaluateSpec, context: Context) -> None:
        self._constant = read_weights(context.jobs / str(spec.adapt_key) / CONSTANT_FILE)[PREDICTION].numpy()

    def predict(self, volumes: Iterator[TaskVolume]) -> np.ndarray:
        for _ in volumes:
            pass
        return self._constant

    def finish(self) -> None:
        pass


class _Trained:
    """The model that an adapt job trained; predictions of a subject's scans are averaged."""

    def __init__(self, spec: EvaluateSpec, context: Context, task: SubjectTask) -> None:
        self._options = AdaptOptions.model_validate(spec.adapt)
        self._spec, self._context, self._task = spec, context, task
        self._edges_vox = (self._options.patch_vox,) * 3
        self._adapted = AdaptedModel.take(spec, context, task, self._edges_vox)
        self._model = self._adapted.model
        self.n_parameters = self._adapted.n_parameters

    def predict(self, volumes: Iterator[TaskVolume]) -> np.ndarray:
        predictions = [self._predict_scan(volume).double().numpy() for volume in volumes]
        return np.atleast_1d(np.mean(predictions, axis=0))

    def _predict_scan(self, volume: TaskVolume) -> Tensor:
        def forward(image: Tensor) -> Tensor:
            with autocast(self._options.precision, self._context.device):
                return self._model.over_windows(replace(volume, image=image), self._options.patch_vox)

        generator = torch_generator("test-noise", volume.subject, volume.session, volume.sequence)
        return self._task.predict(forward, volume, generator)

    def finish(self) -> None:
        self._adapted.give_back(self._spec, self._context, self._edges_vox)


def evaluate_subjects(spec: EvaluateSpec, context: Context, task: SubjectTask) -> Outcome:
    """Predict every test subject, store that, and score the set by each metric.

    A subject one of whose scans cannot be read, or has no prediction, is a failed row of each metric; the set
    is scored without it. Where the set has no value, all rows are failed, and the log says why.
    """
    predictor = _make_predictor(spec, context, task)
    scans = TaskScans(spec, context, task, spec.subjects, working_spacing_mm(spec))
    predictions: dict[str, np.ndarray | None] = {}
    done = 0
    for subject, own in list_subjects(scans):
        try:
            volumes = (scans.read(subject, scan) for scan in own)
            predictions[subject.id] = _checked(task, predictor.predict(volumes), subject.id)
        except DataError as error:
            logger.warning("%s is counted as failed: %s", subject.id, error)
            predictions[subject.id] = None
        done += len(own)
        context.tick(done, len(scans))
    predictor.finish()
    targets = {subject: task.target(spec.covariates[subject]) for subject in predictions}
    rows: list[ScoreRow] = []
    for metric in task.metrics:
        scored = _score(task, metric, predictions, targets, context)
        if not (spec.arm == NO_IMAGE and _has_no_value(scored)):
            rows.extend(scored)
    return Outcome(
        job={
            "parameters": predictor.n_parameters,
            "label_source": scans.label_source(),
            **scans.voxel_counts(),
        },
        scores=rows,
        tables={
            PREDICTIONS: (_prediction_rows(task, spec, predictions, targets, context), PREDICTION_SCHEMA)
        },
    )


def _make_predictor(spec: EvaluateSpec, context: Context, task: SubjectTask) -> _Predictor:
    if spec.arm == NO_IMAGE:
        return _WithoutImage(spec, context)
    probe = task.build_probe()
    return _Trained(spec, context, task) if probe is None else _Probing(spec, context, probe)


def _checked(task: SubjectTask, prediction: np.ndarray, subject: str) -> np.ndarray:
    expected = (len(task.classes) or 1,)
    if prediction.shape != expected:
        raise JobError(
            f"the prediction of {subject} has the shape {prediction.shape}, expected {expected}",
            "a probe or task gives a probability of each class, or one number",
        )
    if not np.isfinite(prediction).all():
        raise DataError(f"the prediction of {subject} is not finite", "the training diverged: lower lr")
    return prediction


def _score(
    task: SubjectTask,
    metric: SetMetric,
    predictions: dict[str, np.ndarray | None],
    targets: dict[str, float | None],
    context: Context,
) -> list[ScoreRow]:
    """Return a row for each subject: its component of the value of the set."""
    known = {subject: values for subject, values in predictions.items() if values is not None}
    scored = _score_set(task, metric, known, [targets[subject] for subject in known])
    components = {}
    if scored.status == "failed":
        logger.warning("%s has no value of these %d subjects: %s", metric.id, len(known), scored.reason)
    else:
        components = dict(zip(known, np.asarray(scored.components, dtype=float).tolist(), strict=True))
    shown = {subject: Score(value, scored.status, value) for subject, value in components.items()}
    return [_row(task, metric, subject, shown.get(subject, _FAILED), context) for subject in predictions]


def _has_no_value(rows: Sequence[ScoreRow]) -> bool:
    """Whether a set has no value: of one prediction for everybody there is no correlation, and no failure."""
    return all(row["status"] == "failed" for row in rows)


def _score_set(
    task: SubjectTask, metric: SetMetric, known: dict[str, np.ndarray], targets: Sequence[float | None]
) -> SetScore:
    if not known:
        return SetScore(math.nan, np.array([]), "failed", "nobody could be predicted")
    stacked = np.stack(list(known.values()))
    try:
        return metric.score_set(stacked if task.classes else stacked[:, 0], np.array(targets, dtype=float))
    except DataError as error:
        return SetScore(math.nan, np.array([]), "failed", error.message)


def _row(task: SubjectTask, metric: SetMetric, subject: str, score: Score, context: Context) -> ScoreRow:
    return {
        "job_key": context.directory.name,
        "subject": subject,
        "session": "",
        "label": task.target_name,
        "metric": metric.id,
        "value": score.value,
        "unit": metric.unit,
        "status": score.status,
        "penalty": score.penalty,
    }


def _prediction_rows(
    task: SubjectTask,
    spec: EvaluateSpec,
    predictions: dict[str, np.ndarray | None],
    targets: dict[str, float | None],
    context: Context,
) -> list[dict[str, object]]:
    common = {
        **dict(spec.cell),
        "job_key": context.directory.name,
        "label": task.target_name,
        "classes": list(task.classes),
    }
    return [
        {
            **common,
            "subject": subject,
            "target": targets[subject],
            "prediction": None if values is None else values.tolist(),
        }
        for subject, values in predictions.items()
    ]
