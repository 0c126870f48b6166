"""The same score rows whatever runs the jobs; the files beside this have Dask and SLURM."""

from __future__ import annotations

from pathlib import Path

from cluster_lab import Lab
from same_rows import Through, differ, run_through


def test_rows_of_many_processes_are_those_of_one(cache: Path, one_process: Through, tmp_path: Path) -> None:
    through = run_through("local", Lab(tmp_path, cache))
    assert not through.problem, through.problem
    assert not differ(one_process, through)


def test_a_difference_is_found(one_process: Through) -> None:
    rows = one_process.rows.copy()
    rows.loc[0, "value"] += 1e-12
    assert differ(one_process, Through("other", rows, 0, 0, ""))
