"""The name that ``mribench.results.lease`` had in 0.1."""

from mribench.results.lease import Lease, LeaseState

__all__ = ["Lease", "LeaseState"]
