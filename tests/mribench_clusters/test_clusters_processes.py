"""What the executors of clusters do on the machine where a job runs, and what they read of SLURM.

Whole benchmarks through a real SLURM and Dask workers: `make test-cluster`.
"""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from mribench_clusters import dask_executor, queue
from mribench_clusters.slurm import SlurmOptions, list_options

from mribench.errors import ConfigError
from mribench.execute.asked import check_executor, user_file
from mribench.interfaces.executor import Cause, Completed, Resources, WorkerExit
from mribench.plugins import load_registry

CHILD = """
import time
from mribench.execute.leash import end_with_input
end_with_input()
print("on", flush=True)
time.sleep(600)
"""
OWNER = f"""
import subprocess, sys, time
child = subprocess.Popen([sys.executable, "-c", {CHILD!r}], stdin=subprocess.PIPE)
print(child.pid, flush=True)
time.sleep(600)
"""


def test_a_process_ends_with_whoever_started_it() -> None:
    """The owner is killed and closes nothing: the system closes its end of the pipe."""
    with subprocess.Popen([sys.executable, "-c", OWNER], stdout=subprocess.PIPE, text=True) as owner:
        assert owner.stdout is not None
        said = {owner.stdout.readline().strip(), owner.stdout.readline().strip()}
        owner.kill()
    number = int((said - {"on"}).pop())
    until = time.monotonic() + 20
    while _is_there(number):
        assert time.monotonic() < until, "it outlives its owner"
        time.sleep(0.1)


def _is_there(number: int) -> bool:
    stat = Path(f"/proc/{number}/stat")
    return stat.exists() and stat.read_text().rpartition(")")[2].split()[0] != "Z"


@pytest.mark.parametrize("code", [0, 1, 3, 75])
def test_a_worker_gives_back_the_exit_code_alone(code: int, tmp_path: Path) -> None:
    words = ["-c", f"import os, sys; assert os.getcwd() == {str(tmp_path)!r}; sys.exit({code})"]
    assert dask_executor.run_batch("k", words, {}, str(tmp_path)) == code


def test_a_worker_ends_the_jobs_that_it_is_asked_to(tmp_path: Path) -> None:
    codes: list[int] = []
    words = ["-c", "import time; time.sleep(600)"]
    thread = threading.Thread(
        target=lambda: codes.append(dask_executor.run_batch("k", words, {}, str(tmp_path)))
    )
    thread.start()
    while "k" not in dask_executor._running:
        time.sleep(0.01)
    dask_executor.end_batches(["other"])
    assert thread.is_alive()
    dask_executor.end_batches(["k"])
    thread.join(20)
    assert codes == [-15]


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        (WorkerExit.DONE, Completed("k")),
        (WorkerExit.ELSEWHERE, Completed("k", elsewhere=True)),
        (WorkerExit.STOPPED, Completed("k", "a signal stopped its process", cause=Cause.STOPPED)),
        (WorkerExit.UNWRITTEN, Completed("k", "the disk is full, or read-only", cause=Cause.DISK)),
        (-9, Completed("k", "its process was killed by signal 9; see its log.txt")),
    ],
)
def test_an_exit_code_means_one_thing(code: int, expected: Completed) -> None:
    assert Completed.of_exit("k", code) == expected


def test_a_line_of_the_queue_is_read() -> None:
    """As squeue 22.05 prints them; 19200 is the status of a process that exited with 75."""
    number, job = queue.read_line("5|FAILED|19200|NonZeroExitCode|")
    assert (number, job.end, job.exit_code) == ("5", "failed", 75)
    assert queue.read_line("2|CANCELLED|15|None|")[1].end == "cancelled"
    assert queue.read_line("3|REQUEUED|0|None|")[1].end is None, "it comes back"


def test_options_are_those_of_sbatch() -> None:
    asked = SlurmOptions(partition="gpu", memory="16G", further="--nice=5 --exclude='a b'", stop_s=30)
    words = list_options(asked, Resources(threads=4))
    assert words[:2] == ["--partition=gpu", "--mem=16G"]
    assert {"--cpus-per-task=4", "--requeue", "--signal=B:TERM@30", "--nice=5", "--exclude=a b"} <= set(words)


def test_the_users_file_is_there_for_every_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MRIBENCH_CONFIG", str(tmp_path))
    registry, resources = load_registry(), Resources()
    check_executor("slurm", resources, registry)
    user_file().write_text("slurm: {partition: gpu, poll_s: 5}\n")
    made = check_executor("slurm:partition=long", resources, registry)
    options = made.func.__self__.options
    assert (options.partition, options.poll_s) == ("long", 5), "the command line goes before the file"
    user_file().write_text("slurm: {partitio: gpu}\n")
    with pytest.raises(ConfigError, match=r"executors\.yaml: slurm"):
        check_executor("slurm", resources, registry)
    user_file().write_text("slurm: gpu\n")
    with pytest.raises(ConfigError, match="expected options"):
        check_executor("slurm", resources, registry)
