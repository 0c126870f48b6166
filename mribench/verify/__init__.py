"""Runs results again, and says whether they come out the same.

How much two methods differ lies in ``compare``.
"""

from mribench.verify.integrity import check_integrity
from mribench.verify.rerun import Rerun, Verdict
from mribench.verify.results import KINDS, Results, open_results, sample

__all__ = ["KINDS", "Rerun", "Results", "Verdict", "check_integrity", "open_results", "sample"]
