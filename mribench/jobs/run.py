"""Sends a job to its kind."""

from __future__ import annotations

from mribench.jobs.adapt import run_adapt
from mribench.jobs.context import Context, Outcome
from mribench.jobs.embed import run_embed
from mribench.jobs.evaluate import run_evaluate
from mribench.jobs.pretrain import run_pretrain
from mribench.results.specification import AdaptSpec, EmbedSpec, EvaluateSpec, JobSpec, PretrainSpec


def run_spec(spec: JobSpec, context: Context) -> Outcome:
    """Do what a job is asked."""
    match spec:
        case PretrainSpec():
            return run_pretrain(spec, context)
        case AdaptSpec():
            return run_adapt(spec, context)
        case EvaluateSpec():
            return run_evaluate(spec, context)
        case EmbedSpec():
            return run_embed(spec, context)
