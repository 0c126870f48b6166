"""Real jobs, run again: the same; or what differs, and why."""

from __future__ import annotations

import hashlib
import math
import shutil
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest
from support_verify import ADAPT, EVALUATE, IDENTITY, PRETRAIN, Done

from mribench.plugins import load_registry
from mribench.registry import Registry
from mribench.verify import KINDS, Rerun, Verdict, open_results, sample

Find = Callable[[str], Done]


@pytest.fixture(scope="module")
def registry() -> Registry:
    return load_registry()


@pytest.fixture
def verify(tmp_path_factory: pytest.TempPathFactory, registry: Registry) -> Callable[..., dict[str, Verdict]]:
    def _verify(
        results: Path, *names: str, kinds: tuple[str, ...] = KINDS, tolerance: float = 0.0
    ) -> dict[str, Verdict]:
        opened = open_results(results)
        rerun = Rerun(opened, registry, tmp_path_factory.mktemp("again"), tolerance)
        return {job.id: rerun.verify(job) for job in sample(opened, None, 0, kinds, names)}

    return _verify


def digests(folder: Path) -> dict[str, str]:
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def outcomes(verdicts: dict[str, Verdict]) -> dict[str, str]:
    return {name: verdict.outcome for name, verdict in verdicts.items()}


def test_a_chain_comes_out_the_same_and_nothing_is_touched(finished: Path, verify) -> None:
    before = digests(finished)
    verdicts = verify(finished, EVALUATE, IDENTITY)
    assert outcomes(verdicts) == dict.fromkeys([PRETRAIN, ADAPT, EVALUATE, IDENTITY], "same")
    assert all(verdict.largest == 0 and not verdict.details for verdict in verdicts.values())
    assert digests(finished) == before


def test_one_kind_builds_on_the_stored_weights(finished: Path, verify) -> None:
    assert outcomes(verify(finished, EVALUATE, kinds=("evaluate",))) == {EVALUATE: "same"}


def test_an_edited_score_is_found_and_placed(results: Path, done: Find, verify) -> None:
    done(EVALUATE).set("records.parquet", "value", 99.0)
    verdict = verify(results, EVALUATE, kinds=("evaluate",))[EVALUATE]
    assert verdict.outcome == "differs"
    assert 90 < verdict.largest <= 99
    (text,) = verdict.details
    assert text.startswith("records.parquet: 1 of ")
    assert "value of " in text
    assert "HH" not in text.split("(")[0]
    assert verdict.notes == (), "the machine is the same"
    wide = verify(results, EVALUATE, kinds=("evaluate",), tolerance=1000.0)[EVALUATE]
    assert (wide.outcome, wide.largest) == ("same", verdict.largest)


def test_a_flipped_weight_is_found_in_its_file_alone(results: Path, done: Find, verify) -> None:
    name = done(PRETRAIN).add_to_weight("encoder.safetensors", 0.5)
    verdicts = verify(results, EVALUATE)
    # what builds on it was computed from the weights as they were, and so it is now
    assert outcomes(verdicts) == {PRETRAIN: "differs", ADAPT: "same", EVALUATE: "same"}
    assert verdicts[PRETRAIN].details == (
        f"encoder.safetensors: 1 of {_count(done(PRETRAIN))} tensors differ, most by 0.5 ({name})",
    )
    assert verdicts[PRETRAIN].largest == pytest.approx(0.5)


def _count(job: Done) -> int:
    from safetensors.torch import load_file

    return len(load_file(job.folder / "encoder.safetensors"))


def test_what_builds_on_a_difference_says_so(results: Path, done: Find, verify, monkeypatch) -> None:
    """Another start of the pretraining, as another version of a library would have it."""
    from mribench.jobs import pretrain

    monkeypatch.setattr(pretrain, "derive_seed", lambda *parts: 12345)
    monkeypatch.setattr(pretrain, "torch_generator", _other_generator(pretrain.torch_generator))
    done(ADAPT).edit("environment.json", lambda made: made["versions"].update(torch="1.0"))
    done(ADAPT).edit("environment.json", lambda made: made.update(device="NVIDIA H200"))
    verdicts = verify(results, ADAPT)
    assert outcomes(verdicts) == {PRETRAIN: "differs", ADAPT: "differs"}
    assert any("encoder_digest_after" in text for text in verdicts[PRETRAIN].details)
    notes = "; ".join(verdicts[ADAPT].notes)
    assert f"it builds on {PRETRAIN}, which differs" in notes
    assert "torch was 1.0, is " in notes
    assert "device was NVIDIA H200, is cpu" in notes
    assert "a GPU and a CPU never agree bit for bit; --tolerance" in notes


def _other_generator(usual: Callable) -> Callable:
    return lambda *parts, **options: usual("other", *parts, **options)


def test_data_that_are_gone(finished: Path, verify, monkeypatch, tmp_path: Path) -> None:
    monkeypatch.setenv("MRIBENCH_CACHE", str(tmp_path / "empty"))
    verdict = verify(finished, EVALUATE, kinds=("evaluate",))[EVALUATE]
    assert verdict.outcome == "not rerun"
    assert math.isnan(verdict.largest)
    assert verdict.details[0].startswith("data phantom: ")
    assert "not made yet" in verdict.details[0]


def test_files_that_are_others_now(results: Path, done: Find, verify) -> None:
    changed: list[str] = []

    def edit(said: dict) -> None:
        prints = said["content"]["cohorts"][0]["fingerprints"]
        changed.append(min(prints))
        prints[changed[0]] = "0" * 64
        prints["gone:1"] = "1" * 64

    done(EVALUATE).edit("job.json", edit)
    verdict = verify(results, EVALUATE, kinds=("evaluate",))[EVALUATE]
    assert verdict.outcome == "not rerun"
    assert verdict.details == (
        "subjects are not there any more: gone:1",
        f"files are not those that it was computed from: {changed[0]}",
    )


def test_a_plugin_that_is_gone(finished: Path, tmp_path: Path) -> None:
    without = Registry()
    for registered in load_registry():
        if registered.entry.kind != "views":
            without.add(registered)
    opened = open_results(finished)
    rerun = Rerun(opened, without, tmp_path / "again")
    verdicts = {job.id: rerun.verify(job) for job in sample(opened, None, 0, patterns=[ADAPT])}
    assert outcomes(verdicts) == {PRETRAIN: "not rerun", ADAPT: "same"}, "ADAPT takes the stored weights"
    assert verdicts[PRETRAIN].details == ("views 'seqinv' of the distribution mribench is not installed",)


def test_a_plugin_that_changed_is_named_where_the_result_differs(results: Path, done: Find, verify) -> None:
    def edit(said: dict) -> None:
        said["content"]["entries"][0]["source"] = "0" * 64
        said["content"]["results"] = 0

    done(EVALUATE).edit("job.json", edit)
    done(EVALUATE).set("records.parquet", "value", 99.0)
    verdict = verify(results, EVALUATE, kinds=("evaluate",))[EVALUATE]
    assert verdict.outcome == "differs"
    assert verdict.notes[0].startswith("the harness's version of results was 0, is ")
    assert verdict.notes[1].startswith("the source of task 'tissue-segmentation' (mribench) has changed")


def test_weights_that_are_gone(results: Path, done: Find, verify) -> None:
    (done(ADAPT).folder / "head.safetensors").unlink()
    alone = verify(results, EVALUATE, kinds=("evaluate",))[EVALUATE]
    assert alone.outcome == "not rerun"
    assert alone.details == (f"the weights of {ADAPT}, which it builds on, are not there",)


def test_weights_that_are_gone_are_made_again(results: Path, done: Find, verify) -> None:
    (done(ADAPT).folder / "head.safetensors").unlink()
    verdicts = verify(results, EVALUATE, kinds=("adapt", "evaluate"))
    assert outcomes(verdicts) == {ADAPT: "differs", EVALUATE: "same"}
    assert verdicts[ADAPT].details == ("head.safetensors is not among the results",)


def test_a_job_that_fails_now_says_why(results: Path, done: Find, verify) -> None:
    done(ADAPT).edit("job.json", lambda said: said["payload"]["adapt"].update(lr=1e30))
    verdict = verify(results, ADAPT, kinds=("adapt",))[ADAPT]
    assert verdict.outcome == "not rerun"
    assert "not finite" in verdict.details[0]


def test_threads_and_parts_are_those_of_the_result(results: Path, done: Find, verify, monkeypatch) -> None:
    from mribench.verify import rerun

    asked = []

    def run_job(directory: Path, registry: Registry, threads: int, window_parts: int) -> SimpleNamespace:
        asked.append((threads, window_parts))
        return SimpleNamespace(state="failed", reason="not run")

    monkeypatch.setattr(rerun, "run_job", run_job)
    done(IDENTITY).edit("environment.json", lambda made: made.update(threads=7, window_parts=2))
    assert verify(results, IDENTITY)[IDENTITY].details == ("not run",)
    assert asked == [(7, 2)]


def test_a_stopped_job_stops_all(finished: Path, verify, monkeypatch) -> None:
    from mribench.verify import rerun

    monkeypatch.setattr(
        rerun, "run_job", lambda *_, **__: SimpleNamespace(state="interrupted", reason="stopped")
    )
    with pytest.raises(KeyboardInterrupt):
        verify(finished, IDENTITY)


def test_a_damaged_job_is_an_outcome_not_a_crash(results: Path, done: Find, verify) -> None:
    shutil.rmtree(done(IDENTITY).folder / "environment.json", ignore_errors=True)
    (done(IDENTITY).folder / "environment.json").write_text("[]")
    verdict = verify(results, IDENTITY)[IDENTITY]
    assert verdict.outcome == "not rerun"
    assert "environment.json is damaged" in verdict.details[0]


@pytest.mark.parametrize("key", ["data", "encoder", "adapt"])
def test_a_payload_that_lacks_a_key_is_not_run(results: Path, done: Find, verify, key: str) -> None:
    done(EVALUATE).edit("job.json", lambda said: said["payload"].pop(key))
    verdict = verify(results, EVALUATE, kinds=("evaluate",))[EVALUATE]
    assert verdict.outcome == "not rerun"
    (text,) = verdict.details
    assert f"{done(EVALUATE).folder / 'job.json'} is not the specification of a job: payload.{key}" in text


@pytest.mark.parametrize("change", [{"threads": "many"}, {"threads": 0}, {"versions": "all"}])
def test_a_damaged_environment_is_named(results: Path, done: Find, verify, change: dict) -> None:
    done(EVALUATE).edit("environment.json", lambda made: made.update(change))
    verdict = verify(results, EVALUATE, kinds=("evaluate",))[EVALUATE]
    assert verdict.outcome == "not rerun"
    assert "environment.json is damaged" in verdict.details[0]
