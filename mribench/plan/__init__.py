"""From settings and cohorts to jobs with content keys, and why a result is stale.

Nothing is computed here, and nothing is read but what says whether a cohort is there.
"""

from mribench.plan.build import build_plan
from mribench.plan.cohorts import Cohort, make_missing, open_cohorts
from mribench.plan.job import Job, Plan
from mribench.plan.whole import plan_all

__all__ = ["Cohort", "Job", "Plan", "build_plan", "make_missing", "open_cohorts", "plan_all"]
