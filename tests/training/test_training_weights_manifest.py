"""The manifest beside a file of weights: what it says counts, what contradicts it is refused."""

from __future__ import annotations

import hashlib
import math
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from mribench_encoders.cnn import CnnEncoder, CnnOptions
from pydantic import ValidationError
from safetensors.torch import save_file
from torch import nn

from mribench.errors import DataError
from mribench.interfaces import GivenWeights
from mribench.training.given_weights import check_weights, load_given_weights
from mribench.validation import describe

OPTIONS = CnnOptions(features=(2, 3), embedding="mean")


def make_encoder(seed: int) -> CnnEncoder:
    torch.manual_seed(seed)
    return CnnEncoder(OPTIONS)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "published.safetensors"
    save_file({f"net.{name}": value for name, value in make_encoder(1).state_dict().items()}, path)
    return path


def embed(seed: int) -> list[float]:
    image = torch.randn((1, 1, 8, 8, 8), generator=torch.Generator().manual_seed(5))
    with torch.no_grad():
        found: list[float] = make_encoder(seed).eval().embed(image)[0].tolist()
    return found


def manifest(file: Path, **more: Any) -> Path:
    known = {
        "sha256": hashlib.sha256(file.read_bytes()).hexdigest(),
        "rename": {r"^net\.": ""},
        "pretrained_on": ["ixi:IXI001"],
        "licence": "CC-BY-4.0",
        "upstream": "https://example.org/weights",
        "encoder": {"name": "cnn", "features": [2, 3], "embedding": "mean"},
        "parity": {"seed": 5, "shape": [1, 1, 8, 8, 8], "embedding": embed(1), "tolerance": 1e-5},
    }
    path = file.with_name(f"{file.name}.yaml")
    path.write_text(yaml.safe_dump({**known, **more}), encoding="utf-8")
    return path


def refuse(value: object) -> str:
    with pytest.raises(ValidationError) as caught:
        GivenWeights.model_validate(value)
    return describe(caught.value, GivenWeights).message


def test_a_path_is_enough_beside_a_manifest(file: Path) -> None:
    manifest(file)
    weights = GivenWeights.model_validate(str(file))
    assert weights.pretrained_on == ["ixi:IXI001"]
    assert weights.encoder is not None
    assert weights.encoder.options == {"features": [2, 3], "embedding": "mean"}
    encoder = make_encoder(2)
    account = load_given_weights(encoder, weights)
    assert encoder.training, "as it was"
    assert account.parity is not None
    assert account.parity < 1e-5
    assert embed(1) == pytest.approx(encoder.eval().embed(_image())[0].tolist())
    said = account.sentence()
    assert "embedding as published (largest difference " in said
    assert said.endswith("licence CC-BY-4.0, from https://example.org/weights")


def _image() -> torch.Tensor:
    return torch.randn((1, 1, 8, 8, 8), generator=torch.Generator().manual_seed(5))


def test_without_a_manifest_a_path_says_too_little(file: Path) -> None:
    said = refuse(str(file))
    assert said.startswith("pretrained_on: required, and not given; no manifest ")
    assert f"{file.name}.yaml lies beside the file" in said


def test_what_the_benchmark_file_says_wins(file: Path) -> None:
    manifest(file)
    weights = GivenWeights.model_validate({"file": file, "pretrained_on": "unknown", "licence": "other"})
    assert (weights.pretrained_on, weights.licence) == ("unknown", "other")
    assert weights.rename == {r"^net\.": ""}


def test_what_jobs_have_holds_without_the_manifest(file: Path) -> None:
    path = manifest(file)
    weights = GivenWeights.model_validate(str(file))
    path.unlink()
    assert GivenWeights.model_validate(weights.model_dump(mode="json")) == weights


def test_a_manifest_is_part_of_what_jobs_are_asked(file: Path) -> None:
    manifest(file)
    before = GivenWeights.model_validate(str(file)).model_dump(mode="json")
    manifest(file, embedding="mean of the coarsest map")
    assert GivenWeights.model_validate(str(file)).model_dump(mode="json") != before


def test_a_changed_byte_is_refused_by_name(file: Path) -> None:
    path = manifest(file)
    content = bytearray(file.read_bytes())
    content[-1] ^= 1
    file.write_bytes(content)
    message = refuse(str(file))
    assert message.startswith(f"the manifest {path} is of a file whose sha256 is ")
    assert f"and that of {file.name} is {hashlib.sha256(content).hexdigest()[:12]}…" in message


def test_another_sha256_in_the_benchmark_file_is_refused(file: Path) -> None:
    manifest(file)
    assert "expected a file whose sha256 is 000000000000…" in refuse(
        {"file": {"path": str(file), "sha256": "0" * 64}}
    )


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"sha256": "abc"}, "sha256: string should match"),
        ({"licence": 3}, "licence: "),
        ({"licens": "MIT"}, "licens: unknown key"),
        ({"rename": {"(": ""}}, "is no regular expression"),
        (
            {"parity": {"seed": 1, "embedding": [1.0], "tolerance": 0.1}},
            "expected `seed` and `shape`, or `image`",
        ),
    ],
)
def test_a_manifest_that_is_wrong_is_named(file: Path, more: dict[str, Any], message: str) -> None:
    path = manifest(file, **more)
    said = refuse(str(file))
    assert said.startswith(f"the manifest {path}: ")
    assert message in said


def test_a_manifest_that_is_no_yaml(file: Path) -> None:
    path = file.with_name(f"{file.name}.yaml")
    path.write_text("sha256: [", encoding="utf-8")
    assert refuse(str(file)).startswith(f"the manifest {path} cannot be read: ")


def test_another_embedding_is_refused_with_the_largest_difference(file: Path) -> None:
    expected = embed(1)
    expected[1] += 0.25
    parity = {"seed": 5, "shape": [1, 1, 8, 8, 8], "embedding": expected, "tolerance": 0.01}
    manifest(file, parity=parity)
    weights = GivenWeights.model_validate(str(file))
    check_weights(make_encoder(2), weights)  # which reads no values
    with pytest.raises(
        DataError, match=r"differs from the published one by up to 0\.25, and 0\.01 is allowed"
    ):
        load_given_weights(make_encoder(2), weights)


def test_other_options_that_fit_are_found_by_parity(file: Path) -> None:
    manifest(file)
    encoder = CnnEncoder(CnnOptions(features=(2, 3), embedding="mean-before-norm"))
    with pytest.raises(DataError, match=r"parity: the embedding differs"):
        load_given_weights(encoder, GivenWeights.model_validate(str(file)))


def test_parity_by_files(file: Path) -> None:
    image, expected = file.with_name("image.safetensors"), file.with_name("embedding.safetensors")
    save_file({"image": _image()}, image)
    save_file({"embedding": torch.tensor(embed(1))}, expected)
    parity: dict[str, Any] = {"image": str(image), "embedding": str(expected), "tolerance": 1e-5}
    manifest(file, parity=parity)
    account = load_given_weights(make_encoder(2), GivenWeights.model_validate(str(file)))
    assert account.parity == pytest.approx(0, abs=1e-5)
    manifest(file, parity={**parity, "embedding": str(image)})
    with pytest.raises(DataError, match="has no tensor 'embedding'"):
        load_given_weights(make_encoder(2), GivenWeights.model_validate(str(file)))
    manifest(file, parity=parity)
    weights = GivenWeights.model_validate(str(file))
    expected.unlink()
    with pytest.raises(DataError, match="there is no file"):
        load_given_weights(make_encoder(2), weights)


@pytest.mark.parametrize("key", ["embedding", "image"])
def test_a_file_of_parity_that_is_not_there(file: Path, key: str) -> None:
    """The hint is about the file, though an embedding may be a list of numbers too."""
    files = {"image": str(file), "embedding": str(file), key: "none.safetensors"}
    path = manifest(file, parity={**files, "tolerance": 1e-5})
    with pytest.raises(ValidationError) as caught:
        GivenWeights.model_validate(str(file))
    wrong = describe(caught.value, GivenWeights)
    assert wrong.message.startswith(f"the manifest {path}: parity.{key}: expected a file, got ")
    assert wrong.message.endswith("/none.safetensors, which does not exist")
    assert "a relative one counts from the folder that mribench is run in" in wrong.hint


def test_an_embedding_that_is_nan_is_no_parity(file: Path) -> None:
    encoder = make_encoder(2)
    encoder.pool = lambda maps: torch.full((1, 3), math.nan)  # type: ignore[method-assign]
    encoder.maps_and_embedding = lambda image, mask=None: ([], torch.full((1, 3), math.nan))  # type: ignore[method-assign]
    manifest(file)
    with pytest.raises(DataError, match="differs from the published one by up to nan"):
        load_given_weights(encoder, GivenWeights.model_validate(str(file)))


class Tied(nn.Module):
    """One convolution under two names, as residual encoders of nnU-Net list it."""

    def __init__(self, seed: int) -> None:
        super().__init__()
        torch.manual_seed(seed)
        self.conv = nn.Conv3d(1, 2, 3)
        self.all_modules = nn.Sequential(self.conv)


def test_tied_tensors_are_accounted_for_once(tmp_path: Path) -> None:
    source, target = Tied(1), Tied(2)
    path = tmp_path / "tied.pt"
    torch.save(source.state_dict(), path)
    account = load_given_weights(target, GivenWeights(file=path, pretrained_on=[]))  # type: ignore[arg-type]
    assert account.taken == ("conv.weight", "conv.bias")
    assert account.tied == ("all_modules.0.weight", "all_modules.0.bias")
    assert "2 tensors taken, 2 second names of the same tensors" in account.sentence()
    assert torch.equal(target.all_modules[0].weight, source.conv.weight)


def test_one_of_two_names_is_enough(tmp_path: Path) -> None:
    source, target = Tied(1), Tied(2)
    path = tmp_path / "tied.pt"
    state = source.state_dict()
    torch.save({name: state[name] for name in ("all_modules.0.weight", "conv.bias")}, path)
    load_given_weights(target, GivenWeights(file=path, pretrained_on=[]))  # type: ignore[arg-type]
    assert torch.equal(target.conv.weight, source.conv.weight)


def test_tied_tensors_that_differ_are_refused(tmp_path: Path) -> None:
    state = {name: value.clone() for name, value in Tied(1).state_dict().items()}
    state["all_modules.0.bias"] += 1
    path = tmp_path / "tied.pt"
    torch.save(state, path)
    with pytest.raises(DataError, match=r"two in the file: all_modules\.0\.bias and conv\.bias"):
        load_given_weights(Tied(2), GivenWeights(file=path, pretrained_on=[]))  # type: ignore[arg-type]


def test_the_file_says_where_the_encoder_is(tmp_path: Path) -> None:
    encoder = make_encoder(1)
    state = {f"model.body.{name}": value for name, value in encoder.state_dict().items()}
    content = {
        "network": {**state, "model.body2.x": torch.zeros(2)},
        "plan": {"encoder": "model.body.blocks"},
    }
    path = tmp_path / "said.pt"
    torch.save(content, path)
    options = {"at": "network", "prefixes": {"plan.encoder": "blocks"}, "unexpected": ["model.body2.*"]}
    weights = GivenWeights.model_validate({"file": path, "pretrained_on": [], **options})
    account = load_given_weights(make_encoder(2), weights)
    assert account.renamed["model.body.blocks → blocks"] == len(account.taken)
    wrong = weights.model_copy(update={"prefixes": {"plan.stem": "x"}})
    with pytest.raises(DataError, match=r"there is no text at 'plan\.stem' \(prefixes\)"):
        check_weights(make_encoder(2), wrong)
