"""Methods without pretraining: encoders with weights from a file, from the plan to the table."""

from __future__ import annotations

import dataclasses
import hashlib
import io
import json
import shutil
import sys
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch
import yaml
from mribench_encoders.cnn import CnnEncoder, CnnOptions
from safetensors.torch import load_file, save_file

from mribench import cli
from mribench.config import load_benchmark, resolve
from mribench.errors import ConfigError, LeakageError
from mribench.execute import worker
from mribench.plan import make_missing, open_cohorts
from mribench.plan.build import build_plan
from mribench.plan.feasibility import check_feasible
from mribench.plan.job import Plan
from mribench.plan.leakage import check_leakage
from mribench.plan.whole import plan_all
from mribench.plugins import load_registry
from mribench.results.flags import flags
from mribench.results.load import load_run

FEATURES = (4, 8)


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)


def write_weights(path: Path, seed: int) -> Path:
    torch.manual_seed(seed)
    state = CnnEncoder(CnnOptions(features=FEATURES)).state_dict()
    save_file({f"encoder.{name}": value for name, value in state.items()}, path)
    return path


@pytest.fixture
def file(tmp_path: Path, repository: Path) -> Path:
    """The tiny benchmark with a method that has weights from a file beside the one that pretrains."""
    content = yaml.safe_load((repository / "tests/benchmarks/tiny.yaml").read_text())
    weights = {"file": str(write_weights(tmp_path / "published.safetensors", 5)), "pretrained_on": "unknown"}
    weights["rename"] = {r"^encoder\.": ""}  # type: ignore[assignment]
    content["methods"]["published"] = {"weights": weights}
    path = tmp_path / "tiny.yaml"
    path.write_text(yaml.safe_dump(content))
    return path


def plan(file: Path, *sets: str) -> Plan:
    resolved = resolve(load_benchmark(file, sets), load_registry())
    make_missing(resolved, lambda *_: None)
    cohorts = open_cohorts(resolved)
    check_feasible(resolved, cohorts)
    check_leakage(resolved, cohorts)
    return build_plan(resolved, cohorts)


def keys(plan: Plan, method: str) -> set[str | None]:
    return {job.key for job in plan.jobs if job.method == method}


def test_no_pretrain_job_and_all_else(file: Path) -> None:
    jobs = plan(file).jobs
    own = [job for job in jobs if job.method == "published"]
    others = [job for job in jobs if job.method == "seqinv" and job.kind != "pretrain"]
    assert [job.kind for job in own] == [job.kind for job in others]
    assert all(not job.spec.builds_on().get("pretrain_key") for job in own)
    assert len({job.key for job in jobs}) == len(jobs)


def test_keys_follow_the_content_and_not_the_place(file: Path, tmp_path: Path) -> None:
    before = plan(file)
    moved = shutil.move(tmp_path / "published.safetensors", tmp_path / "elsewhere.safetensors")
    place = f"methods.published.weights.file={moved}"
    assert keys(plan(file, place), "published") == keys(before, "published")
    write_weights(Path(moved), 6)
    after = plan(file, place)
    assert not keys(after, "published") & keys(before, "published")
    assert keys(after, "seqinv") == keys(before, "seqinv")


def by_manifest(file: Path, tmp_path: Path, **more: Any) -> Path:
    """Put all that the benchmark file says of the weights into a manifest, and more; return the weights."""
    content = yaml.safe_load(file.read_text())
    weights = tmp_path / "published.safetensors"
    known = {
        "sha256": hashlib.sha256(weights.read_bytes()).hexdigest(),
        "rename": {r"^encoder\.": ""},
        "pretrained_on": "unknown",
        "licence": "CC0",
        "encoder": {"name": "cnn", "features": list(FEATURES)},
    }
    (tmp_path / "published.safetensors.yaml").write_text(yaml.safe_dump({**known, **more}))
    content["methods"]["published"] = {"weights": str(weights)}
    file.write_text(yaml.safe_dump(content))
    return weights


def test_a_path_is_enough_beside_a_manifest_and_is_noted(file: Path, tmp_path: Path) -> None:
    by_manifest(file, tmp_path, encoder={"name": "cnn", "features": [4, 8], "dropout": 0.0})
    registry = load_registry()
    resolved = resolve(load_benchmark(file), registry)
    assert resolved.methods["published"].encoder.component()["dropout"] == 0.0
    make_missing(resolved, lambda *_: None)
    notes = plan_all(resolved, registry, open_cohorts(resolved)).notes
    (note,) = [note for note in notes if note.startswith("methods.published.weights: ")]
    assert ", licence CC0, no published embedding to compare with" in note


def test_a_manifest_that_changes_makes_results_stale(file: Path, tmp_path: Path) -> None:
    by_manifest(file, tmp_path)
    before = plan(file)
    by_manifest(file, tmp_path, upstream="https://example.org")
    after = plan(file)
    loading = [
        {job.key for job in found.jobs if getattr(job.spec, "weights", None)} for found in (before, after)
    ]
    assert loading[0]
    assert not loading[0] & loading[1]
    assert keys(after, "seqinv") == keys(before, "seqinv")


def test_a_file_that_is_replaced_beside_its_manifest_is_refused(file: Path, tmp_path: Path) -> None:
    weights = by_manifest(file, tmp_path)
    write_weights(weights, 6)
    with pytest.raises(ConfigError, match=r"published\.weights: the manifest .* is of a file whose sha256"):
        plan(file)


def test_each_architecture_has_its_references(file: Path) -> None:
    """The default's by their own name, another one's by its first method's."""
    own = "methods.{}.encoder={{name: cnn, features: [4, 8, 8]}}"
    sets = [
        own.format("seqinv"),
        "methods.again={views: seqinv, objective: simclr-recon}",
        own.format("again"),
    ]
    sets += [
        "reference_arms=[scratch, random-frozen]",
        "invariance.ixi.sequences=[T1w, T2w]",
        "invariance.ixi.patch_vox=8",
    ]
    arms = {(job.method, job.spec.arm) for job in plan(file, *sets).jobs if job.kind == "adapt"}  # type: ignore[union-attr]
    references = {("scratch", "scratch"), ("random-frozen", "random-frozen")}
    others = {("seqinv", "scratch"), ("seqinv", "random-frozen")}
    assert {pair for pair in arms if pair[1] not in ("frozen", "finetune")} == references | others
    embedded = [job for job in plan(file, *sets).jobs if job.kind == "embed"]
    ids = {job.id for job in embedded}
    assert {"random-frozen/invariance/ixi/seed0", "seqinv/random-frozen/invariance/ixi/seed0"} < ids
    builds = {job.id: job.spec.builds_on()["pretrain_key"] for job in embedded}
    assert builds["seqinv/random-frozen/invariance/ixi/seed0"] == ()
    assert builds["seqinv/invariance/ixi/seed0"]


def test_only_weights_and_no_pretraining_at_all(file: Path) -> None:
    content = yaml.safe_load(file.read_text())
    del content["methods"]["seqinv"], content["defaults"]["pretrain"], content["data"]["qmri"]
    del content["splits"]["qmri"]
    file.write_text(yaml.safe_dump(content))
    assert {job.kind for job in plan(file).jobs} == {"adapt", "evaluate"}


@pytest.mark.parametrize(
    "key", ["views: seqinv", "objective: simclr-recon", "pretrain: {steps: 3}", "augment: {}"]
)
def test_weights_stand_in_place_of_pretraining(file: Path, key: str) -> None:
    name, value = key.split(": ", 1)
    with pytest.raises(ConfigError, match=f"published.{name}: not with `weights`: nothing is pretrained"):
        plan(file, f"methods.published.{name}={value}")


def test_weights_that_do_not_fit_are_found_by_the_plan(file: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        plan(file, "methods.published.weights.rename={}")
    assert ": methods.published.weights: weights " in caught.value.message
    assert " the file lacks: blocks.0.convs.conv_0.conv.weight, " in caught.value.message


def test_whose_images_they_were_learnt_from_has_to_be_said(file: Path) -> None:
    content = yaml.safe_load(file.read_text())
    del content["methods"]["published"]["weights"]["pretrained_on"]
    file.write_text(yaml.safe_dump(content))
    with pytest.raises(ConfigError, match=r"weights\.pretrained_on: required"):
        plan(file)


def test_a_cohort_that_is_not_there(file: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        plan(file, "methods.published.weights.pretrained_on=[ixy]")
    assert "pretrained_on: no cohort 'ixy' under 'data'" in caught.value.message
    assert "ixi" in caught.value.hint


def test_weights_learnt_from_the_tested_are_refused_by_name(file: Path) -> None:
    plan(file, "methods.published.weights.pretrained_on=[]")
    plan(file, "methods.published.weights.pretrained_on=[qmri]")
    with pytest.raises(LeakageError) as caught:
        plan(file, "methods.published.weights.pretrained_on=[ixi]")
    assert "of the pretraining of the weights of published (ixi) is" in caught.value.message
    jobs = plan(file).jobs
    tested = next(job.spec.subjects for job in jobs if job.kind == "evaluate")  # type: ignore[union-attr]
    with pytest.raises(LeakageError) as caught:
        plan(file, f"methods.published.weights.pretrained_on=['{tested[0].upper()}']")
    assert "1 subject of the pretraining of the weights of published is also in the test set of ixi" in (
        caught.value.message
    )
    assert tested[0] in caught.value.message
    plan(file, "methods.published.weights.pretrained_on=['ixi:somebody-else']")


@pytest.mark.parametrize("person", [":", "ixi:", " :IXI001"])
def test_people_have_a_namespace_and_a_name(file: Path, person: str) -> None:
    with pytest.raises(ConfigError, match="pretrained_on: expected a person as namespace:name, got"):
        plan(file, f"methods.published.weights.pretrained_on=['{person}']")


def run(*arguments: Any) -> int:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", ["mribench", *map(str, arguments)])
        with pytest.raises(SystemExit) as end:
            cli.main()
    return int(end.value.code or 0)


def jobs_of(results: Path, kind: str) -> pd.DataFrame:
    folders = [path.parent for path in results.glob("tiny/jobs/*/status.json")]
    rows = pd.concat([pd.read_parquet(folder / "job.parquet") for folder in folders])
    return rows[rows["kind"].eq(kind) & rows["id"].str.startswith("published/")]


def test_from_a_file_to_a_marked_row(file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    results = tmp_path / "results"
    part = ("--only", "published/*", "--results", results, "--executor", "inline")
    assert run("run", file, *part) == 0
    weights = load_file(tmp_path / "published.safetensors")
    adapted = jobs_of(results, "adapt")
    assert set(adapted["weights_account"]) == {
        f"{len(weights)} tensors taken, {len(weights)} renamed by '^encoder\\. → '"
    }
    before = adapted[adapted["id"].str.contains("frozen")]["encoder_digest_before"]
    assert before.nunique() == 1
    assert (adapted["encoder_digest_before"] == before.iloc[0]).all(), "both arms start from the file"
    capsys.readouterr()
    assert run("report", results / "tiny", "--format", "markdown") == 0
    text = capsys.readouterr().out
    assert "◇ Weights from a file: published" in text
    assert "published.safetensors, sha256 " in text
    assert "pretrained on unknown" in text
    row = next(line for line in text.splitlines() if line.startswith("| published "))
    assert "‡" not in row
    unread = dataclasses.replace(loaded := load_run(results / "tiny"), jobs=loaded.jobs.iloc[:0])
    noted = " ".join(sentence.text for sentence in flags(unread).footnotes)
    assert "◇ Weights from a file: published" in noted, "a row whose jobs failed has its mark too"
    assert "no job has read them yet" in noted
    assert run("report", results / "tiny", "--format", "csv", "--table", "budget") == 0
    costs = pd.read_csv(io.StringIO(capsys.readouterr().out))
    mine = costs[costs["row"].str.startswith("published")]
    assert len(mine) > 0
    assert not mine["metric"].str.startswith("pretraining").any(), "nothing was pretrained for it"
    assert run("report", results / "tiny", "--format", "html", "--output", tmp_path / "page.html") == 0

    assert run("run", file, *part) == 0, "nothing is done again"
    again = jobs_of(results, "adapt")
    assert set(again["job_key"]) == set(adapted["job_key"])
    write_weights(tmp_path / "published.safetensors", 6)
    assert run("run", file, *part) == 0
    assert len(jobs_of(results, "adapt")) == 2 * len(adapted), (
        "other content in the same place is another encoder"
    )


def test_a_file_that_is_replaced_behind_a_plan_fails_its_jobs(
    file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    results = tmp_path / "results"
    part = ("--only", "published/frozen/denoise/*", "--results", results, "--executor", "inline")
    assert run("run", file, *part) == 0
    for status in results.glob("tiny/jobs/*/status.json"):
        status.unlink()
    write_weights(tmp_path / "published.safetensors", 6)
    (folder,) = [path.parent for path in results.glob("tiny/jobs/*/head.safetensors")]
    assert json.loads((folder / "job.json").read_text())["payload"]["weights"]["pretrained_on"] == "unknown"
    status = worker.run_job(folder, threads=1)
    assert status is not None
    assert status.state == "failed"
    assert "expected a file whose sha256 is" in status.reason
