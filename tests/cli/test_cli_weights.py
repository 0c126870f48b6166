"""``mribench weights describe`` drafts a manifest that reads back, and says what fits."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
import torch
import yaml
from click.testing import CliRunner
from mribench_encoders.cnn import CnnEncoder, CnnOptions

from mribench.cli import cli
from mribench.errors import ConfigError, DataError
from mribench.interfaces.weights import WeightsManifest


@pytest.fixture
def file(tmp_path: Path) -> Path:
    torch.manual_seed(0)
    state = CnnEncoder(CnnOptions(features=(2, 3))).state_dict()
    state["blocks.0.convs.conv_0.conv.weight"] = torch.zeros(5, 1, 3, 3, 3)
    del state["blocks.1.convs.conv_1.conv.bias"]
    path = tmp_path / "weights.pt"
    state["head"] = torch.zeros(2)
    torch.save({"state_dict": {f"module.{name}": value for name, value in state.items()}}, path)
    return path


def said(*arguments: str) -> str:
    result = CliRunner().invoke(cli, ["weights", "describe", *arguments])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    assert result.exit_code == 0, result.output
    return result.output


def test_the_draft_is_a_manifest(file: Path) -> None:
    text = said(str(file), "--at", "state_dict", "--encoder", "cnn", "--set", "features=[2, 3]")
    manifest = WeightsManifest.model_validate(yaml.safe_load(text))
    assert manifest.sha256 == hashlib.sha256(file.read_bytes()).hexdigest()
    assert manifest.at == "state_dict"
    assert manifest.unexpected == ["head"]
    assert manifest.encoder is not None
    assert manifest.encoder.options == {"features": [2, 3]}


def test_the_draft_says_where_the_tensors_were_found(file: Path) -> None:
    text = said(str(file))
    manifest = WeightsManifest.model_validate(yaml.safe_load(text))
    assert manifest.at == "state_dict"
    assert "unexpected" not in manifest.model_fields_set
    comments = [line.removeprefix("# ") for line in text.splitlines() if line.startswith("# ")]
    known = yaml.safe_load("\n".join(line for line in comments if line.startswith(("unexpected", "input"))))
    assert WeightsManifest.model_validate({"sha256": manifest.sha256, **known}).input is not None


def test_heads_are_drafted_as_one_pattern(tmp_path: Path) -> None:
    state = CnnEncoder(CnnOptions(features=(2, 3))).state_dict()
    heads = {"head.0.weight": torch.zeros(2), "head.0.bias": torch.zeros(2), "blocks.9.bias": torch.zeros(1)}
    torch.save(state | heads, tmp_path / "top.pt")
    text = said(str(tmp_path / "top.pt"), "--encoder", "cnn", "--set", "features=[2, 3]")
    manifest = WeightsManifest.model_validate(yaml.safe_load(text))
    assert manifest.at is None
    assert manifest.unexpected == ["head.*", "blocks.9.bias"]


def test_what_fits_is_said(file: Path) -> None:
    lines = said(str(file), "--encoder", "cnn", "--set", "features=[2, 3]").splitlines()
    total = len(CnnEncoder(CnnOptions(features=(2, 3))).state_dict())
    assert f"# {total - 2} of the encoder's {total} tensors are there by name and shape" in lines
    assert "# 1 missing: blocks.1.convs.conv_1.conv.bias (3,)" in lines
    assert "# 1 unexpected: head (2,)" in lines
    other = "blocks.0.convs.conv_0.conv.weight (5, 1, 3, 3, 3), in the encoder (2, 1, 3, 3, 3)"
    assert f"# 1 of another shape: {other}" in lines
    assert "#   blocks.0: 8, the first convs.conv_0.conv.weight (5, 1, 3, 3, 3)" in lines
    assert "#   head: 1, (2,)" in lines
    assert f"# {total} renamed by 'module.*'" in lines


def test_what_cannot_be_described(file: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="an option of which encoder"):
        said(str(file), "--set", "width=3")
    with pytest.raises(ConfigError, match="expected KEY=VALUE"):
        said(str(file), "--encoder", "cnn", "--set", "width")
    with pytest.raises(ConfigError, match="cmn"):
        said(str(file), "--encoder", "cmn")
    with pytest.raises(ConfigError, match=r"none\.pt, which does not exist"):
        said(str(tmp_path / "none.pt"))
    (tmp_path / "text.pt").write_text("hello")
    with pytest.raises(DataError, match="it is no file of weights"):
        said(str(tmp_path / "text.pt"))
