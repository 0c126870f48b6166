"""Everything that lies on disk of a benchmark: jobs, leases, states, plans, rows; written and read.

What tables and tests make of rows lies in ``statistics``, ``report`` and ``compare``. No torch, no plugins.
"""

from mribench.results.atomic import read_json, replace_file, write_json
from mribench.results.lease import Lease, LeaseState
from mribench.results.status import SCHEMA, JobStatus
from mribench.results.store import Store

__all__ = ["SCHEMA", "JobStatus", "Lease", "LeaseState", "Store", "read_json", "replace_file", "write_json"]
