"""A file of each kind is damaged, in each way: is it found, named and made again, with the same scores?

Run as ``python tests/durability/flipped_bits.py``. Of a finished benchmark, of one whose run was killed
while a job trained, and of the cache, one file of each kind is taken at random: one bit of it is flipped,
it is cut in half, filled with zeros, or emptied; its times of modification stay. ``status``, ``plan``,
``report``, ``verify`` and ``run`` are called then. None of them may fall, one of them has to name the file
(or the cached entry that it is of), and after ``run`` all score rows have to be those of a run that nobody
disturbed. Weights are tried twice: found before the run, and found by the job that loads them, as large
ones are.
"""

from __future__ import annotations

import argparse
import dataclasses
import itertools
import json
import os
import random
import re
import shutil
import signal
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
from durability_lab import DENOISING, TINY, Difference, Said, call, find_bad_folders, scores, start

from mribench.results import sound

AGE = "{task: {name: regression, covariate: age}, data: ixi, train_sequences: [T1w], embed: %s}"
GRID = "patch_vox: 8, spacing_mm: 8"
ASKED = (
    *(TINY, *DENOISING, "--only", "*/age/*", "--only", "*/invariance/*"),
    *("--set", f"tasks.age={AGE % f'{{{GRID}}}'}"),
    *("--set", f"invariance.ixi={{sequences: [T1w, T2w], {GRID}}}", "--set", "defaults.pretrain.steps=30"),
)
"""A benchmark with files of all kinds, of sixteen jobs."""
PLAN = (TINY, *ASKED[ASKED.index("--set") :])
"""The same for ``plan``, which takes no ``--only``."""
WEIGHTS = ("encoder.safetensors", "model.safetensors", "head.safetensors", "probe.safetensors")
RESTED_ON_BY_NONE = {
    "finished": ("run.log",),
    "half": ("run.log", "log.txt", "job.json", "lease.json"),
    "cache": ("record of a file",),
}
"""What is for people, is written anew before anybody reads it, or only saves a look at something."""
CODES = {"status": (0, 1), "plan": (0,), "report": (0,), "verify": (0, 1), "run": (0,)}
COMMANDS = {
    "finished": tuple(CODES),
    "loaded": ("run",),
    "half": ("status", "plan", "report", "run"),  # nothing is done yet that could be verified
    "cache": ("plan", "run"),  # with results that are to be made
}
ALONE = ("plan.json", "phantom's volume", "IXI.csv", "cohort.tsv", "table.sha256")
"""What keeps others from being read where it is damaged."""
SMALL_BYTES = sound.SMALL_BYTES


@dataclass(frozen=True)
class Case:
    """One file, and what is done to it.

    Attributes:
        store: finished; loaded, whose file is not looked at before it is loaded; half; or cache.
        kind: of the file.
        damage: what happens to it.
    """

    store: str
    kind: str
    damage: str


@dataclass(frozen=True)
class Result:
    """What became of a case.

    Attributes:
        named_by: the commands that named the file; empty where none did.
        rows: how the scores of the run differ.
        wrong: what should not have happened.
    """

    case: Case
    file: str
    named_by: tuple[str, ...]
    rows: Difference
    wrong: tuple[str, ...]

    def is_good(self) -> bool:
        """Whether it was found where anything rests on it, and nothing was lost."""
        found = self.named_by or self.case.kind in RESTED_ON_BY_NONE.get(self.case.store, ())
        refused = self.case.kind == "phantom's volume" and self.named_by
        return bool(found) and not self.wrong and bool(refused or not self.rows)


def flip(content: bytes, chance: random.Random) -> bytes:
    """Return content with one bit flipped."""
    changed = bytearray(content)
    changed[chance.randrange(len(changed))] ^= 1 << chance.randrange(8)
    return bytes(changed)


DAMAGES: dict[str, Callable[[bytes, random.Random], bytes]] = {
    "flipped": flip,
    "cut": lambda content, _: content[: len(content) // 2],
    "zeros": lambda content, _: bytes(len(content)),
    "empty": lambda *_: b"",
}


def kind_of(path: Path) -> str:
    """Return of which kind a file is: its name, without what is a key or a number."""
    name = path.name
    if path.parent.name in ("plans", "logs"):
        return {"plans": "plan.json", "logs": "run.log"}[path.parent.name]
    if path.parent.parent.name == "files":
        return "record of a file"
    if path.suffix in (".npy", ".gz"):
        return {".npy": "cached volume", ".gz": "phantom's volume"}[path.suffix]
    return re.sub(r"\.attempt\.\w+", "attempt", name)


def list_files(folder: Path) -> dict[str, list[Path]]:
    """Return all files by their kinds."""
    found: dict[str, list[Path]] = {}
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        found.setdefault(kind_of(path), []).append(path)
    return found


class Laboratory:
    """Stores to damage copies of.

    Args:
        work: a folder.
        chance: which file, and which bit.
    """

    def __init__(self, work: Path, chance: random.Random) -> None:
        self.work, self.chance = work, chance
        self.cache, self.finished, self.half = work / "cache", work / "finished", work / "half"
        said = self._call("run", self.finished, self.cache)
        if said.code:
            raise SystemExit(said.text)
        self.expected = scores(self.finished)
        self._leave_half()

    def _leave_half(self) -> None:
        """Kill a run while its first job trains and has a checkpoint."""
        options = ("--results", self.half, "--executor", "inline", "--checkpoint-every", 0.001)
        run = start(self.work / "half.txt", "run", *ASKED, *options, cache=self.cache)
        while run.process.is_alive() and not list(self.half.glob("tiny/jobs/*/checkpoint.safetensors")):
            time.sleep(0.001)
        run.process.kill()
        if (said := run.wait()).code != -signal.SIGKILL:
            raise SystemExit(f"the run was not killed while it trained: {said.text}")

    def kinds(self, store: str) -> list[str]:
        """Return the kinds of files of a store that are not empty, and that are damaged."""
        if store == "loaded":
            return list(WEIGHTS)
        folder = {"finished": self.finished, "half": self.half, "cache": self.cache}[store]
        files = list_files(folder)
        return [kind for kind, paths in files.items() if any(path.stat().st_size for path in paths)]

    def try_all(self, store: str, how: str, kinds: list[str]) -> list[Result]:
        """Damage files of these kinds in a copy, call all commands, and look at what they said and left."""
        results, cache = self._copy(store)
        files = list_files(cache if store == "cache" else results)
        paths: dict[str, Path] = {}
        for kind in kinds:
            taken = {path.parent for path in paths.values()}
            free = [path for path in files[kind] if path.stat().st_size and path.parent not in taken]
            if free:  # else another time: damage of one file of a job hides that of another
                paths[kind] = self.chance.choice(free)
                damage(paths[kind], how, self.chance)
        sound.SMALL_BYTES = 0 if store == "loaded" else SMALL_BYTES
        if store == "loaded":  # what they are needed for is to be done again
            for rows in results.glob("tiny/jobs/*/records.parquet"):
                shutil.rmtree(rows.parent)
        said = {name: self._call(name, results, cache) for name in COMMANDS[store]}
        rows_differ = Difference.between(scores(results), self.expected)
        bad = find_bad_folders(results)
        found = []
        for kind, path in paths.items():
            named = path.parent if store == "cache" else path
            by = tuple(name for name, each in said.items() if names(each, named))
            wrong = (*find_wrong(kind, said, named), *bad)
            file = str(path.relative_to(self.work))
            found.append(Result(Case(store, kind, how), file, by, rows_differ, wrong))
        shutil.rmtree(self.work / "case")
        return found

    def _copy(self, store: str) -> tuple[Path, Path]:
        results, cache = self.work / "case" / "results", self.work / "case" / "cache"
        if store != "cache":
            shutil.copytree(self.half if store == "half" else self.finished, results)
            return results, self.cache
        shutil.copytree(self.cache, cache)
        return results, cache

    def _call(self, name: str, results: Path, cache: Path) -> Said:
        words: dict[str, tuple[object, ...]] = {
            "status": (results / "tiny",),
            "plan": (*PLAN, "--results", results),
            "report": (results / "tiny",),
            "verify": (results / "tiny", "--sample", 1),
            "run": (*ASKED, "--results", results, "--executor", "inline"),
        }
        return call(self.work, name, *words[name], cache=cache)


def damage(path: Path, how: str, chance: random.Random) -> None:
    """Change a file's content, as a disk does: its time of modification stays."""
    status = path.stat()
    path.write_bytes(DAMAGES[how](path.read_bytes(), chance))
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))


def names(said: Said, path: Path) -> bool:
    """Whether a command named a file, whatever the width of its lines."""
    return "".join(str(path).split()) in "".join(said.text.split())


def find_wrong(kind: str, said: dict[str, Said], path: Path) -> list[str]:
    """Return what commands should not have done: fallen, or refused without a word about the file."""
    wrong = []
    for name, each in said.items():
        refused = each.code == 2 and names(each, path) and kind in ALONE
        if "Traceback" in each.text or not (each.code in CODES[name] or refused):
            wrong.append(f"{name}: {each.code}: {each.text[-1500:]}")
    return wrong


def show(results: list[Result]) -> None:
    """Print how often each kind of damage to each kind of file was found."""
    rows = [
        {
            "store": each.case.store,
            "kind": each.case.kind,
            "damage": each.case.damage,
            "found": ", ".join(each.named_by) or "–",
        }
        for each in results
    ]
    table = pd.DataFrame(rows).pivot_table(
        index=["store", "kind"], columns="damage", values="found", aggfunc="first", fill_value=""
    )
    print(table.to_string())
    bad = [each for each in results if not each.is_good()]
    print(json.dumps({"cases": len(results), "bad": len(bad)}))


def main(seed: int, only: str, work: Path) -> int:
    """Try all, print a line for each file and the table; whether all were found, and nothing was lost."""
    laboratory = Laboratory(work, random.Random(seed))  # noqa: S311 - no secret
    results: list[Result] = []
    for store, how in itertools.product(COMMANDS, DAMAGES):
        left = [kind for kind in laboratory.kinds(store) if re.search(only, f"{store} {kind} {how}")]
        while left:
            alone = [kind for kind in left if kind in ALONE]
            tried = laboratory.try_all(store, how, alone[:1] or left)
            for each in tried:
                print(json.dumps({"good": each.is_good(), **dataclasses.asdict(each)}), flush=True)
                left.remove(each.case.kind)
            results += tried
    show(results)
    return 0 if all(each.is_good() for each in results) else 1


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", default="", help="regular expression of cases, such as 'finished .* cut'")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as there:
        raise SystemExit(main(given.seed, given.only, Path(there)))
