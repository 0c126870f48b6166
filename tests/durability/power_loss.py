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
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import psutil
from durability_lab import TINY, call, scores

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


def take_images(work: Path, count: int, every_s: float) -> list[Path]:
    """Run the benchmark on a file system in a file, and copy that file while it runs."""
    image = work / "disk.img"
    with image.open("wb") as file:
        file.truncate(SIZE_MB * 2**20)
    subprocess.run(["mkfs.ext4", "-q", str(image)], check=True)
    taken: list[Path] = []
    with mounted(image, work / "disk") as disk:
        while len(taken) < count:
            shutil.rmtree(disk / "results", ignore_errors=True)
            command = [
                sys.executable,
                "-m",
                "mribench",
                "run",
                TINY,
                "--results",
                disk / "results",
                "--jobs",
                2,
            ]
            environ = {**os.environ, "MRIBENCH_CACHE": str(disk / "cache")}
            run = subprocess.Popen([*map(str, command)], stdout=subprocess.DEVNULL, env=environ)
            while run.poll() is None and len(taken) < count:
                time.sleep(every_s)
                if not list(disk.glob("results/tiny/jobs/*")):
                    continue
                tree = [psutil.Process(run.pid), *psutil.Process(run.pid).children(recursive=True)]
                stop(tree, signal.SIGSTOP)
                taken.append(work / f"{len(taken):03}.img")
                copy(image, taken[-1])
                stop(tree, signal.SIGCONT)
            if run.poll() is None:
                tree = psutil.Process(run.pid).children(recursive=True)
                run.terminate()
                run.wait()
                psutil.wait_procs(tree, timeout=60)
    return taken


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
            "run": call(work, "run", TINY, "--results", results, "--executor", "inline", cache=cache),
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


def main(count: int, every_s: float) -> int:
    """Take images, check them, and print one line for each; whether all went on."""
    with tempfile.TemporaryDirectory() as there:
        work = Path(there)
        options = ("--results", work / "whole", "--executor", "inline")
        whole = call(work, "run", TINY, *options, cache=work / "cache")
        if whole.code:
            raise SystemExit(whole.text)
        expected = scores(work / "whole")
        bad = 0
        for image in take_images(work, count, every_s):
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
    parser.add_argument("--every", type=float, default=0.7, help="seconds between two images")
    given = parser.parse_args()
    raise SystemExit(main(given.images, given.every))
