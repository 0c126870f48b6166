"""What the executors of clusters do on the machine where a job runs, and what they read of SLURM.

Whole benchmarks through a real SLURM and Dask workers: `make test-cluster`.
"""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from mribench_clusters import dask_executor, queue
from mribench_clusters.slurm import SlurmOptions, list_options
from pydantic import ValidationError

from mribench.errors import ConfigError
from mribench.execute.asked import check_executor, user_file
from mribench.interfaces.executor import Cause, Completed, Resources, WorkerExit
from mribench.interfaces.options import ExecutorRef
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
    assert queue.read_line("6|FAILED|15|NonZeroExitCode|")[1].signal == 15
    assert queue.read_line("2|CANCELLED|15|None|")[1].end == "cancelled"
    assert queue.read_line("3|REQUEUED|0|None|")[1].end is None, "it comes back"


@pytest.mark.parametrize("time", ["2", "2:00", "0:01:59", "0-0:2"])
def test_a_time_that_is_over_before_it_begins_is_refused(time: str) -> None:
    with pytest.raises(ValidationError, match="expected more than stop_s, which is 120 s"):
        SlurmOptions(time=time)


@pytest.mark.parametrize("time", ["3", "2:01", "00:02:01", "1-0", "UNLIMITED"])
def test_a_time_that_is_long_enough_is_taken(time: str) -> None:
    assert SlurmOptions(time=time).time == time


def test_options_are_those_of_sbatch() -> None:
    asked = SlurmOptions(partition="gpu", memory="16G", further="--nice=5 --exclude='a b'", stop_s=30)
    words = list_options(asked, Resources(threads=4))
    assert words[:2] == ["--partition=gpu", "--mem=16G"]
    assert {"--cpus-per-task=4", "--requeue", "--signal=B:TERM@30", "--nice=5", "--exclude=a b"} <= set(words)


def test_the_command_line_goes_before_the_users_file_and_that_before_the_benchmark_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MRIBENCH_CONFIG", str(tmp_path))
    registry, file = load_registry(), ExecutorRef.model_validate({"name": "slurm", "poll_s": 7, "qos": "low"})

    def options_of(asked: str | None, in_file: ExecutorRef = file) -> SlurmOptions:
        made: Any = check_executor(asked, in_file, "a.yaml", Resources(), registry)
        return made.func.__self__.options

    assert options_of(None).poll_s == 7, "the benchmark file says where it runs"
    assert options_of("slurm").qos == "low"
    other = ExecutorRef.model_validate({"name": "dask", "scheduler": "tcp://a:1"})
    assert options_of("slurm", other) == SlurmOptions(), "options are of the executor that they are for"
    user_file().write_text("slurm: {partition: gpu, poll_s: 5}\n")
    options = options_of("slurm:partition=long")
    assert (options.partition, options.poll_s, options.qos) == ("long", 5, "low"), "command line, user, file"
    user_file().write_text("slurm: {partitio: gpu}\n")
    with pytest.raises(ConfigError, match=r"executors\.yaml: slurm"):
        options_of("slurm")
    user_file().write_text("slurm: gpu\n")
    with pytest.raises(ConfigError, match="expected options"):
        options_of("slurm")
    user_file().unlink()
    with pytest.raises(ConfigError, match=r"a\.yaml: execution\.executor\.poll: unknown key"):
        options_of("slurm", ExecutorRef.model_validate({"name": "slurm", "poll": 1}))
