"""A decoder that was pretrained with its encoder, from the plan to the job row."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch
import yaml
from mribench_encoders.cnn import CnnEncoder, CnnOptions
from mribench_encoders.unet import UNetDecoder, UNetOptions
from safetensors.torch import load_file

from mribench import cli
from mribench.config import load_benchmark, resolve
from mribench.errors import ConfigError, DataError
from mribench.plan import make_missing, open_cohorts
from mribench.plan.build import build_plan
from mribench.plan.feasibility import check_feasible
from mribench.plan.job import Plan
from mribench.plugins import load_registry
from mribench.results.specification import read_specification
from mribench.training.hand_over import account_decoder, hand_over_decoder


def decoder(out_channels: int, seed: int = 0, **options: Any) -> UNetDecoder:
    torch.manual_seed(seed)
    return UNetDecoder(UNetOptions(**options), CnnEncoder(CnnOptions(features=(4, 8))), out_channels)


def test_all_but_an_output_of_another_shape_is_taken() -> None:
    given, own = decoder(1, seed=1).state_dict(), decoder(4, seed=2)
    before = {name: value.clone() for name, value in own.state_dict().items()}
    account = hand_over_decoder(own, given)
    assert account.other_shape == ("output.weight", "output.bias")
    for name, value in own.state_dict().items():
        expected = before[name] if name.startswith("output.") else given[name]
        torch.testing.assert_close(value, expected, rtol=0, atol=0)
    assert "2 of another shape left at their start (output.weight, output.bias)" in account.sentence()


def test_an_output_of_the_same_shape_is_taken_too() -> None:
    own = decoder(1, seed=2)
    assert not hand_over_decoder(own, decoder(1, seed=1).state_dict()).other_shape


def test_another_decoder_is_refused() -> None:
    with pytest.raises(DataError, match="of another shape"):
        account_decoder(decoder(1), decoder(1, features=(6,)).state_dict())
    given = decoder(1).state_dict()
    given["else"] = given.pop("output.bias")
    with pytest.raises(DataError, match=r"1 tensor lacking: output\.bias; 1 tensor without a place: else"):
        account_decoder(decoder(1), given)


@pytest.fixture
def content(repository: Path) -> dict[str, Any]:
    content: dict[str, Any] = yaml.safe_load((repository / "tests/benchmarks/tiny.yaml").read_text())
    content["methods"]["restore"] = {"views": "mprage", "objective": "image-to-image"}
    content["arms"] = ["frozen", "frozen+decoder", "finetune+decoder"]
    content["reference_arms"] = ["identity"]
    return content


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


def test_only_what_hands_over_has_such_rows(content: dict[str, Any], tmp_path: Path) -> None:
    made = plan(content, tmp_path)
    arms = {(job.method, job.spec.arm) for job in made.jobs if job.kind == "adapt"}  # type: ignore[union-attr]
    restored = {("restore", arm) for arm in ("frozen", "frozen+decoder", "finetune+decoder")}
    assert arms == {("seqinv", "frozen"), *restored}
    said = "'seqinv' hands over no decoder, so it has no frozen+decoder, finetune+decoder cells"
    assert any(said in note for note in made.notes)


def test_decoders_that_do_not_fit_are_refused_by_the_plan(content: dict[str, Any], tmp_path: Path) -> None:
    content["methods"]["restore"]["objective"] = {
        "name": "image-to-image", "decoder": {"name": "unet", "features": [6]},
    }  # fmt: skip
    with pytest.raises(
        ConfigError, match=r"tasks\.\w+\.task: the pretrained decoder does not fit the task's"
    ):
        plan(content, tmp_path)


def test_from_pretraining_to_rows(
    content: dict[str, Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    del content["methods"]["seqinv"]
    file, results = write(content, tmp_path), tmp_path / "results"
    command = ["mribench", "run", str(file), "--results", str(results), "--executor", "inline"]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", command)
        with pytest.raises(SystemExit) as ended:
            cli.main()
    assert not ended.value.code
    said = " ".join(capsys.readouterr().out.split())
    assert "restore (frozen+decoder)" in said
    assert "restore (finetune+decoder)" in said
    (pretrained,) = results.glob("tiny/jobs/*/decoder.safetensors")
    for folder in (path.parent for path in results.glob("tiny/jobs/*/head.safetensors")):
        specification = read_specification(folder)
        account = pd.read_parquet(folder / "job.parquet")["weights_account"].iloc[0]
        started = "+decoder" in specification.id
        assert started == str(account).startswith("decoder: ")
        if "denoise" in specification.id:
            # two steps from it: near it where it started from it, elsewhere where it did not
            head, start = load_file(folder / "head.safetensors"), load_file(pretrained)
            distance = max(float((head[name] - start[name]).abs().max()) for name in head)
            assert (distance < 0.02) == started
