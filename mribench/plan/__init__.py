"""Configuration + registry → DAG of jobs with content keys."""

from mribench.plan.build import build_plan
from mribench.plan.cohorts import Cohort, make_missing, open_cohorts
from mribench.plan.job import Job, Plan
from mribench.plan.whole import plan_all

__all__ = ["Cohort", "Job", "Plan", "build_plan", "make_missing", "open_cohorts", "plan_all"]
