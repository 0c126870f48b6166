"""The four kinds of job: ``run(specification, context) -> Outcome`` each."""

from mribench.jobs.context import Context, Outcome
from mribench.jobs.run import run_payload

__all__ = ["Context", "Outcome", "run_payload"]
