"""The four kinds of job: ``run(spec, context) -> Outcome`` each."""

from mribench.jobs.context import Context, Outcome
from mribench.jobs.run import run_spec

__all__ = ["Context", "Outcome", "run_spec"]
