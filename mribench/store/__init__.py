"""The name that ``mribench.results`` had in 0.1, kept for scripts that were written for it.

Nothing is defined here, and nothing of mribench imports it.
"""

from mribench.results import SCHEMA, JobStatus, Lease, LeaseState, Store, read_json, replace_file, write_json

__all__ = ["SCHEMA", "JobStatus", "Lease", "LeaseState", "Store", "read_json", "replace_file", "write_json"]
