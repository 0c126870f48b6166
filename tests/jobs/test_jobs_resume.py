"""Jobs killed by SIGKILL while they train, and gone on with: the same files as of undisturbed jobs."""

from __future__ import annotations

import json
import os
import shutil
import signal
import sys
import time
from multiprocessing.process import BaseProcess
from pathlib import Path

import pandas as pd
import pytest
import torch
from pandas.testing import assert_frame_equal

from mribench import cli
from mribench.execute import pulse, worker
from mribench.execute.processes import start_process
from mribench.interfaces.executor import WorkerExit
from mribench.jobs import ahead
from mribench.results import holder
from mribench.results.lease import STALE_S
from mribench.verify.compare import COSTS

TINY = Path(__file__).parent.parent / "benchmarks" / "tiny.yaml"
STEPS = 12
CHECKED = (2, 5, 8)
"""Steps after which the embeddings are looked at: each quarter, and not the last, which the job row has."""


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Jobs that were never disturbed: a pretraining, and an adaptation of two channels from scratch."""
    torch.set_num_threads(1)
    results = tmp_path_factory.mktemp("whole")
    steps = ("--set", f"defaults.pretrain.steps={STEPS}", "--set", "tasks.denoise.adapt.steps=6")
    part = ("--only", "*/pretrain/*", "--only", "scratch/denoise/*", "--set", "profile=paper")
    synthesis = (
        "--set", "tasks.denoise.task=synthesis", "--set", "tasks.denoise.train_sequences=[[T1w, PDw]]",
    )  # fmt: skip
    run(results, *part, *steps, *synthesis)
    return results


def run(results: Path, *options: str) -> None:
    """Run the tiny benchmark, or a part of it, in this process."""
    command = ["mribench", "run", TINY, "--results", results, "--executor", "inline", *options]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", list(map(str, command)))
        with pytest.raises(SystemExit) as end:
            cli.main()
    assert end.value.code == 0


def folder_of(results: Path, kind: str) -> Path:
    (found,) = [
        path.parent
        for path in results.glob("tiny/jobs/*/job.json")
        if json.loads(path.read_text())["kind"] == kind
    ]
    return found


def work(folder: Path, kill_at: int | None) -> None:
    """Run a job with a checkpoint after each step; SIGKILL this process before that of step ``kill_at``.

    From step 5 on batches are drawn ahead, as where a GPU computes: it makes no difference.
    """
    ahead.is_worth = lambda _: kill_at is None or kill_at > 5  # type: ignore[assignment]
    tick = pulse.Pulse.tick

    def deadly(beat: pulse.Pulse, done: int, total: int) -> None:
        tick(beat, done, total)
        if done == kill_at:
            os.kill(os.getpid(), signal.SIGKILL)

    pulse.Pulse.tick = deadly  # type: ignore[method-assign]
    status = worker.run_job(folder, threads=1, checkpoint_every_s=0.0)
    sys.exit(0 if status is not None and status.state == "done" else 1)


def process(folder: Path, kill_at: int | None) -> BaseProcess:
    started = start_process(work, folder, kill_at)
    started.join(120)
    return started


def why_it_ended(folder: Path) -> str:
    """Return the state and the traceback of a job that did not end as it should."""
    status = json.loads((folder / "status.json").read_text())
    return f"{status['state']}: {status['reason']}\n{status['traceback']}"


def killed_and_resumed(original: Path, results: Path, kills: list[int]) -> Path:
    """Run a job again from its ``job.json`` alone, killed again and again."""
    folder = results / "tiny/jobs" / original.name
    folder.mkdir(parents=True)
    shutil.copy(original / "job.json", folder)
    for kill_at in kills:
        assert process(folder, kill_at).exitcode == -signal.SIGKILL, why_it_ended(folder)
        assert json.loads((folder / "status.json").read_text())["state"] == "running"
        assert (folder / "checkpoint.safetensors").exists()
    assert process(folder, None).exitcode == 0, why_it_ended(folder)
    return folder


def job_row(folder: Path) -> pd.DataFrame:
    return pd.read_parquet(folder / "job.parquet").drop(columns=list(COSTS))


def test_a_pretraining_killed_again_and_again(whole: Path, tmp_path: Path) -> None:
    original = folder_of(whole, "pretrain")
    folder = killed_and_resumed(original, tmp_path, [5, 10])
    expected = pd.read_parquet(original / "history.parquet")
    checked = expected["mean_cosine"].notna()
    assert tuple(expected[checked]["step"]) == CHECKED
    assert tuple(expected[~checked]["step"]) == tuple(range(STEPS))
    assert job_row(original)["redraws"][0] > 0, "there is a count to lose"
    assert_frame_equal(pd.read_parquet(folder / "history.parquet"), expected, check_exact=True)
    assert_frame_equal(job_row(folder), job_row(original), check_exact=True)
    encoder = "encoder.safetensors"
    assert (folder / encoder).read_bytes() == (original / encoder).read_bytes()
    assert {path.name for path in folder.iterdir()} == {path.name for path in original.iterdir()}


def test_an_adaptation_killed(whole: Path, tmp_path: Path) -> None:
    original = folder_of(whole, "adapt")
    folder = killed_and_resumed(original, tmp_path, [4])
    assert job_row(original)["distinct_views"][0] == 6
    for name in ("history.parquet", "job.parquet"):
        found, expected = (
            pd.read_parquet(place / name).drop(columns=list(COSTS), errors="ignore")
            for place in (folder, original)
        )
        assert_frame_equal(found, expected, check_exact=True)
    assert (folder / "model.safetensors").read_bytes() == (original / "model.safetensors").read_bytes()


MORE = {
    "data.more": "{name: phantom, layout: ixi, sites: {Guys: 3}, spacing_mm: 8, seed: 7}",
    "splits.more": "{train: 2, validation: 1, test: 0}",
    "methods.seqinv.views": "seqinv-real",
    "methods.seqinv.pretrain": "{data: [{cohort: ixi, sequences: [T1w, T2w]}, more], min_foreground: 0.3}",
}
"""Pairs of real sequences of two cohorts."""


@pytest.mark.parametrize(
    ("encoder", "views"),
    [
        ("{name: cnn, features: [4, 8], dropout: 0.1}", MORE),
        ("{name: vit, token_vox: 4, width: 24, depth: 2, heads: 2, maps: 2}", {}),
    ],
    ids=["cnn", "vit"],
)
def test_a_masked_pretraining_killed(encoder: str, views: dict[str, str], tmp_path: Path) -> None:
    """On real scans; torch's own generator draws what is hidden; the optimiser has all that it may have."""
    settings = {
        "methods.seqinv.objective": "{name: mae, decoder_width: 24, decoder_heads: 2, decoder_depth: 1}",
        "methods.seqinv.encoder": encoder,
        "methods.seqinv.views": "augment",
        "methods.seqinv.pretrain": "{data: ixi}",
        "defaults.pretrain.steps": "6",
        "defaults.pretrain.optimiser": "lars",
        "defaults.pretrain.schedule": "cosine",
        "defaults.pretrain.weight_decay_end": "0.1",
        "defaults.pretrain.decay_norms": "false",
        "defaults.pretrain.accumulate": "2",
        "defaults.pretrain.layer_decay": "0.8",
        "defaults.pretrain.ema": "0.9",
        "tasks.denoise.adapt.layer_decay": "0.5",
        **views,
    }
    chosen = [part for key, value in settings.items() for part in ("--set", f"{key}={value}")]
    run(tmp_path / "whole", "--only", "seqinv/*", *chosen)
    original = folder_of(tmp_path / "whole", "pretrain")
    folder = killed_and_resumed(original, tmp_path / "again", [4])
    for name in ("history.parquet", "encoder.safetensors"):
        assert (folder / name).read_bytes() == (original / name).read_bytes()
    row = job_row(original)
    assert row["views_seen"][0] == 6 * 2 * 2, "steps, accumulated batches, subjects of a batch"


def work_and_freeze(folder: Path, name: str, time_of_it: int) -> None:
    """Run a job; freeze this process right before a file of that name is put into its place the nth time."""
    replace, seen = os.replace, 0

    def freezing(source: Path, target: Path) -> None:
        nonlocal seen
        seen += Path(target).name == name and Path(target).parent == folder
        if seen == time_of_it:
            seen += 1
            os.kill(os.getpid(), signal.SIGSTOP)
        replace(source, target)

    os.replace = freezing
    pulse.HEARTBEAT_S = 0.01
    status = worker.run_job(folder, threads=1, checkpoint_every_s=0.0)
    sys.exit(WorkerExit.ELSEWHERE if status is None else 0)


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="processes are looked at in /proc")
@pytest.mark.parametrize(
    ("name", "time_of_it"),
    [("checkpoint.safetensors", 3), ("job.parquet", 1), ("status.json", 2), ("lease.json", 1)],
    ids=["a checkpoint", "a file among others", "done", "a heartbeat"],
)
def test_a_process_that_was_frozen_changes_nothing_of_who_took_over(
    whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, time_of_it: int
) -> None:
    original = folder_of(whole, "adapt")
    folder = tmp_path / "tiny/jobs" / original.name
    folder.mkdir(parents=True)
    shutil.copy(original / "job.json", folder)
    frozen = start_process(work_and_freeze, folder, name, time_of_it)
    end = time.monotonic() + 60
    while holder_state(frozen) != "T":
        assert frozen.exitcode is None
        assert time.monotonic() < end
        time.sleep(0.02)
    monkeypatch.setattr(holder, "find_boot", lambda: "another host")
    assert worker.run_job(folder, threads=1) is None, "its lease is fresh"
    then = (folder / "lease.json").stat().st_mtime - STALE_S - 1
    os.utime(folder / "lease.json", (then, then))
    status = worker.run_job(folder, threads=1)
    assert status is not None
    assert status.state == "done", status.traceback
    before = contents(folder)
    os.kill(frozen.pid or 0, signal.SIGCONT)
    frozen.join(60)
    assert frozen.exitcode == WorkerExit.ELSEWHERE
    assert contents(folder) == before
    assert (folder / "model.safetensors").read_bytes() == (original / "model.safetensors").read_bytes()


def holder_state(process: BaseProcess) -> str:
    return Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()[0]
