"""The evaluate job: one adapted model, one test site, one test sequence."""

from __future__ import annotations

import dataclasses
import logging
import math

from torch import Tensor

from mribench.config import AdaptOptions
from mribench.data.uses import ScanSet
from mribench.defects import UNPAIRED_NOISE
from mribench.errors import DataError
from mribench.interfaces.dataset import Subject
from mribench.interfaces.metric import Metric, Score, SetMetric
from mribench.interfaces.subject_task import SubjectTask
from mribench.interfaces.task import Task, TaskVolume
from mribench.jobs.adapted import AdaptedModel
from mribench.jobs.context import Context, Outcome
from mribench.jobs.example import FILE, example_file
from mribench.jobs.model import TaskModel
from mribench.jobs.subjects import evaluate_subjects
from mribench.jobs.volumes import TaskScans
from mribench.results.records import JobRow, ScoreRow
from mribench.results.specification import EvaluateSpec
from mribench.seeding import torch_generator
from mribench.training.schedule import autocast

logger = logging.getLogger(__name__)

_FAILED = Score(math.nan, "failed", math.nan)


def run_evaluate(spec: EvaluateSpec, context: Context) -> Outcome:
    """Predict and score every test scan; what cannot be read or scored is a failed row, no lost job."""
    task: Task = context.make(spec.task, spec.profile)
    if isinstance(task, SubjectTask):
        return evaluate_subjects(spec, context, task)
    options = AdaptOptions.model_validate(spec.adapt)
    edges_vox = options.windows_vox()
    adapted = AdaptedModel.take(spec, context, task, edges_vox) if spec.adapt_key else None
    model = adapted.model if adapted else None
    scans = TaskScans(spec, context, task, spec.subjects, options.spacing_mm)
    # Test noise depends on the scan alone: every method, seed and fraction is tested on the same. With the
    # defect it is each row's own.
    noise_of = (spec.cell.model_dump_json(),) if UNPAIRED_NOISE in spec.defects else ()
    rows: list[ScoreRow] = []
    example: bytes | None = None
    for done, (subject, scan) in enumerate(scans.pairs(), start=1):
        seen: list[Tensor] = []
        try:
            volume = scans.read(subject, scan)
            prediction = _predict(task, model, volume, options, context, seen, noise_of)
            scores = task.score(prediction, volume)
        except DataError as error:
            logger.warning("%s %s is counted as failed: %s", subject.id, scan.session, error)
            rows.extend(_row(context, subject, scan, metric, "", _FAILED) for metric in task.metrics)
            continue
        example = example or example_file(task, volume, seen, prediction)
        for scored in scores:
            rows.append(_row(context, subject, scan, scored.metric, scored.label, scored.score))
        context.tick(done, len(scans))
    if adapted:
        adapted.give_back(spec, context, edges_vox)
    files = {} if example is None else {FILE: example}
    job: JobRow = {
        "parameters": adapted.n_parameters if adapted else 0,
        "label_source": scans.label_source(),
        **scans.voxel_counts(),
    }
    parts = context.window_parts if model and task.dense else None
    return Outcome(job=job, scores=rows, files=files, window_parts=parts)


def _row(
    context: Context, subject: Subject, scan: ScanSet, metric: Metric | SetMetric, label: str, score: Score
) -> ScoreRow:
    return {
        "job_key": context.directory.name,
        "subject": subject.id,
        "session": scan.session,
        "label": label,
        "metric": metric.id,
        "value": score.value,
        "unit": metric.unit,
        "status": score.status,
        "penalty": score.penalty,
    }


def _predict(
    task: Task,
    model: TaskModel | None,
    volume: TaskVolume,
    options: AdaptOptions,
    context: Context,
    seen: list[Tensor],
    noise_of: tuple[str, ...],
) -> Tensor:
    """Predict; what the model is given goes into ``seen`` too, ``noise_of`` into the seed of the noise."""
    generator = torch_generator("test-noise", volume.subject, volume.session, volume.sequence, *noise_of)
    if model is None:
        unchanged = task.identity(volume, generator)
        if unchanged is None:
            raise RuntimeError(f"{type(task).__name__} says it has an identity reference and gave none")
        return unchanged

    levels = model.input.find_levels(volume)

    def forward(image: Tensor) -> Tensor:
        seen.append(image)
        with autocast(options.precision, context.device):
            if task.dense:
                return model.over_volume(
                    image, options.windows_vox(), options.overlap, levels, context.window_parts
                )
            return model.over_windows(dataclasses.replace(volume, image=image), options.patch_vox)

    return task.predict(forward, volume, generator).cpu()
