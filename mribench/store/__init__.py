"""The results directory: layout, atomic writes, leases, status, resumption."""

from mribench.store.atomic import read_json, replace_file, write_json
from mribench.store.lease import Lease, LeaseState
from mribench.store.store import SCHEMA, JobStatus, Store

__all__ = ["SCHEMA", "JobStatus", "Lease", "LeaseState", "Store", "read_json", "replace_file", "write_json"]
