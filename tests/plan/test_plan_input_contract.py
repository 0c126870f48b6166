"""An encoder's input contract, from the benchmark file to jobs, tables and refusals."""

from __future__ import annotations

import dataclasses
import sys
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch
import yaml
from mribench_encoders.cnn import CnnEncoder, CnnOptions
from safetensors.torch import save_file

from mribench import cli
from mribench.config import load_benchmark, resolve
from mribench.errors import ConfigError
from mribench.interfaces import InputContract
from mribench.plan import make_missing, open_cohorts
from mribench.plan.build import build_plan
from mribench.plan.feasibility import check_feasible
from mribench.plan.job import Plan
from mribench.plugins import load_registry
from mribench.results.flags import flags
from mribench.results.load import load_run
from mribench.results.specification import AdaptSpec, EvaluateSpec, PretrainSpec


@pytest.fixture
def content(tmp_path: Path, repository: Path) -> dict[str, Any]:
    """The tiny benchmark with a method that has weights from a file, and wants another input."""
    content: dict[str, Any] = yaml.safe_load((repository / "tests/benchmarks/tiny.yaml").read_text())
    torch.manual_seed(3)
    save_file(CnnEncoder(CnnOptions(features=(4, 8))).state_dict(), tmp_path / "weights.safetensors")
    del content["tasks"]["denoise"]  # scored on the working grid, which is the same for all
    content["methods"]["published"] = {
        "weights": {"file": str(tmp_path / "weights.safetensors"), "pretrained_on": []},
        "input": {
            "intensity": {"scale": "percentiles", "over": "head"},
            "spacing_mm": 10.0,
            "orientation": "LPS",
            "patch_vox": 12,
            "skull_stripped": True,
        },
    }
    return content


def run(*arguments: str) -> int:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", ["mribench", *arguments])
        with pytest.raises(SystemExit) as ended:
            cli.main()
    return int(ended.value.code or 0)


def write(content: dict[str, Any], folder: Path) -> Path:
    path = folder / "file.yaml"
    path.write_text(yaml.safe_dump(content))
    return path


def plan(content: dict[str, Any], folder: Path) -> Plan:
    resolved = resolve(load_benchmark(write(content, folder), ()), load_registry())
    make_missing(resolved, lambda *_: None)
    cohorts = open_cohorts(resolved)
    check_feasible(resolved, cohorts)
    return build_plan(resolved, cohorts)


def test_jobs_are_asked_for_what_the_encoder_wants(content: dict[str, Any], tmp_path: Path) -> None:
    specs = [job.spec for job in plan(content, tmp_path).jobs if job.method == "published"]
    adapted = [spec for spec in specs if isinstance(spec, AdaptSpec | EvaluateSpec)]
    assert adapted
    wanted = {**content["methods"]["published"]["input"], "skull_stripped": None}  # changes no image
    for spec in adapted:
        assert spec.input == InputContract.model_validate(wanted)
        assert spec.adapt["spacing_mm"] == 10.0
        assert spec.adapt["patch_vox"] == 12
        assert spec.adapt["window_vox"] is None


def test_its_references_are_shown_the_same(content: dict[str, Any], tmp_path: Path) -> None:
    jobs = plan(content, tmp_path).jobs
    scratch = {job.method for job in jobs if isinstance(job.spec, AdaptSpec) and job.spec.arm == "scratch"}
    assert scratch == {"scratch", "published"}


def test_others_and_doing_nothing_stay_as_they_are(
    content: dict[str, Any], tmp_path: Path, repository: Path
) -> None:
    tiny = yaml.safe_load((repository / "tests/benchmarks/tiny.yaml").read_text())
    content["tasks"]["denoise"] = tiny["tasks"]["denoise"]
    content["tasks"]["denoise"]["adapt"]["spacing_mm"] = 10.0
    with_contract = plan(content, tmp_path)
    del content["methods"]["published"]
    without = plan(content, tmp_path)
    keys = {job.key for job in with_contract.jobs}
    assert {job.key for job in without.jobs} < keys
    identity = [job.spec for job in with_contract.jobs if job.method == "identity"]
    assert identity
    assert all(spec.input is None for spec in identity)


def test_a_contract_is_part_of_the_key(content: dict[str, Any], tmp_path: Path) -> None:
    before = {job.key for job in plan(content, tmp_path).jobs if job.method == "published"}
    content["methods"]["published"]["input"]["orientation"] = "RPS"
    after = {job.key for job in plan(content, tmp_path).jobs if job.method == "published"}
    assert not before & after


def test_pretraining_follows(content: dict[str, Any], tmp_path: Path) -> None:
    content["methods"]["seqinv"]["input"] = {
        "intensity": {"scale": "min-max"}, "spacing_mm": 9.0, "patch_vox": 16,
    }  # fmt: skip
    specs = [job.spec for job in plan(content, tmp_path).jobs if job.method == "seqinv"]
    pretrain = next(spec for spec in specs if isinstance(spec, PretrainSpec))
    assert (pretrain.pretrain["spacing_mm"], pretrain.pretrain["patch_vox"]) == (9.0, 16)
    assert pretrain.input is not None


@pytest.mark.parametrize(
    ("method", "wanted", "says"),
    [
        ("seqinv", {"orientation": "LPS"}, r"seqinv\.input\.orientation: only of an encoder that is given"),
        ("seqinv", {"whole_vox": 16}, r"seqinv\.input\.whole_vox: only of"),
        ("published", {"whole_vox": 16}, "learns from crops, and the encoder 'cnn' wants whole scans"),
        ("published", {"patch_vox": 13}, "expected a multiple of 2, the largest stride"),
        ("published", {"multiple_vox": 5}, "expected a multiple of 5, the multiple_vox of the input"),
        (
            "seqinv",
            {"intensity": {"scale": "window", "window": [0, 9]}},
            r"intensity\.window: is in an image's",
        ),
        ("published", {"orientation": "LLS"}, "expected one of R and L"),
        ("published", {"intensity": {"scale": "window"}}, "needs a window"),
    ],
)
def test_what_cannot_be(
    content: dict[str, Any], tmp_path: Path, method: str, wanted: dict[str, Any], says: str
) -> None:
    content["methods"][method]["input"] = wanted
    with pytest.raises(ConfigError, match=says):
        plan(content, tmp_path)


def test_images_are_scored_on_one_grid(content: dict[str, Any], tmp_path: Path, repository: Path) -> None:
    tiny = yaml.safe_load((repository / "tests/benchmarks/tiny.yaml").read_text())
    content["tasks"]["denoise"] = tiny["tasks"]["denoise"]
    with pytest.raises(ConfigError, match=r"tasks\.denoise\.task: images are scored on the working grid"):
        plan(content, tmp_path)
    content["tasks"]["denoise"]["adapt"]["spacing_mm"] = 10.0
    assert plan(content, tmp_path).jobs


def test_what_changes_no_image_trains_nothing_again(content: dict[str, Any], tmp_path: Path) -> None:
    content["methods"]["published"]["input"] = {"skull_stripped": True, "multiple_vox": 4}
    made = plan(content, tmp_path)
    scratch = [job for job in made.jobs if isinstance(job.spec, AdaptSpec) and job.spec.arm == "scratch"]
    assert {job.method for job in scratch} == {"scratch"}
    assert all(job.spec.input is None for job in made.jobs)


def test_a_whole_scan_is_probed_whatever_the_windows_are(content: dict[str, Any], tmp_path: Path) -> None:
    content["methods"] = {"published": content["methods"]["published"]}
    content["methods"]["published"]["input"] = {"whole_vox": 16}
    content["invariance"] = {"ixi": {"sequences": ["T1w", "T2w"], "patch_vox": 9, "spacing_mm": 8}}
    content["reference_arms"], content["arms"] = [], ["frozen"]
    content["tasks"] = {
        "age": {
            "task": {"name": "regression", "covariate": "age"},
            "data": "ixi",
            "train_sequences": ["T1w"],
            "embed": {"patch_vox": 9, "spacing_mm": 8},
        }
    }
    file, results = write(content, tmp_path), tmp_path / "results"
    assert run("run", str(file), "--results", str(results), "--executor", "inline") == 0
    (job,) = [
        pd.read_parquet(path.parent / "job.parquet") for path in results.glob("tiny/jobs/*/probe.safetensors")
    ]
    assert job["voxels_seen"].iloc[0] == 16**3 * job["views_seen"].iloc[0]


def test_from_the_file_to_the_table(
    content: dict[str, Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    content["methods"]["seqinv"]["input"] = {"intensity": {"scale": "min-max"}}
    file = write(content, tmp_path)
    assert run("run", str(file), "--results", str(tmp_path / "results"), "--executor", "inline") == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "own input: percentiles 0.5 and 99.5 over the head to 0 and 1, clipped, voxels of 10 mm" in said
    assert "brains without skull" in said
    assert "seqinv" in said
    assert "own input: minimum and maximum to 0 and 1, clipped" in said
    loaded = load_run(tmp_path / "results" / "tiny")
    noted = flags(dataclasses.replace(loaded, jobs=loaded.jobs.iloc[:0])).footnotes
    assert "own input: minimum and maximum" in " ".join(sentence.text for sentence in noted), "without jobs"
    own = loaded.cells.assign(encoder=loaded.cells["method"].eq("seqinv").map({True: "vit", False: "cnn"}))
    named = flags(dataclasses.replace(loaded, cells=own)).footnotes[-1].text
    assert named.startswith("Encoders: ")
    assert "vit: seqinv" in named
