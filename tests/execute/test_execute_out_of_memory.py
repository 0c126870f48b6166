"""Jobs out of memory: how it is known, and the second attempt, which needs less."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pytest
import torch
from command_line import call
from mribench_encoders.cnn import CnnEncoder
from torch import Tensor

from mribench.execute import local
from mribench.execute.local import LocalExecutor
from mribench.execute.memory import count_memory_kills
from mribench.interfaces.executor import Batch, Cause, Resources
from mribench.interfaces.options import NoOptions
from mribench.results.environment import read_environment
from mribench.results.load import load_run

TINY = Path(__file__).parent.parent / "benchmarks" / "tiny.yaml"
LIMIT_BYTES = 64 * 2**20
_HUNGRY = """
import os, sys
for place in sys.argv[1:]:
    open(place, "w").write(str(os.getpid()))
x = b"1" * 10**9
"""


@pytest.fixture
def small_group() -> Iterator[list[Path]]:
    """A control group of little memory: the files that a process joins it by."""
    root = Path("/sys/fs/cgroup")
    name = f"mribench-test-{uuid.uuid4().hex[:8]}"
    first = (root / "memory").is_dir()
    group = (root / "memory" if first else root) / name
    limit = "memory.limit_in_bytes" if first else "memory.max"
    try:
        group.mkdir()
    except OSError as error:
        pytest.skip(f"no control group can be made here: {error}")
    try:
        (group / limit).write_text(str(LIMIT_BYTES))
        yield [group / "cgroup.procs"]
    except OSError as error:
        pytest.skip(f"the control group takes no limit: {error}")
    finally:
        with contextlib.suppress(OSError):
            group.rmdir()


def test_the_kernel_counts_what_it_kills(small_group: list[Path], monkeypatch: pytest.MonkeyPatch) -> None:
    """The count of the machine: that of the group which the tests are in does not see another group."""
    monkeypatch.setattr("mribench.execute.memory._group_files", list)
    before = count_memory_kills()
    hungry = subprocess.run([sys.executable, "-c", _HUNGRY, *map(str, small_group)], check=False)
    assert hungry.returncode == -signal.SIGKILL
    assert count_memory_kills() > before


@pytest.mark.parametrize(("kills", "cause"), [(1, Cause.OUT_OF_MEMORY), (0, Cause.INFRASTRUCTURE)])
def test_a_killed_job_is_out_of_memory_where_the_kernel_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kills: int, cause: Cause
) -> None:
    counts = [0, kills]
    monkeypatch.setattr(local, "count_memory_kills", lambda: counts.pop(0))
    monkeypatch.setattr("mribench.execute.worker.main", _kill_itself)
    executor = LocalExecutor(NoOptions(), Resources())
    executor.submit(Batch({"k": tmp_path}))
    (ended,) = executor.completed(60)
    executor.close()
    assert ended.cause is cause
    assert ended.error.startswith("out of memory" if kills else "its process was killed by signal 9")


def test_a_process_keeps_its_memory_of_a_gpu_until_it_ends(tmp_path: Path) -> None:
    executor = LocalExecutor(NoOptions(), Resources(jobs=2, gpus=("0",), gpu_memory_bytes=(10**10,)))
    large = Batch({"k": tmp_path}, gpu_bytes=6 * 10**9)
    executor.submit(large)
    assert not executor.has_room(large)
    assert list(executor.completed(60))
    assert executor.has_room(large)
    executor.close()


def _kill_itself(*_: object) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def run_small_windows(results: Path) -> tuple[str, pd.DataFrame]:
    """Run two trainings and their tests, of many windows; return what is said, and the rows."""
    sets = ("methods={}", "arms=[frozen]", "reference_arms=[scratch]", "tasks.denoise.adapt.window_vox=8")
    words = [word for each in sets for word in ("--set", each)]
    said = call("run", TINY, "--only", "*denoise*", "--results", results, "--executor", "inline", *words)
    assert said.code == 0, said.out + said.err
    rows = load_run(results / "tiny").scores
    return " ".join(said.out.split()), rows.sort_values(["job_key", "subject", "metric"], ignore_index=True)


def test_an_evaluation_out_of_memory_takes_half_the_windows_and_gives_the_same_rows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, expected = run_small_windows(tmp_path / "large")
    whole = CnnEncoder.feature_maps

    def with_little_memory(self: CnnEncoder, image: Tensor, mask: None = None) -> list[Tensor]:
        if len(image) > 2:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return whole(self, image, mask)

    monkeypatch.setattr(CnnEncoder, "feature_maps", with_little_memory)
    said, rows = run_small_windows(tmp_path / "small")
    pd.testing.assert_frame_equal(rows, expected, check_exact=True)
    assert "out of memory: it wanted more than was free" in said
    assert "the next attempt has nothing beside it, and an evaluation takes half the windows" in said
    assert find_parts(tmp_path / "large") == {1}
    assert find_parts(tmp_path / "small") == {2}


def find_parts(results: Path) -> set[int | None]:
    """Return in how many parts the evaluations took their windows, by their records."""
    files = results.glob("*/jobs/*/records.parquet")
    return {read_environment(file.parent).window_parts for file in files}
