"""The disk of two hosts is full for eight seconds, three times: is a live job taken, does all go on?

Run as root: ``python tests/durability/full_disk.py``. Results lie in a file system of 16 MB. It is filled,
to the last block or to the last inode, while the first host works at a job that the second one wants, and
once more while both share what is left. The clock of the second one is ten minutes ahead. Nobody may take
the first job, both runs end well, and the rows are those of one run. A job that could not write its files
is computed once more.
"""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import json
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import small_jobs
from durability_lab import scores
from two_hosts import Case, Result, begin, find_holder, judge, run_alone

FULL_S = 8.0
APART_S = 20.0
CASE = Case(-600.0, dies=False)


@contextlib.contextmanager
def small_disk(place: Path) -> Iterator[Path]:
    """Mount a small file system for as long as the block lasts."""
    place.mkdir()
    options = "size=16m,nr_inodes=4000"
    subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(place)], check=True)
    try:
        yield place
    finally:
        subprocess.run(["umount", "-l", str(place)], check=True)


def fill(disk: Path, with_files: bool) -> None:
    """Leave no room on a disk for a while, for content or for files."""
    rubbish = disk / "rubbish"
    rubbish.mkdir()
    end_s = time.monotonic() + FULL_S
    with (rubbish / "big").open("wb", buffering=0) as file:
        number = 0
        while time.monotonic() < end_s:  # whoever frees a little has it taken away again
            with contextlib.suppress(OSError):
                while True:
                    number += 1
                    (rubbish / str(number)).touch() if with_files else file.write(bytes(4096))
            time.sleep(0.01)
    subprocess.run(["rm", "-rf", str(rubbish)], check=True)


def attempt(work: Path) -> tuple[Result, list[str]]:
    """Let two hosts work on a disk that is full at times; return who did the first job, too."""
    whole = run_alone(work)
    with small_disk(work / "disk") as disk:
        results = disk / "results"
        results.mkdir()
        first = begin(CASE, results, "first", CASE.skew_s or 0.0)
        while find_holder(results) is None:
            time.sleep(0.05)
        second = begin(CASE, results, "second", -(CASE.skew_s or 0.0))
        for with_files in (False, True):
            time.sleep(APART_S)
            fill(disk, with_files)
        while len(list(results.glob("tiny/jobs/*/records.parquet"))) < 3:
            time.sleep(0.05)
        fill(disk, with_files=False)
        result = judge(CASE, results, (first, second), None, scores(whole))
        for name in ("first", "second"):
            print((results / f"{name}.txt").read_text()[-1500:])
        lines = [line.split() for line in (results / "done.txt").read_text().splitlines()]
    return result, [name for key, name, _ in lines if key == lines[0][0]]


def is_good(result: Result, long_job_by: list[str]) -> bool:
    """Whether nothing was lost, and the first job was done once, by whom it belonged to."""
    whole = not result.rows and not result.left and result.codes == (0, 0)
    return whole and sum(result.done.values()) == small_jobs.JOBS and long_job_by == ["first"]


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.parse_args()
    with tempfile.TemporaryDirectory() as there:
        found, by = attempt(Path(there))
    good = is_good(found, by)
    print(json.dumps({"good": good, "first job by": by, **dataclasses.asdict(found)}))
    raise SystemExit(0 if good else 1)
