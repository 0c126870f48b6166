"""From settings and cohorts to jobs with content keys, and why a result is stale.

Nothing is trained or scored here; files are read to know them, networks built to see whether they fit.
"""

from mribench.plan.build import build_plan
from mribench.plan.cohorts import Cohort, make_missing, open_cohorts
from mribench.plan.job import Job, Plan
from mribench.plan.whole import plan_all

__all__ = ["Cohort", "Job", "Plan", "build_plan", "make_missing", "open_cohorts", "plan_all"]
