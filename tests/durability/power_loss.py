"""Power is lost while a benchmark runs: what is left on a file system, and whether all goes on from there.

Run as root: ``python tests/durability/power_loss.py --images 24``. Results and cache lie in an ext4 file
system within a file. While a run writes, its processes are stopped for a moment and that file is copied: the
device as it would be found after a loss of power, without what the system still held in memory. A copy counts
where the file is the same after it, so that it is of one moment. Each is mounted, which replays its journal,
and ``status``, ``plan``, ``report`` and ``run`` are called on it. The score rows of the run that goes on from
there must be those of a run that nobody disturbed.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import random
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import psutil
from durability_lab import DENOISING, TINY, Command, call, scores, start

from mribench.results.status import read_status

SIZE_MB = 192
OPTIONS = "commit=60,data=ordered"
"""Of mounting: what nobody syncs stays in memory for a minute, so that it is lost."""


@contextlib.contextmanager
def mounted(image: Path, place: Path) -> Iterator[Path]:
    """Mount an image for as long as the block lasts."""
    place.mkdir(exist_ok=True)
    subprocess.run(["mount", "-o", f"loop,{OPTIONS}", str(image), str(place)], check=True)
    try:
        yield place
    finally:
        subprocess.run(["umount", str(place)], check=True)


def stop(tree: list[psutil.Process], number: signal.Signals) -> None:
    """Send a signal to processes that are still there."""
    for process in tree:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.send_signal(number)


def copy(image: Path, target: Path) -> None:
    """Copy a file that the system may write into, until a copy is of one moment."""
    same = False
    while not same:
        subprocess.run(["cp", "--sparse=always", str(image), str(target)], check=True)
        same = subprocess.run(["cmp", "-s", str(image), str(target)], check=False).returncode == 0


def take_images(work: Path, count: int, late_s: float) -> list[Path]:
    """Run the benchmark on a file system in a file, and copy that file while it runs.

    Copies are spread over the run: there is one after each job that is done, by chance a little later.
    """
    image = work / "disk.img"
    with image.open("wb") as file:
        file.truncate(SIZE_MB * 2**20)
    subprocess.run(["mkfs.ext4", "-q", str(image)], check=True)
    taken: list[Path] = []
    with mounted(image, work / "disk") as disk:
        while len(taken) < count:
            shutil.rmtree(disk / "results", ignore_errors=True)
            options = ("--results", disk / "results", "--jobs", 2)
            run = start(work / "run.txt", "run", TINY, *DENOISING, *options, cache=disk / "cache")
            enough = 0
            while _wait_for_jobs(disk, run, enough) and len(taken) < count:
                time.sleep(random.uniform(0.0, late_s))  # noqa: S311 - no secret
                taken.append(work / f"{len(taken):03}.img")
                _copy_stopped(run, image, taken[-1])
                enough += 1
            if run.process.is_alive():
                run.process.terminate()
            run.process.join()
    return taken


def _wait_for_jobs(disk: Path, run: Command, enough: int) -> bool:
    """Wait until so many jobs are done, and any has begun; false where the run ended before."""
    while run.process.is_alive():
        folders = list(disk.glob("results/tiny/jobs/*"))
        done = [status for folder in folders if (status := read_status(folder)) and status.state == "done"]
        if folders and len(done) >= enough:
            return True
        time.sleep(0.02)
    return False


def _copy_stopped(run: Command, image: Path, target: Path) -> None:
    tree = [psutil.Process(run.process.pid)]
    tree += tree[0].children(recursive=True)
    stop(tree, signal.SIGSTOP)
    copy(image, target)
    stop(tree, signal.SIGCONT)


def check(image: Path, work: Path, expected: pd.DataFrame) -> dict[str, object]:
    """Return what all commands made of an image."""
    found: dict[str, object] = {"image": image.name}
    with mounted(image, work / "after") as disk:
        results, cache = disk / "results", disk / "cache"
        folders = list(results.glob("tiny/jobs/*"))
        files = [path for folder in folders for path in folder.rglob("*") if path.is_file()]
        found["jobs"] = len(folders)
        found["empty"] = sorted({path.name for path in files if not path.stat().st_size} - {"log.txt"})
        plans = list(results.glob("tiny/plans/*.json"))
        said = {
            "status": call(work, "status", results / "tiny", cache=cache),
            "plan": call(work, "plan", TINY, "--results", results, cache=cache),
            "report": call(work, "report", results / "tiny", cache=cache) if plans else None,
            "run": call(
                work, "run", TINY, *DENOISING, "--results", results, "--executor", "inline", cache=cache
            ),
        }
        found["codes"] = {name: each.code for name, each in said.items() if each is not None}
        wrong = [each for name, each in said.items() if each and each.code not in _ALLOWED[name]]
        found["errors"] = [each.text[-1500:] for each in wrong]
        rows = scores(results)
        found["same rows"] = rows.equals(expected)
        hidden = [path.name for path in results.rglob(".*") if path.is_file() or path.is_dir()]
        found["left over"] = hidden
        if not found["same rows"]:
            found["rows"] = [len(rows), len(expected)]
    return found


_ALLOWED = {"status": (0, 1), "plan": (0,), "report": (0,), "run": (0,)}


def main(count: int, late_s: float) -> int:
    """Take images, check them, and print one line for each; whether all went on."""
    with tempfile.TemporaryDirectory() as there:
        work = Path(there)
        options = ("--results", work / "whole", "--executor", "inline")
        whole = call(work, "run", TINY, *DENOISING, *options, cache=work / "cache")
        if whole.code:
            raise SystemExit(whole.text)
        expected = scores(work / "whole")
        bad = 0
        for image in take_images(work, count, late_s):
            found = check(image, work, expected)
            image.unlink()
            good = found["same rows"] and not found["errors"]
            bad += not good
            print(json.dumps(found if not good else {**found, "errors": []}), flush=True)
        print(json.dumps({"images": count, "bad": bad}))
        return 1 if bad else 0


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=24)
    parser.add_argument("--late", type=float, default=1.0, help="seconds after a job's end, at most")
    given = parser.parse_args()
    raise SystemExit(main(given.images, given.late))
