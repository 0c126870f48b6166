"""Tasks on several channels, and with an image as target: jobs, notes, and what is refused."""

from __future__ import annotations

import functools
from pathlib import Path

import pytest

from mribench.config import TaskSpec, load_benchmark, resolve
from mribench.errors import ConfigError, PluginError
from mribench.interfaces import Encoder
from mribench.plan import Plan, build_plan, make_missing, open_cohorts
from mribench.plan.feasibility import check_feasible
from mribench.plugins import load_registry
from mribench.registry import Registry
from mribench.results.specification import AdaptSpec, EvaluateSpec

ADAPT = "adapt: {steps: 2, batch_size: 1, lr: 0.001, patch_vox: 8}"
FLAIR = "{name: synthesis, target_sequence: FLAIR}"
PAIRS = ("tasks.tissue.train_sequences=[T1w, [T1w, PDw]]", "tasks.tissue.test_sequences=all")


@functools.cache
def registry() -> Registry:
    return load_registry()


def plan(repository: Path, *sets: str) -> Plan:
    file = repository / "tests" / "benchmarks" / "tiny.yaml"
    resolved = resolve(load_benchmark(file, ("methods={}", *sets)), registry())
    make_missing(resolved, lambda *_: None)
    cohorts = open_cohorts(resolved)
    check_feasible(resolved, cohorts)
    return build_plan(resolved, cohorts)


def spec(**changes: object) -> TaskSpec:
    usual = {"task": "t", "data": "d", "adapt": {"steps": 1, "lr": 0.1}}
    return TaskSpec.model_validate({**usual, **changes})


def names(task: TaskSpec, there: tuple[str, ...] = ()) -> dict[str, list[str]]:
    return {
        trained_on.name: [channels.name for channels in task.tested_on(trained_on, there)]
        for trained_on in task.trained_on
    }


def test_a_decoder_is_tested_on_as_many_channels() -> None:
    both = ["T1w", ["T1w", "FLAIR"]]
    assert names(spec(train_sequences=both)) == {"T1w": ["T1w"], "T1w+FLAIR": ["T1w+FLAIR"]}
    assert names(spec(train_sequences=both, test_sequences="all"), ("PDw", "T1w")) == {
        "T1w": ["T1w", "PDw"], "T1w+FLAIR": ["T1w+FLAIR"],
    }  # fmt: skip
    listed = spec(train_sequences=both, test_sequences=["PDw", ["T2w", "FLAIR"], ["T1w", "FLAIR"]])
    assert names(listed) == {"T1w": ["PDw"], "T1w+FLAIR": ["T2w+FLAIR", "T1w+FLAIR"]}
    with pytest.raises(ValueError, match=r"nothing to test on for a decoder of 2 channels, T1w\+FLAIR"):
        spec(train_sequences=both, test_sequences=["PDw"])
    with pytest.raises(ValueError, match=r"no value twice, got a\+b"):
        spec(train_sequences=["a+b", ["a", "b"]])
    with pytest.raises(ValueError, match="no value twice, got T1w"):
        spec(train_sequences=[["T1w", "T1w"]])


def test_jobs_carry_the_list_and_go_by_its_name(repository: Path) -> None:
    made = plan(repository, *PAIRS)
    adapted = {job.spec.channels: job.id for job in made.jobs if isinstance(job.spec, AdaptSpec)}
    assert adapted["T1w", "PDw"] == "scratch/tissue/T1w+PDw/100%/seed0"
    tested = {
        (job.spec.cell.train_sequence, job.spec.cell.test_sequence, job.spec.channels)
        for job in made.jobs
        if isinstance(job.spec, EvaluateSpec) and job.method == "scratch" and job.spec.cell.task == "tissue"
    }
    assert ("T1w+PDw", "T1w+PDw", ("T1w", "PDw")) in tested
    assert ("T1w", "T2w", ("T2w",)) in tested
    assert not [one for one in tested if len(one[2]) != (2 if "+" in str(one[0]) else 1)]


@pytest.mark.parametrize(
    ("sets", "sentence"),
    [
        (
            ("tasks.tissue.train_sequences=[[T1w, FLAIR]]", "tasks.tissue.test_sequences=same"),
            "none of the 2 training subjects of 'ixi' has a T1w+FLAIR scan with a 'tissue' label",
        ),
        (
            ("tasks.denoise.train_sequences=[[T1w, T2w]]",),
            "tasks.denoise.train_sequences: the task 'denoising' takes images of one channel, got T1w+T2w",
        ),
        (
            (f"tasks.s={{task: synthesis, data: ixi, train_sequences: [[T1w, T2w]], {ADAPT}}}",),
            "tasks.s.train_sequences: T1w+T2w has the image that the task 'synthesis' is to predict, T2w",
        ),
        (
            (f"tasks.s={{task: {FLAIR}, data: ixi, train_sequences: [T1w], {ADAPT}}}",),
            "none of the 2 training subjects of 'ixi' has a T1w scan with a FLAIR image beside it",
        ),
    ],
)  # fmt: skip
def test_what_cannot_be_is_refused(repository: Path, sets: tuple[str, ...], sentence: str) -> None:
    with pytest.raises(ConfigError) as caught:
        plan(repository, *sets)
    assert sentence in caught.value.message


def test_an_encoder_that_cannot_be_widened_is_refused(
    repository: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def nobody_knows(encoder: Encoder, channels: int) -> str:
        raise PluginError(f"cannot take {channels} channels")

    plan(repository, *PAIRS)
    monkeypatch.setattr(registry().get("encoder", "cnn").entry.factory, "widen_input", nobody_knows)
    with pytest.raises(ConfigError) as caught:
        plan(repository, *PAIRS)
    assert caught.value.message.endswith("tasks.tissue.train_sequences: cannot take 2 channels")


def test_a_synthesis_is_not_tested_on_its_target(repository: Path) -> None:
    task = f"{{task: synthesis, data: ixi, train_sequences: [T1w], test_sequences: all, {ADAPT}}}"
    made = plan(repository, f"tasks.s={task}")
    tests = {
        job.spec.channels
        for job in made.jobs
        if isinstance(job.spec, EvaluateSpec) and job.spec.cell.task == "s"
    }
    assert tests == {("T1w",), ("PDw",)}
