"""``mribench status`` of a run whose jobs wait in a queue; a small program stands for SLURM's ``squeue``."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest
from command_line import call
from mribench_clusters.slurm import FILE, SlurmExecutor, SlurmOptions

from mribench.errors import JobError
from mribench.interfaces.executor import Queued, Resources
from mribench.results import Store

QUEUE = """\
12|PENDING|0|Priority|
13|RUNNING|0|None|
14|COMPLETED|0|None|
"""


@pytest.fixture
def squeue(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Have ``squeue`` be these lines of shell."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder), prepend=":")

    def write(lines: str) -> None:
        command = folder / "squeue"
        command.write_text(f"#!/bin/sh\n{lines}\n")
        command.chmod(0o755)

    write(f"cat <<'END'\n{QUEUE}END")
    return write


@pytest.fixture
def results(tmp_path: Path) -> Path:
    """Folders of jobs, by the numbers of their batch jobs."""
    store = Store(tmp_path / "results")
    store.open()
    for number in ("12", "13", "14", "15"):
        submitted = {"number": number, "batch": f"batch-{number}"}
        (store.make_directory(number) / FILE).write_text(json.dumps(submitted))
    store.make_directory("never-submitted")
    return store.root


def test_what_waits_in_the_queue_is_found(squeue: Callable[[str], None], results: Path) -> None:
    found = SlurmExecutor.look_up({path.name: path for path in (results / "jobs").iterdir()})
    assert found == {
        "12": Queued("JobID 12", "PENDING", "Priority"),
        "13": Queued("JobID 13", "RUNNING"),
    }
    squeue("touch $0.asked")
    assert SlurmExecutor.look_up({"never-submitted": results / "jobs" / "never-submitted"}) == {}
    assert not list(results.parent.glob("bin/*.asked")), "nobody is asked about what was never submitted"


@pytest.mark.parametrize(("age_s", "looks"), [(3600.0, 1), (0.0, 3)])
def test_one_look_into_the_queue_serves_all_that_was_submitted_before(
    squeue: Callable[[str], None], results: Path, age_s: float, looks: int
) -> None:
    """15 is forgotten by the queue; noted just now, it may not be listed yet and is asked for anew."""
    squeue(f"echo asked >> $0.looks\ncat <<'END'\n{QUEUE}END")
    for name in ("sbatch", "scancel"):
        (results.parent / "bin" / name).symlink_to("/bin/true")
    for note in results.glob(f"jobs/*/{FILE}"):
        os.utime(note, (note.stat().st_atime, note.stat().st_mtime - age_s))
    executor = SlurmExecutor(SlurmOptions(), Resources())
    folders = [results / "jobs" / name for name in ("12", "13", "14", "15", "never-submitted", "15")]
    recalled = [executor.recall(folder) for folder in folders]
    assert recalled == ["batch-12", "batch-13", None, None, None, None]
    assert len((results.parent / "bin" / "squeue.looks").read_text().split()) == looks


def test_status_says_what_waits_and_why(squeue: Callable[[str], None], results: Path) -> None:
    said = call("status", results).out
    assert "queued: 12 (PENDING: Priority, JobID 12)" in said
    assert "queued: 13 (RUNNING, JobID 13)" in said


def test_a_queue_that_gives_no_answer_is_said_and_the_rest_shown(
    squeue: Callable[[str], None], results: Path
) -> None:
    squeue("echo 'slurm_load_jobs error: Unable to contact slurm controller' >&2; exit 1")
    with pytest.raises(JobError, match="does not answer"):
        SlurmExecutor.look_up({"12": results / "jobs" / "12"})
    said = call("status", results)
    assert said.code == 0
    assert "what waits in a queue is shown as to do: SLURM's queue does not answer: slurm_load" in said.out
    assert said.out.splitlines()[-1].startswith("0 of 0 done")
