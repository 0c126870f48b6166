"""Results that have all that a page can show: several seeds, failures, curves, embeddings, examples."""

from __future__ import annotations

import hashlib
import io
import json
import re
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from synthetic_results import DICE, HD95, PSNR, Benchmark, Cell, task

from mribench.results import SCHEMA
from mribench.results.records import EMBEDDING_SCHEMA, INVARIANCE_SCHEMA, JOB_SCHEMA, write_table

HOSTILE = "<img src=x onerror=alert(1)>"
REASON = '</script><script>alert("reason")</script>'
BROKEN = "seqaug/pretrain/seed1"
"""Failed, and so nothing that needs it was done."""
LOST = f"{HOSTILE}/frozen/lesion/T1w/1/subset0/seed0/test/ARC/T1w"
SUBJECTS = tuple(f"sub-{number:02}" for number in range(1, 9))
LEVELS = {"base": 0.0, "seqaug": 0.02, "seqinv": 0.05, HOSTILE: -0.02, "scratch": -0.05}
TASKS = {
    "tissue": task([DICE], (0.1, 1.0), ("T1w", "T2w"), ("Guys", "HH", "IOP")),
    "lesion": task([DICE, HD95], (1.0,), ("T1w",), ("ARC",), ("T1w", "FLAIR")) | {"dataset": "arc"},
    "denoise": task([PSNR], (1.0,), ("T1w",), ("Guys", "HH")),
}


def noise(*what: object) -> float:
    """Return a number in [-1, 1) that depends on its name alone."""
    digest = hashlib.sha256("/".join(map(str, what)).encode()).digest()
    return int.from_bytes(digest[:4], "big") / 2**31 - 1


def score(cell: Cell, metric: str, subject: str, label: str) -> float | tuple[float, str, float]:
    """Return scores that look like some: subjects, seeds, sites, sequences and labels all matter."""
    level = 0.7 + LEVELS.get(cell["method"], -0.1)
    level += 0.05 * np.log10(cell["fraction"] or 1) + 0.06 * noise(subject, cell["task"])
    level += 0.015 * noise(cell["seed"], cell["method"], cell["task"])
    level += 0.02 * noise(cell["seed"], subject, cell["method"], label)
    level -= 0.05 * (cell["test_site"] not in ("Guys", "ARC"))
    level += 0.01 * noise(cell["test_site"], cell["seed"], subject, cell["method"])
    level -= 0.12 * (cell["train_sequence"] not in (None, cell["test_sequence"]))
    level -= {"GM": 0.0, "WM": 0.03, "CSF": 0.08}.get(label, 0.0)
    if metric == "dice" and cell["task"] == "lesion" and subject == SUBJECTS[0] and cell["seed"] == 1:
        return float("nan"), "failed", float("nan")
    if metric == "dice":
        return float(level)
    return float(40 * (1 - level)) if metric.startswith("hd95") else float(22 + 10 * level)


def write_results(
    root: Path,
    methods: tuple[str, ...] = ("base", "seqaug", "seqinv", HOSTILE),
    seeds: tuple[int, ...] = (0, 1, 2),
    states: dict[str, str] | None = None,
) -> Path:
    """Write a benchmark of three tasks, with a pretraining that failed and one lost evaluation."""
    made = Benchmark(
        score, TASKS, methods, seeds, references=("scratch", "identity"), subjects=SUBJECTS,
        labels=("GM", "WM", "CSF"), transfer=True, tables=("leaderboard", "transfer", "invariance", "budget"),
        states={BROKEN: "failed", LOST: "failed"} if states is None else states,
        shown={"made-up-defect": "a defect made up for a test"},
    )  # fmt: skip
    made.write(root)
    path = root / "plans" / "0123456789abcdef.json"
    manifest = json.loads(path.read_text())
    manifest["config"] = {"benchmark": "synthetic", "methods": {name: {} for name in methods}}
    embeds = [_embed(root, made, name, seed) for name in methods for seed in seeds]
    for job in manifest["jobs"]:
        if states is None and re.match(r"seqaug/frozen/.*/seed1(/|$)", job["id"]):
            shutil.rmtree(root / "jobs" / job["key"])
            continue
        _decorate(root / "jobs" / job["key"], job)
    manifest["jobs"] += embeds
    path.write_text(json.dumps(manifest))
    return root


def _decorate(folder: Path, job: dict[str, Any]) -> None:
    status = folder / "status.json"
    content = json.loads(status.read_text())
    content["reason"] = REASON if content["state"] == "failed" else ""
    status.write_text(json.dumps(content))
    if content["state"] != "done":
        return
    (folder / "environment.json").write_text(
        json.dumps(
            {
                "mribench_commit": "c0ffee",
                "file_commit": "none",
                "python": "3.11.7",
                "platform": "Linux",
                "host": "secret-host",
            }
        )
    )
    if job["kind"] == "evaluate":
        (folder / "example.npz").write_bytes(example(job["cell"]))
        return
    if job["kind"] == "pretrain":
        (folder / "views.npz").write_bytes(views(job["id"].partition("/")[0]))
    steps = np.arange(60)
    wobble = [0.03 * noise(job["id"], step) for step in steps]
    loss = 2.0 * np.exp(-steps / 20) + 1.0 + np.array(wobble)
    pq.write_table(pa.table({"step": steps, "total": loss}), folder / "history.parquet")


def example(cell: Cell) -> bytes:
    """Return a slice with a disc, predicted a little off by every method."""
    row, column = np.mgrid[:40, :32] - np.array([20, 16])[:, None, None]
    radius = np.hypot(row, column)
    image = np.clip(220 - 9 * radius, 0, 255).astype(np.uint8)
    classes = cell["task"] != "denoise"
    off = 4 * noise(cell["method"], cell["seed"])
    shown = [np.digitize(radius, (5 + d, 9 + d, 13 + d)) for d in (0.0, off)]
    planes = [(3 - found).astype(np.uint8) for found in shown] if classes else [image, image]
    stream = io.BytesIO()
    np.savez_compressed(
        stream, input=image, reference=planes[0], prediction=planes[1], classes=classes,
        pixel_mm=np.array([1.0, 1.0]), subject=SUBJECTS[0], session="", sequence=cell["test_sequence"],
    )  # fmt: skip
    return stream.getvalue()


def views(method: str) -> bytes:
    """Return two views of three subjects, discs of other sizes for every method; the third has no name."""
    row, column = np.mgrid[:24, :24] - 12
    planes = [
        np.stack([(np.hypot(row, column) < 4 + sample + len(method) % 5) * 200 for sample in range(3)])
        for _ in range(2)
    ]
    stream = io.BytesIO()
    np.savez_compressed(
        stream, view0=planes[0].astype(np.uint8), view1=planes[1].astype(np.uint8), pixel_mm=np.ones(2),
        sequences=np.array([["fse", HOSTILE], ["mprage", "flair"], ["", ""]]),
        subjects=np.array(SUBJECTS[:3]),
    )  # fmt: skip
    return stream.getvalue()


def _embed(root: Path, made: Benchmark, method: str, seed: int) -> dict[str, Any]:
    name = f"{method}/invariance/ixi/seed{seed}"
    key = hashlib.sha256(name.encode()).hexdigest()[:32]
    cell = {
        "benchmark": "synthetic", "profile": "corrected", "method": method, "views": "v", "objective": "o",
        "encoder": "e", "arm": "frozen", "dataset": "ixi", "seed": seed,
    }  # fmt: skip
    folder = root / "jobs" / key
    folder.mkdir(parents=True)
    status = {"schema": SCHEMA, "state": "done", "reason": "", "traceback": "", "written": made.created}
    (folder / "status.json").write_text(json.dumps(status))
    write_table(folder / "job.parquet", [{"job_key": key, "id": name, "kind": "embed"}], JOB_SCHEMA)
    rows = [
        cell | {"job_key": key, "subject": subject, "session": "", "site": site, "sequence": sequence,
                "status": "ok", "n_windows": 1, "embedding": _embedding(method, subject, site, sequence)}
        for number, subject in enumerate(SUBJECTS)
        for site in [("Guys", "HH")[number % 2]]
        for sequence in ("T1w", "T2w")
    ]  # fmt: skip
    write_table(folder / "embeddings.parquet", rows, EMBEDDING_SCHEMA)
    write_table(folder / "invariance.parquet", _measures(cell, key), INVARIANCE_SCHEMA)
    return {"key": key, "id": name, "kind": "embed", "cell": cell, "needs": [], "pretrain": None}


def _embedding(method: str, subject: str, site: str, sequence: str) -> list[float]:
    shift = (site == "HH") * (method == "base") + 2.0 * (sequence == "T2w") * (method != "seqinv")
    return [shift + noise(method, subject, sequence, place) for place in range(6)]


def _measures(cell: dict[str, Any], key: str) -> list[dict[str, Any]]:
    usual = {"job_key": key, "split_digest": "d1", "patch_vox": 24, "subject": "", "n": 16, "n_subjects": 8,
             "n_failed": 0, "n_windows": 16, "status": "ok", "reason": ""}  # fmt: skip
    values = {
        "decode:sequence": (0.9 + 0.05 * noise(cell["method"], cell["seed"]), 0.5),
        "decode:site": (0.6, 0.5),
    }
    return [
        cell | usual | {"measure": name, "value": value, "chance": chance}
        for name, (value, chance) in values.items()
    ]
