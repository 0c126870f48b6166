"""Writes results directories as ``mribench run`` would, with scores that a test chooses."""

from __future__ import annotations

import hashlib
import json
import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pandas as pd

from mribench.results import SCHEMA
from mribench.results.records import CELL_COLUMNS, JOB_SCHEMA, SCORE_FILE_SCHEMA, write_table

DICE = {"id": "dice", "unit": "", "higher_is_better": True}
HD95 = {"id": "hd95:max-directed", "unit": "mm", "higher_is_better": False}
PSNR = {"id": "psnr:range", "unit": "dB", "higher_is_better": True}
REFERENCES = ("scratch", "random-frozen", "identity")

POLICIES = {
    "dropped-failures": {"name": "dropped", "unit": "mm", "prediction": None, "reference": None},
    "fixed-penalty": {"name": "256mm", "unit": "mm", "prediction": 256.0, "reference": None},
}
"""How empty masks count under the known defects that are about them."""

Cell = dict[str, Any]
ScoreOf = Callable[[Cell, str, str, str], float | tuple[float, str, float]]
"""(cell, metric, subject, label) → value, or (value, status, penalty)."""


def task(
    metrics: list[dict[str, Any]],
    fractions: tuple[float, ...] = (1.0,),
    sequences: tuple[str, ...] = ("T1w",),
    sites: tuple[str, ...] = ("Guys",),
    tested: tuple[str, ...] | None = None,
) -> dict[str, Any]:
    return {
        "task": "some-task",
        "dataset": "ixi",
        "label": "labels",
        "fractions": list(fractions),
        "train_sequences": list(sequences),
        "test_sequences": list(tested or sequences),
        "sites": list(sites),
        "metrics": metrics,
    }


def cells_of(root: Path) -> dict[str, Cell]:
    """Return what each evaluate job of a results folder is about, by its key, as the plans have it."""
    plans = [json.loads(path.read_text()) for path in sorted((root / "plans").glob("*.json"))]
    jobs = [job for plan in plans for job in plan["jobs"]]
    return {job["key"]: job["cell"] for job in jobs if job["kind"] == "evaluate"}


def raw_scores(root: Path) -> pd.DataFrame:
    """Return the rows of all score files, each with the cell of its job, without mribench's own reader."""
    rows = pd.concat([pd.read_parquet(path) for path in sorted(root.glob("jobs/*/records.parquet"))])
    cells = pd.DataFrame.from_dict(cells_of(root), orient="index")
    return rows.merge(cells, left_on="job_key", right_index=True, how="left", validate="many_to_one")


_MOST_WRITTEN = 16
_written: dict[tuple[ScoreOf, str, str], dict[str, bytes]] = {}
"""Files of the last benchmarks by what made them: Parquet files take ten times as long to make as to copy."""


def _contents(root: Path) -> dict[str, bytes]:
    files = [path for path in sorted(root.rglob("*")) if path.is_file()]
    return {str(path.relative_to(root)): path.read_bytes() for path in files}


@dataclass
class Benchmark:
    """A plan and its results; change the fields, then ``write``.

    ``measured`` are defects by name, with what differs from ``{"summary", "metrics", "profile"}``; those with
    a profile have jobs of their own, whose ids start with ``+name/``, and whose cells carry that profile.
    ``adapted`` changes job rows of adaptations by id, ``subjects_of`` the test subjects of a profile.
    """

    score: ScoreOf
    tasks: dict[str, dict[str, Any]] = field(default_factory=lambda: {"tissue": task([DICE])})
    methods: tuple[str, ...] = ("base", "seqinv")
    seeds: tuple[int, ...] = (0, 1)
    subset_seeds: tuple[int | None, ...] = (0,)
    arms: tuple[str, ...] = ("frozen",)
    references: tuple[str, ...] = ()
    subjects: tuple[str, ...] = ("a", "b", "c")
    labels: tuple[str, ...] = ("GM", "WM")
    sessions: tuple[str, ...] = ("",)
    overrides: Mapping[str, list[str]] = field(default_factory=dict)
    states: Mapping[str, str] = field(default_factory=dict)
    pretrained: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    transfer: bool = False
    profile: str = "corrected"
    created: str = "2026-01-01T00:00:00+00:00"
    finished: str = ""
    salt: str = ""
    no_data: bool = False
    tables: tuple[str, ...] = ("leaderboard",)
    shown: Mapping[str, str] = field(default_factory=dict)
    measured: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    adapted: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    subjects_of: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def write(self, root: Path, digest: str = "0123456789abcdef") -> Path:
        """Write the plan and the results of its jobs below a folder; return the folder."""
        if "<locals>" in self.score.__qualname__:  # what it closes over may change
            return self._write_anew(root, digest)
        key = (self.score, repr(self), digest)
        if key not in _written:
            while len(_written) >= _MOST_WRITTEN:
                del _written[next(iter(_written))]
            with tempfile.TemporaryDirectory() as folder:
                _written[key] = _contents(self._write_anew(Path(folder), digest))
        for name, content in _written[key].items():
            path = root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
        return root

    def _write_anew(self, root: Path, digest: str) -> Path:
        jobs = list(self.jobs())
        policies = [POLICIES[name] for name in self.shown if name in POLICIES]
        manifest = {
            "schema": SCHEMA,
            "benchmark": "synthetic",
            "file": "synthetic.yaml",
            "profiles": [self.profile],
            "created": self.created,
            "seeds": list(self.seeds),
            "methods": [
                {
                    "name": name,
                    "views": "v",
                    "objective": "o",
                    "encoder": "e",
                    "overrides": self.overrides.get(name, []),
                }
                for name in self.methods
            ],
            "arms": list(self.arms),
            "reference_arms": list(self.references),
            "tasks": self.tasks,
            "cohorts": {
                spec["dataset"]: {"dataset": "some-dataset", "simulated": True, "licence": "free"}
                for spec in self.tasks.values()
            },
            "shown_defects": {self.profile: dict(self.shown)},
            "empty_masks": {self.profile: policies[0] if policies else None},
            "measured_defects": [self._defect(name) for name in self.measured],
            "variants": self._variants(),
            "report": {"tables": list(self.tables)},
            "jobs": jobs,
        }
        (root / "plans").mkdir(parents=True, exist_ok=True)
        (root / "plans" / f"{digest}.json").write_text(json.dumps(manifest))
        for job in jobs:
            if job["key"] is not None:
                self._write_job(root / "jobs" / job["key"], job)
        return root

    def _defect(self, name: str) -> dict[str, Any]:
        usual = {"name": name, "base": self.profile, "summary": f"what {name} does", "metrics": {}}
        usual |= {"profile": None, "empty_masks": POLICIES.get(name)}
        return {**usual, **self.measured[name]}

    def _variants(self) -> list[str]:
        return [label for name in self.measured if (label := self._defect(name)["profile"])]

    def jobs(self) -> Iterator[dict[str, Any]]:
        yield from self._plain_jobs()
        for name in self.measured:
            label = self._defect(name)["profile"]
            if not label:
                continue
            changed = replace(self, measured={}, profile=label, salt=f"{self.salt}{label}")
            for job in changed._plain_jobs():
                if not job["id"].startswith("identity/"):
                    yield job | {"id": f"+{name}/{job['id']}"}

    def _plain_jobs(self) -> Iterator[dict[str, Any]]:
        pretrain: dict[tuple[str, int], str | None] = {}
        for method in self.methods:
            for seed in self.seeds:
                job = self._job(f"{method}/pretrain/seed{seed}", "pretrain")
                pretrain[method, seed] = job["key"]
                yield job
        rows = [(method, arm) for method in self.methods for arm in self.arms]
        rows += [(name, name) for name in self.references]
        for method, arm in rows:
            for name, spec in self.tasks.items():
                if arm == "identity":
                    yield from self._identity(name, spec)
                else:
                    yield from self._trained(method, arm, name, spec, pretrain)

    def _trained(
        self,
        method: str,
        arm: str,
        name: str,
        spec: dict[str, Any],
        pretrain: dict[tuple[str, int], str | None],
    ) -> Iterator[dict[str, Any]]:
        grid = [
            (sequence, fraction, subset, seed)
            for sequence in spec["train_sequences"]
            for fraction in spec["fractions"]
            for subset in self.subset_seeds
            for seed in self.seeds
        ]
        for sequence, fraction, subset, seed in grid:
            key = pretrain.get((method, seed))
            where = f"{method}/{arm}/{name}/{sequence}/{fraction:g}/subset{subset}/seed{seed}"
            adapt = self._job(where, "adapt", needs=[key] if key else [], pretrain=key)
            yield adapt
            training = {
                "train_site": spec["sites"][0],
                "train_sequence": sequence,
                "fraction": fraction,
                "n_train_subjects": max(1, round(20 * fraction)),
                "subset_seed": subset,
                "seed": seed,
            }
            for site in spec["sites"]:
                for tested in spec["test_sequences"] if self.transfer else [sequence]:
                    cell = self._cell(method, arm, name, site, tested) | training
                    needs = [adapt["key"]] if adapt["key"] else []
                    job = self._job(f"{where}/test/{site}/{tested}", "evaluate", cell, needs, key)
                    yield job | {"adapt": adapt["key"]}

    def _identity(self, name: str, spec: dict[str, Any]) -> Iterator[dict[str, Any]]:
        for site in spec["sites"]:
            for tested in spec["test_sequences"]:
                cell = self._cell("identity", "identity", name, site, tested)
                yield self._job(f"identity/{name}/test/{site}/{tested}", "evaluate", cell)

    def _cell(self, method: str, arm: str, name: str, site: str, tested: str) -> Cell:
        return dict.fromkeys(CELL_COLUMNS) | {
            "benchmark": "synthetic",
            "profile": self.profile,
            "method": method,
            "arm": arm,
            "task": name,
            "dataset": "ixi",
            "test_site": site,
            "test_sequence": tested,
        }

    def _job(
        self,
        name: str,
        kind: str,
        cell: Cell | None = None,
        needs: list[str] | None = None,
        pretrain: str | None = None,
    ) -> dict[str, Any]:
        key = None if self.no_data else hashlib.sha256(f"{self.salt}{name}".encode()).hexdigest()[:32]
        return {
            "key": key,
            "id": name,
            "kind": kind,
            "cell": cell,
            "needs": needs or [],
            "pretrain": pretrain,
        }

    def _write_job(self, folder: Path, job: dict[str, Any]) -> None:
        state = self.states.get(job["id"], "done")
        if state == "todo":
            return
        folder.mkdir(parents=True, exist_ok=True)
        status = {
            "schema": SCHEMA,
            "state": state,
            "reason": "it broke",
            "traceback": "",
            "written": self.finished or self.created,
        }
        (folder / "status.json").write_text(json.dumps(status))
        if state != "done":
            return
        row = {"job_key": job["key"], "id": job["id"], "kind": job["kind"]}
        if job["kind"] == "pretrain":
            usual = {"views_seen": 960, "parameters": 1000, "collapsed": False}
            row |= usual | {"steps": 120, "voxels_seen": 960 * 96**3, "wall_s": 20.0, "device_s": 10.0}
            row |= {"peak_memory_bytes": 2_000_000_000} | dict(self.pretrained.get(job["id"], {}))
        if job["kind"] == "adapt":
            row |= {"views_seen": 80, "voxels_seen": 80 * 96**3, "steps": 40, "wall_s": 6.0, "device_s": 5.0}
            row |= {"parameters_trained": 400} | dict(self.adapted.get(job["id"], {}))
        write_table(folder / "job.parquet", [row], JOB_SCHEMA)
        if job["kind"] == "evaluate":
            write_table(folder / "records.parquet", self._rows(job), SCORE_FILE_SCHEMA)

    def _rows(self, job: dict[str, Any]) -> Iterator[dict[str, Any]]:
        cell = job["cell"]
        for metric in self.tasks[cell["task"]]["metrics"]:
            for subject in self.subjects_of.get(cell["profile"], self.subjects):
                for session in self.sessions:
                    for label in self.labels:
                        score = self.score(cell, metric["id"], subject, label)
                        value, status, penalty = score if isinstance(score, tuple) else (score, "ok", score)
                        yield {
                            "job_key": job["key"],
                            "subject": subject,
                            "session": session,
                            "label": label,
                            "metric": metric["id"],
                            "value": value,
                            "unit": metric["unit"],
                            "status": status,
                            "penalty": penalty,
                        }
