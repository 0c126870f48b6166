"""Which jobs of a plan a person asks for."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from mribench.plan import Job
from mribench.results.patterns import matches_any


def select(jobs: Mapping[str, Job], patterns: Collection[str]) -> dict[str, Job]:
    """Return the jobs whose id matches one of the shell patterns, and all that they need."""
    wanted = set()
    for key, job in jobs.items():
        if matches_any(job.id, patterns):
            wanted.add(key)
    for key in reversed(list(jobs)):
        if key in wanted:
            wanted.update(need for need in jobs[key].needs if need in jobs)
    return {key: job for key, job in jobs.items() if key in wanted}
