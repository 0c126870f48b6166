"""How long a plan of thousands of jobs takes, and a run that finds them all done.

A benchmark file of many methods, seeds, fractions and sequences on small phantoms is planned; then each of
its jobs is given results as a run would leave them, and the same commands are timed again.

Example: python benchmarks/perf/plan.py --jobs 10000
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from mribench.plan import Job
from mribench.results import Store
from mribench.results.records import JOB_SCHEMA, SCORE_FILE_SCHEMA, write_table
from mribench.results.sound import digest_file
from mribench.results.specification import SPECIFICATION, Specification, write_specification
from mribench.results.status import JobStatus, write_status

METHODS, FRACTIONS, SEQUENCES = 6, (0.34, 0.67, 1.0), ("T1w", "T2w", "PDw")
JOBS_PER_SEED = METHODS + (2 * METHODS + 1) * len(FRACTIONS) * len(SEQUENCES) * (1 + 2 * len(SEQUENCES))
FILE = """
benchmark: many
seeds: [{seeds}]
data:
  qmri: {{name: phantom, layout: mpm, subjects: 5, spacing_mm: 8, seed: 1}}
  ixi: {{name: phantom, layout: ixi, sites: {{Guys: 6, HH: 2}}, spacing_mm: 8, seed: 1}}
splits:
  qmri: {{train: 3, validation: 2, test: 0}}
  ixi: {{by: site, train_site: Guys, train: 3, validation: 1, test: 2, test_sites: [HH]}}
defaults:
  encoder: {{name: cnn, features: [4, 8], dropout: 0.1}}
  pretrain: {{data: qmri, patch_vox: 8, spacing_mm: 8, steps: 4, batch_size: 2, lr: 1.0e-3}}
methods:
{methods}
reference_arms: [scratch]
arms: [frozen, finetune]
tasks:
  tissue:
    task: tissue-segmentation
    data: ixi
    train_sequences: [{sequences}]
    test_sequences: [{sequences}]
    fractions: [{fractions}]
    adapt: {{steps: 2, batch_size: 1, lr: 1.0e-3, patch_vox: 8, spacing_mm: 8, window_vox: 32}}
report:
  tables: [leaderboard]
"""


def write_file(path: Path, n_jobs: int) -> None:
    """Write a benchmark file of about so many jobs."""
    methods = (
        f"  m{number}: {{views: seqinv, objective: {{name: simclr-recon, temperature: 0.{number + 1}}}}}"
        for number in range(METHODS)
    )
    text = FILE.format(
        seeds=", ".join(map(str, range(max(1, round(n_jobs / JOBS_PER_SEED))))),
        methods="\n".join(methods),
        sequences=", ".join(SEQUENCES),
        fractions=", ".join(map(str, FRACTIONS)),
    )
    path.write_text(text)


def finish(job: Job, store: Store) -> None:
    """Leave in the folder of a job what a run leaves there, with scores of nothing."""
    if job.key is None or job.content is None:
        raise SystemExit(f"{job.id} waits for data: delete --folder and begin anew")
    folder = store.make_directory(job.key)
    write_specification(folder, Specification(id=job.id, spec=job.spec, content=job.content))
    row = {"job_key": job.key, "id": job.id, "kind": job.kind, "split_digest": job.spec.split_digest}
    costs = {"wall_s": 1.0, "device": "none", "versions": "mribench=0"}
    write_table(folder / "job.parquet", [{**row, **costs}], JOB_SCHEMA)
    names = [SPECIFICATION, "job.parquet"]
    if job.kind == "evaluate":
        score = {"job_key": job.key, "session": "", "label": "GM", "metric": "dice", "unit": ""}
        known = {"value": 0.5, "status": "ok", "penalty": 0.0}
        rows = [{**score, **known, "subject": subject} for subject in job.spec.subjects]
        write_table(folder / "records.parquet", rows, SCORE_FILE_SCHEMA)
        names.append("records.parquet")
    files = {name: digest_file(folder / name) for name in names}
    write_status(folder, JobStatus("done", files=files))


@contextmanager
def without_sync() -> Iterator[None]:
    """Write as if the disk were at once: what is made here may be lost."""
    sync = os.fsync
    os.fsync = lambda _: None
    try:
        yield
    finally:
        os.fsync = sync


def time_command(*words: object) -> float:
    """Return the seconds that a command takes, with all its imports."""
    start = time.perf_counter()
    subprocess.run(
        [sys.executable, "-m", "mribench", *map(str, words)], check=True, stdout=subprocess.DEVNULL
    )
    return time.perf_counter() - start


def main() -> None:
    """Measure as the options say."""
    from mribench.commands.planning import plan_file

    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--jobs", type=int, default=10_000)
    parser.add_argument("--folder", type=Path, help="where all is kept; a temporary one by default")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = arguments.folder or Path(temporary)
        folder.mkdir(exist_ok=True)
        file, results = folder / "many.yaml", folder / "results"
        os.environ["MRIBENCH_CACHE"] = str(folder / "cache")
        os.chdir(folder)
        write_file(file, arguments.jobs)
        plan_file(
            file, (), results, make=True, progress=lambda *_: None
        )  # phantoms are made, files looked at
        start, cpu_s = time.perf_counter(), time.process_time()
        planned = plan_file(file, (), results, make=True, progress=lambda *_: None)
        spent = f"{time.perf_counter() - start:.2f} s ({time.process_time() - cpu_s:.2f} s of CPU)"
        jobs = planned.plan.runnable()
        print(f"{len(jobs)} jobs: a plan, without imports: {spent}", flush=True)
        with without_sync():
            for job in jobs.values():
                if not planned.store.is_done(str(job.key)):
                    finish(job, planned.store)
        print(f"imports alone (mribench --version): {time_command('--version'):.2f} s")
        print(f"mribench plan: {time_command('plan', file, '--results', results):.2f} s", flush=True)
        print(f"mribench run, all done: {time_command('run', file, '--results', results):.2f} s")


if __name__ == "__main__":
    main()
