"""What ``mribench plan --estimate`` says: from trials to hours and memory."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from command_line import call

from mribench.execute import estimates
from mribench.execute.estimates import Estimate, estimate_jobs, peak_bytes, wall_s
from mribench.execute.trial import Trial
from mribench.interfaces.executor import Resources
from mribench.plan import Job
from mribench.results.specification import AdaptSpec, EvaluateSpec, PretrainSpec, read_specification

TINY = Path(__file__).parent.parent / "benchmarks" / "tiny.yaml"


@pytest.mark.parametrize(
    ("trial", "total", "expected_s"),
    [
        (Trial(ticks_s=(3.0, 4.0, 5.0), total=3, wall_s=7.0, complete=True), 3, 7.0),
        (Trial(ticks_s=(3.0, 4.0, 5.0), total=3, wall_s=7.0, complete=True), 100, 104.0),
        (Trial(ticks_s=(3.0, 4.0, 5.0), total=40, wall_s=5.0), 40, 42.0),
        (Trial(ticks_s=(3.0,), total=40, wall_s=3.0), 40, 120.0),
        (Trial(wall_s=2.0, complete=True), 1, 2.0),
    ],
    ids=["as it was", "more steps", "stopped early", "one slow step", "a job without steps"],
)
def test_a_whole_job_from_some_of_its_steps(trial: Trial, total: int, expected_s: float) -> None:
    assert trial.whole_s(total) == pytest.approx(expected_s)


def test_checks_between_steps_are_no_part_of_a_step() -> None:
    """Every second of the eight steps of a pretraining is followed by a check that takes four seconds."""
    trial = Trial(ticks_s=(1.0, 6.0, 7.0, 12.0, 13.0, 18.0, 19.0, 20.0), total=8, wall_s=24.0, complete=True)
    assert trial.step_s == 1.0
    assert trial.whole_s(108) == pytest.approx(124.0)


@pytest.fixture(scope="module")
def planned(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Job]:
    """The jobs of the tiny benchmark with two seeds, by key."""
    from mribench.commands.planning import plan_file

    folder = tmp_path_factory.mktemp("estimates")
    return plan_file(TINY, ["seeds=[0, 1]"], folder, make=True, progress=lambda *_: None).plan.runnable()


@pytest.fixture
def tried(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """Have every trial succeed at once; return the folders that were tried."""
    folders: list[Path] = []

    def try_job(folder: Path, gpu: str | None, threads: int) -> Trial:
        folders.append(folder)
        return Trial(ticks_s=(1.0, 2.0), total=2, wall_s=2.0, complete=True, peak_memory_bytes=10**9)

    monkeypatch.setattr(estimates, "try_job", try_job)
    return folders


def test_one_job_of_each_configuration_is_tried(
    planned: dict[str, Job], tried: list[Path], tmp_path: Path
) -> None:
    found = estimate_jobs(planned, planned.keys(), tmp_path, Resources())
    assert sum(len(estimate.jobs) for estimate in found) == len(planned)
    assert len(tried) == len(found) == 12
    specs = [read_specification(folder).spec for folder in tried]
    assert all(spec.pretrain_key is None for spec in specs if not isinstance(spec, PretrainSpec))
    folders = {folder.name for folder in tried}
    heads = {spec.adapt_key for spec in specs if isinstance(spec, EvaluateSpec)}
    assert heads - {None} <= folders, "each head was trained by another trial"


def test_heads_that_are_done_are_trained_for_the_trials_that_read_them(
    planned: dict[str, Job], tried: list[Path], tmp_path: Path
) -> None:
    (todo,) = [key for key, job in planned.items() if "frozen/denoise/T1w/100%/seed1/test/HH" in job.id]
    (estimate,) = estimate_jobs(planned, {todo}, tmp_path, Resources())
    assert set(estimate.jobs) == {todo}
    kinds = [type(read_specification(folder).spec) for folder in tried]
    assert kinds == [AdaptSpec, EvaluateSpec]


def test_what_builds_on_a_failed_trial_is_not_tried(
    planned: dict[str, Job], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(estimates, "try_job", lambda *_: Trial(error="out of memory"))
    found = estimate_jobs(planned, planned.keys(), tmp_path, Resources())
    errors = {
        estimate.tried.kind: estimate.trial.error for estimate in found if "identity" not in estimate.tried.id
    }
    assert errors["adapt"] == "out of memory"
    assert "could not be tried" in errors["evaluate"]
    assert wall_s(found, 2) == 0.0


def test_memory_is_that_of_the_largest_jobs_that_may_meet(planned: dict[str, Job]) -> None:
    jobs = list(planned.items())
    sizes = (5, 3, 2)
    found = [
        Estimate(job, {key: job}, Trial(peak_memory_bytes=size))
        for (key, job), size in zip(jobs, sizes, strict=False)
    ]
    assert [peak_bytes(found, n) for n in (1, 2, 9)] == [5, 8, 10]
    twice = replace(found[0], jobs=dict(jobs[:2]))
    assert peak_bytes([twice, *found[1:]], 2) == 10


def test_the_command_shows_hours_and_memory(tmp_path: Path) -> None:
    said = call(
        "plan", TINY, "--results", tmp_path, "--estimate",
        "--set", "arms=[frozen]", "--set", "reference_arms=[]", "--set", "tasks.tissue.test_sequences=same",
        environment={"COLUMNS": "120"},
    )  # fmt: skip
    assert said.code == 0, said
    assert "simclr-recon of seqinv, cnn" in said.out
    assert "1 job at a time" in said.out or "jobs at a time" in said.out
    assert "could not be tried" not in said.out
    assert "memory: up to" in said.out
    assert not (tmp_path / "tiny").exists(), "trials are kept nowhere"
