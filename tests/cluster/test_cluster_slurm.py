"""A benchmark through a real SLURM: nothing is lost to its limits, its failures, or a person.

`make test-cluster` runs it; it needs Debian's packages slurm-wlm and munge.
"""

from __future__ import annotations

import time
from pathlib import Path

import pandas as pd
import pytest
from cluster_lab import DONE_ALREADY, Lab
from slurm_cluster import NODES, PATIENCE_S, SlurmCluster, find_obstacle

pytestmark = pytest.mark.skipif(bool(find_obstacle()), reason=find_obstacle())


def lab_of(cluster: SlurmCluster, results: Path, cache: Path, *options: str) -> Lab:
    return Lab(results, cache, *options, environment=cluster.environment)


SLURM = "slurm:poll_s=0.5"
ONLY = ("--only", "seqinv/pretrain/*")


def test_rows_are_the_same_through_all_that_happens_to_a_cluster(
    cluster: SlurmCluster, cache: Path, expected: pd.DataFrame, tmp_path: Path
) -> None:
    """The submitter is killed, a node drained, another lost for a while, the controller started again."""
    lab = lab_of(cluster, tmp_path, cache)
    first = lab.start(SLURM)
    cluster.wait_for("some jobs done", lambda: lab.statuses().count("done") >= 2)
    first.kill()
    first.communicate()
    in_queue = cluster.call("squeue", "--me", "--noheader", "--format=%i").split()
    assert in_queue, "batch jobs outlive the run that submitted them"

    again = lab.start(SLURM)
    cluster.take_away(NODES[0], "drain")
    cluster.wait_for("a job waits for the other node", lambda: "(PENDING: " in lab.status())
    cluster.wait_for("more jobs done", lambda: lab.statuses().count("done") >= 4)
    cluster.give_back(NODES[0])
    cluster.stop("slurmctld")
    time.sleep(5)
    cluster.start_controller()
    cluster.wait_for("more jobs done", lambda: lab.statuses().count("done") >= 6)
    cluster.take_away(NODES[1], "down")
    time.sleep(3)
    cluster.give_back(NODES[1])
    said, _ = again.communicate(timeout=PATIENCE_S)
    assert again.returncode == 0, said
    pd.testing.assert_frame_equal(lab.rows(), expected)
    _, said = lab.run(SLURM)
    assert DONE_ALREADY in said, said


def test_a_cancelled_job_is_said_and_the_next_run_does_it(
    cluster: SlurmCluster, cache: Path, tmp_path: Path
) -> None:
    lab = lab_of(cluster, tmp_path, cache, *ONLY, "--set", "defaults.pretrain.steps=300")
    run = lab.start(SLURM)
    cluster.wait_for("it runs", lambda: "running" in lab.statuses())
    cluster.call("scancel", "--user=root")
    said, _ = run.communicate(timeout=PATIENCE_S)
    assert run.returncode == 1, said
    assert "was cancelled" in said, said
    assert lab.run(SLURM)[0] == 0, "the next run goes on from its checkpoint"


def test_a_job_whose_time_ends_goes_on_in_another(cluster: SlurmCluster, cache: Path, tmp_path: Path) -> None:
    """Its limit becomes a minute when it has begun; SLURM looks every half a minute whom to ask to stop."""
    only = (*ONLY, "--set", "defaults.pretrain.steps=1500")
    lab, plain = (lab_of(cluster, tmp_path / name, cache, *only) for name in "ab")
    run, other = lab.start(f"{SLURM},stop_s=60"), plain.start("inline")
    cluster.wait_for("it takes steps", lambda: lab.steps() > 0)
    (number,) = cluster.call("squeue", "--me", "--noheader", "--format=%i").split()
    cluster.call("scontrol", "update", f"jobid={number}", "timelimit=1")
    said, _ = run.communicate(timeout=PATIENCE_S)
    assert run.returncode == 0, said
    (log,) = (lab.results / "tiny" / "jobs").glob("*/log.txt")
    assert log.read_text().count("in process") > 1, "one batch job was enough: raise the steps"
    said, _ = other.communicate(timeout=PATIENCE_S)
    assert other.returncode == 0, said
    weights = [list(each.results.glob("tiny/jobs/*/encoder.safetensors")) for each in (lab, plain)]
    (one,), (uninterrupted,) = weights
    assert one.read_bytes() == uninterrupted.read_bytes(), "it is the same training, bit for bit"


def test_a_job_that_is_preempted_goes_on(cluster: SlurmCluster, cache: Path, tmp_path: Path) -> None:
    """An urgent job takes both nodes; ours is put back into the queue, and goes on from its checkpoint."""
    only = (*ONLY, "--set", "defaults.pretrain.steps=1500", "--checkpoint-every", "1")
    lab, plain = (lab_of(cluster, tmp_path / name, cache, *only) for name in "ab")
    run = lab.start(f"{SLURM},partition=gpu,gres=gpu:1")
    cluster.wait_for("it has saved", lambda: any(lab.results.glob("tiny/jobs/*/checkpoint.safetensors")))
    cluster.call("sbatch", "--partition=urgent", "--nodes=2", "--output=/dev/null", "--wrap=sleep 5")
    list_running = ("squeue", "--noheader", "--states=running", "--format=%P")
    cluster.wait_for("the urgent one runs", lambda: cluster.call(*list_running) == "urgent")
    said, _ = run.communicate(timeout=PATIENCE_S)
    assert run.returncode == 0, said
    (log,) = (lab.results / "tiny" / "jobs").glob("*/log.txt")
    assert log.read_text().count("in process") == 2
    assert plain.run("inline")[0] == 0
    weights = [list(each.results.glob("tiny/jobs/*/encoder.safetensors")) for each in (lab, plain)]
    (one,), (uninterrupted,) = weights
    assert one.read_bytes() == uninterrupted.read_bytes(), "it is the same training, bit for bit"


def test_what_can_never_run_is_said_before_anything_is_submitted(
    cluster: SlurmCluster, cache: Path, tmp_path: Path
) -> None:
    lab = lab_of(cluster, tmp_path, cache)
    code, said = lab.run("slurm:partition=nowhere")
    assert code == 2, said
    assert "such a job can never run" in said, said
    assert not list(tmp_path.glob("tiny/jobs/*"))
