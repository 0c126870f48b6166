"""How long a report of a large results folder takes, and how much memory.

The folder is written first, as a run would: tissue at three sites and three sequences, tested on all, several
methods and seeds; each evaluate job has its own Parquet file. The report runs in a process of its own.

Example: python benchmarks/perf/report.py --rows 1000000 --format markdown
"""

from __future__ import annotations

import argparse
import hashlib
import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from mribench.results import SCHEMA
from mribench.results.records import CELL_COLUMNS, JOB_SCHEMA, SCORE_FILE_SCHEMA

SITES = {"Guys": 65, "HH": 185, "IOP": 74}
SEQUENCES = ("T1w", "T2w", "PDw")
FRACTIONS = (0.01, 0.1, 1.0)
LABELS = ("CSF", "GM", "WM")
METRICS = (
    {"id": "dice", "unit": "", "higher_is_better": True, "value_range": [0, 1]},
    {"id": "hd95:max-directed", "unit": "mm", "higher_is_better": False, "value_range": [0, None]},
)
METHODS = ("base", "seqaug", "seqinv")
ROWS_PER_SEED = len(METHODS) * len(FRACTIONS) * len(SEQUENCES) ** 2 * sum(SITES.values()) * 6
_CHILD = """
import dataclasses, resource, sys, time
start = time.perf_counter()
from pathlib import Path
from mribench.report import Material, load_run, render, run_document
run = load_run(Path(sys.argv[1]))
loaded = time.perf_counter()
run = dataclasses.replace(run, marking=sys.argv[3])
text = render(run_document(Material(run), sys.argv[4:]), sys.argv[2])
done = time.perf_counter()
used = resource.getrusage(resource.RUSAGE_SELF)
print(len(run.scores), loaded - start, done - start, used.ru_utime + used.ru_stime, used.ru_maxrss / 1e6)
"""


def jobs(seeds: int) -> Iterator[dict[str, Any]]:
    """Yield the jobs of a manifest."""
    for method in METHODS:
        for seed in range(seeds):
            pretrain = _job(f"{method}/pretrain/seed{seed}", "pretrain")
            yield pretrain
            for sequence in SEQUENCES:
                for fraction in FRACTIONS:
                    where = f"{method}/frozen/tissue/{sequence}/{fraction:g}/seed{seed}"
                    adapt = _job(where, "adapt", needs=[pretrain["key"]], pretrain=pretrain["key"])
                    yield adapt
                    for site in SITES:
                        for tested in SEQUENCES:
                            cell = dict.fromkeys(CELL_COLUMNS) | {
                                "benchmark": "large", "profile": "corrected", "method": method,
                                "arm": "frozen", "task": "tissue", "dataset": "ixi",
                                "train_site": "Guys", "test_site": site,
                                "train_sequence": sequence, "test_sequence": tested, "fraction": fraction,
                                "n_train_subjects": 20, "subset_seed": 0, "seed": seed,
                            }  # fmt: skip
                            name = f"{where}/test/{site}/{tested}"
                            job = _job(name, "evaluate", cell, [adapt["key"]], pretrain["key"])
                            yield job | {"adapt": adapt["key"]}


def _job(
    name: str,
    kind: str,
    cell: dict[str, Any] | None = None,
    needs: list[str] | None = None,
    pretrain: str | None = None,
) -> dict[str, Any]:
    key = hashlib.sha256(name.encode()).hexdigest()[:32]
    return {"key": key, "id": name, "kind": kind, "cell": cell, "needs": needs or [], "pretrain": pretrain}


def write(root: Path, seeds: int) -> None:
    """Write plan, states and rows."""
    planned = list(jobs(seeds))
    manifest = {
        "schema": SCHEMA, "benchmark": "large", "file": "large.yaml", "profiles": ["corrected"],
        "created": "2026-01-01T00:00:00+00:00", "seeds": list(range(seeds)),
        "methods": [
            {"name": name, "views": "v", "objective": "o", "encoder": "e", "overrides": []}
            for name in METHODS
        ],
        "arms": ["frozen"], "reference_arms": [],
        "tasks": {
            "tissue": {
                "task": "t", "dataset": "ixi", "label": "tissue", "fractions": list(FRACTIONS),
                "train_sequences": list(SEQUENCES), "test_sequences": list(SEQUENCES),
                "sites": list(SITES), "metrics": list(METRICS),
            }
        },
        "cohorts": {"ixi": {"dataset": "d", "simulated": True, "licence": "free"}},
        "report": {"tables": ["leaderboard", "transfer", "budget"]}, "jobs": planned,
    }  # fmt: skip
    (root / "plans").mkdir(parents=True)
    (root / "plans" / f"{'0' * 16}.json").write_text(json.dumps(manifest))
    rng = np.random.default_rng(0)
    for job in planned:
        folder = root / "jobs" / job["key"]
        folder.mkdir(parents=True)
        status = {"schema": SCHEMA, "state": "done", "written": manifest["created"]}
        (folder / "status.json").write_text(json.dumps(status))
        row = {"job_key": job["key"], "id": job["id"], "kind": job["kind"], "split_digest": "d"}
        pq.write_table(pa.Table.from_pylist([row], schema=JOB_SCHEMA), folder / "job.parquet")
        if job["kind"] == "evaluate":
            pq.write_table(scores(job, rng), folder / "records.parquet")


def scores(job: dict[str, Any], rng: np.random.Generator) -> pa.Table:
    """Return the score rows of a job."""
    cell = job["cell"]
    people = [f"{cell['test_site']}-{number:03}" for number in range(SITES[cell["test_site"]])]
    grid = [(subject, label, metric) for metric in METRICS for subject in people for label in LABELS]
    n = len(grid)
    value = rng.normal(0.7, 0.1, n)
    columns = {
        "job_key": [job["key"]] * n,
        "subject": [subject for subject, _, _ in grid],
        "session": [""] * n,
        "label": [label for _, label, _ in grid],
        "metric": [metric["id"] for _, _, metric in grid],
        "value": value,
        "unit": [metric["unit"] for _, _, metric in grid],
        "status": ["ok"] * n,
        "penalty": value,
    }
    return pa.table(columns, schema=SCORE_FILE_SCHEMA)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--rows", type=int, default=1_000_000, help="score rows, rounded up to whole seeds")
    parser.add_argument("--format", default="markdown")
    parser.add_argument("--mark", default="ties", choices=("ties", "paper", "none"))
    parser.add_argument("--folder", type=Path, help="keep the results here, and use them when they are there")
    parser.add_argument("--table", action="append", default=[])
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        root = given.folder or Path(temporary) / "large"
        if not root.exists():
            write(root, -(-given.rows // ROWS_PER_SEED))
        command = [sys.executable, "-c", _CHILD, str(root), given.format, given.mark, *given.table]
        done = subprocess.run(command, check=True, capture_output=True, text=True)
    rows, loaded, seconds, processor, peak = done.stdout.split()
    print(f"rows {int(rows):,}; load {float(loaded):.1f} s; report {float(seconds):.1f} s in all; ", end="")
    print(f"processor {float(processor):.1f} s; peak memory {float(peak):.2f} GB")


if __name__ == "__main__":
    main()
