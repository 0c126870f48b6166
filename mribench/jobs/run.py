"""Sends a job to its kind."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from mribench.errors import JobError
from mribench.jobs.adapt import run_adapt
from mribench.jobs.context import Context, Outcome
from mribench.jobs.embed import run_embed
from mribench.jobs.evaluate import run_evaluate
from mribench.jobs.pretrain import run_pretrain

_KINDS: dict[str, Callable[[Mapping[str, Any], Context], Outcome]] = {
    "pretrain": run_pretrain,
    "adapt": run_adapt,
    "evaluate": run_evaluate,
    "embed": run_embed,
}


def run_payload(kind: str, payload: Mapping[str, Any], context: Context) -> Outcome:
    """Run one job.

    Raises:
        JobError: for an unknown kind.
    """
    if kind not in _KINDS:
        raise JobError(f"unknown kind of job '{kind}'", f"known: {', '.join(_KINDS)}")
    return _KINDS[kind](payload, context)
