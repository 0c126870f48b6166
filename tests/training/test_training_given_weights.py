"""Weights from outside: every tensor is accounted for, nothing in a file is run."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from mribench_encoders.cnn import CnnEncoder, CnnOptions
from safetensors.torch import save_file
from torch import Tensor, nn

from mribench.errors import DataError
from mribench.interfaces import GivenWeights
from mribench.training.given_weights import check_weights, load_given_weights
from mribench.training.weights import state_digest

State = dict[str, Tensor]


class Small(nn.Module):
    def __init__(self, seed: int) -> None:
        super().__init__()
        torch.manual_seed(seed)
        self.conv = nn.Conv3d(1, 2, 3)
        self.norm = nn.BatchNorm3d(2)


@pytest.fixture
def source() -> Small:
    return Small(1)


@pytest.fixture
def target() -> Small:
    return Small(2)


def given(path: Path, **options: Any) -> GivenWeights:
    return GivenWeights(**{"file": path, "pretrained_on": "unknown", **options})  # type: ignore[arg-type]


def written(folder: Path, state: State, **options: Any) -> GivenWeights:
    path = folder / "weights.safetensors"
    save_file({name: value.contiguous() for name, value in state.items()}, path)
    return given(path, **options)


def saved(folder: Path, content: object, **options: Any) -> GivenWeights:
    path = folder / "weights.pt"
    torch.save(content, path)
    return given(path, **options)


def complaint(target: nn.Module, weights: GivenWeights) -> str:
    """Both ways of looking at a file say the same; nothing is loaded."""
    before = state_digest(target)
    with pytest.raises(DataError) as planned:
        check_weights(target, weights)
    with pytest.raises(DataError) as loaded:
        load_given_weights(target, weights)
    assert str(planned.value) == str(loaded.value)
    assert state_digest(target) == before
    return planned.value.message


def test_all_tensors_are_taken(tmp_path: Path, source: Small, target: Small) -> None:
    account = load_given_weights(target, written(tmp_path, source.state_dict()))
    assert state_digest(target) == state_digest(source)
    assert account.taken == tuple(source.state_dict())
    # the running mean of a new batch norm is 0, but has one axis
    assert account.sentence() == "7 tensors taken"


@pytest.mark.parametrize(
    "wrap",
    [
        lambda state: state,
        lambda state: {"state_dict": state},
        lambda state: {"config": {"features": [2]}, "state_dict": state},
        lambda state: {"network_weights": state, "epoch": 3, "plan": {"keys_to_encoder": "encoder"}},
        lambda state: {"state_dict": {f"module.{name}": value for name, value in state.items()}},
        lambda state: {f"_orig_mod.{name}": value for name, value in state.items()},
        lambda state: {f"module._orig_mod.{name}": value for name, value in state.items()},
        lambda state: {f"_orig_mod.module.{name}": value for name, value in state.items()},
        lambda state: {0: state},
    ],
)
def test_files_of_torch(tmp_path: Path, source: Small, target: Small, wrap: Any) -> None:
    load_given_weights(target, saved(tmp_path, wrap(source.state_dict())))
    assert state_digest(target) == state_digest(source)


def test_renaming_is_counted_by_rule(tmp_path: Path, source: Small, target: Small) -> None:
    state = {f"model.backbone.{name}": value for name, value in source.state_dict().items()}
    state["model.head.weight"] = torch.ones(3)
    weights = written(tmp_path, state, rename={r"^model\.": "", r"^backbone\.": ""}, unexpected=["head.*"])
    account = load_given_weights(target, weights)
    assert state_digest(target) == state_digest(source)
    assert account.sentence() == (
        r"7 tensors taken, 8 renamed by '^model\. → ', 7 renamed by '^backbone\. → ', 1 without a place"
        " (head.weight)"
    )


def test_groups_of_an_expression_can_be_used(tmp_path: Path, source: Small, target: Small) -> None:
    state = {name.replace("conv.", "stage_0/"): value for name, value in source.state_dict().items()}
    load_given_weights(target, written(tmp_path, state, rename={r"^stage_\d/(\w+)$": r"conv.\1"}))
    assert state_digest(target) == state_digest(source)


def test_a_renamed_tensor_is_missing_and_unexpected(tmp_path: Path, source: Small, target: Small) -> None:
    state = source.state_dict()
    state["conv.weigth"] = state.pop("conv.weight")
    message = complaint(target, written(tmp_path, state))
    assert message.endswith(
        "do not fit the encoder: 1 the file lacks: conv.weight; 1 without a place in the encoder: conv.weigth"
    )


def test_a_missing_tensor(tmp_path: Path, source: Small, target: Small) -> None:
    state = source.state_dict()
    del state["norm.bias"]
    assert complaint(target, written(tmp_path, state)).endswith("1 the file lacks: norm.bias")
    start = target.norm.bias.clone()
    account = load_given_weights(target, written(tmp_path, state, missing=["norm.*"]))
    assert torch.equal(target.norm.bias, start)
    assert torch.equal(target.norm.weight, source.norm.weight)
    assert account.missing == ("norm.bias",)
    assert "1 left at their start (norm.bias)" in account.sentence()


def test_a_tensor_of_another_shape(tmp_path: Path, source: Small, target: Small) -> None:
    state = {**source.state_dict(), "conv.bias": torch.ones(3)}
    message = complaint(target, written(tmp_path, state))
    assert message.endswith("1 of another shape: conv.bias (3,), in the encoder (2,)")
    start = target.conv.bias.clone()
    account = load_given_weights(target, written(tmp_path, state, other_shape=["conv.bias"]))
    assert torch.equal(target.conv.bias, start)
    assert account.other_shape == ("conv.bias",)


def test_a_pattern_allows_only_what_it_names(tmp_path: Path, source: Small, target: Small) -> None:
    state = source.state_dict()
    del state["norm.bias"], state["conv.bias"]
    message = complaint(target, written(tmp_path, state, missing=["norm.*"]))
    assert message.endswith("1 the file lacks: conv.bias")


def test_a_weight_of_zeros_is_said(tmp_path: Path, source: Small, target: Small) -> None:
    state = {**source.state_dict(), "conv.weight": torch.zeros(2, 1, 3, 3, 3)}
    account = load_given_weights(target, written(tmp_path, state))
    assert account.zero == ("conv.weight",)
    assert "1 all zero (conv.weight)" in account.sentence()


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_values_that_are_no_numbers(tmp_path: Path, source: Small, target: Small, value: float) -> None:
    state = source.state_dict()
    state["conv.weight"][0, 0, 1, 1, 1] = value
    before = state_digest(target)
    with pytest.raises(DataError, match=r"NaN or infinite: conv\.weight"):
        load_given_weights(target, written(tmp_path, state))
    assert state_digest(target) == before


class Evil:
    """Makes a folder where it is unpickled."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.folder),)


def test_nothing_in_a_file_is_run(tmp_path: Path, source: Small, target: Small) -> None:
    weights = saved(tmp_path, {"state_dict": source.state_dict(), "callback": Evil(tmp_path / "made")})
    message = complaint(target, weights)
    assert "it holds more than tensors, and nothing in it is run" in message
    assert not (tmp_path / "made").exists()


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.safetensors", b"not safetensors"),
        ("a.pt", b"\x80\x04nothing"),
        ("a.pt", b""),
        ("a.pt", b"hello"),
        ("a.pt", b"\x80hello"),
        ("a.ckpt", b"PK\x03\x04x"),
    ],
)
def test_damaged_files(tmp_path: Path, target: Small, name: str, content: bytes) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    message = complaint(target, given(path))
    assert str(path) in message
    assert "\n" not in message


def test_safetensors_by_another_name(tmp_path: Path, source: Small, target: Small) -> None:
    weights = written(tmp_path, source.state_dict())
    load_given_weights(target, given(weights.file.path.rename(tmp_path / "pytorch_model.bin")))
    assert state_digest(target) == state_digest(source)


def test_a_file_that_cannot_be_read(tmp_path: Path, source: Small, target: Small) -> None:
    weights = saved(tmp_path, source.state_dict())
    weights.file.path.unlink()
    assert complaint(target, weights).endswith("weights.pt: cannot be read: No such file or directory")


@pytest.mark.parametrize(
    ("change", "kind"),
    [
        (lambda value: value.int(), "int32"),
        (lambda value: value.bool(), "bool"),
        (lambda value: value.to(torch.complex64), "complex64"),
        (lambda value: value.to_sparse(), "sparse_coo"),
    ],
)
def test_what_would_become_other_numbers(
    tmp_path: Path, source: Small, target: Small, change: Any, kind: str
) -> None:
    state = {**source.state_dict(), "norm.weight": change(source.norm.weight.detach())}
    message = complaint(target, saved(tmp_path, state))
    assert message.endswith(f"1 of another kind: norm.weight {kind}, in the encoder float32")


def test_tensors_without_values(tmp_path: Path, source: Small, target: Small) -> None:
    state = {**source.state_dict(), "conv.bias": source.conv.bias.detach().to("meta")}
    with pytest.raises(DataError, match=r"without values: conv\.bias"):
        load_given_weights(target, saved(tmp_path, state))


def test_values_are_judged_in_the_encoders_precision(tmp_path: Path, source: Small, target: Small) -> None:
    large = torch.full((2, 1, 3, 3, 3), 1e300, dtype=torch.float64)
    with pytest.raises(DataError, match=r"NaN or infinite: conv\.weight"):
        load_given_weights(target, saved(tmp_path, {**source.state_dict(), "conv.weight": large}))
    account = load_given_weights(target, saved(tmp_path, {**source.state_dict(), "conv.weight": 1 / large}))
    assert account.zero == ("conv.weight",)


def test_tensors_beside_something_else(tmp_path: Path, source: Small, target: Small) -> None:
    with pytest.raises(DataError) as refusal:
        check_weights(target, saved(tmp_path, {**source.state_dict(), "epoch": 3}))
    assert refusal.value.hint is not None
    assert "its tensors have others beside them: epoch;" in refusal.value.hint


def test_a_file_with_several_places(tmp_path: Path, source: Small, target: Small) -> None:
    content = {"teacher": source.state_dict(), "student": target.state_dict(), "epoch": 1}
    message = complaint(target, saved(tmp_path, content))
    assert message.endswith("expected one mapping of tensors, got teacher, student")
    load_given_weights(target, saved(tmp_path, content, at="teacher"))
    assert state_digest(target) == state_digest(source)
    assert complaint(target, saved(tmp_path, content, at="epoch")).endswith("there are no tensors at 'epoch'")


@pytest.mark.parametrize("content", [{"epoch": 1}, [1, 2], torch.ones(2), {}])
def test_a_file_without_named_tensors(tmp_path: Path, target: Small, content: object) -> None:
    message = complaint(target, saved(tmp_path, content))
    assert message.endswith("expected one mapping of tensors, got none")


def test_two_tensors_that_become_one(tmp_path: Path, source: Small, target: Small) -> None:
    weights = written(tmp_path, source.state_dict(), rename={r"\.(weight|bias)$": ".one"})
    assert complaint(target, weights).endswith("several tensors become conv.one, norm.one")


def test_an_expression_that_is_none(tmp_path: Path, source: Small) -> None:
    with pytest.raises(ValueError, match="is no regular expression"):
        written(tmp_path, source.state_dict(), rename={"(": ""})
    with pytest.raises(ValueError, match="is no regular expression"):
        written(tmp_path, source.state_dict(), rename={"a": r"\3"})


def test_half_precision_is_taken_as_it_is_said(tmp_path: Path, source: Small, target: Small) -> None:
    halved = {
        name: value.half() if value.is_floating_point() else value
        for name, value in source.state_dict().items()
    }
    load_given_weights(target, written(tmp_path, halved))
    assert target.conv.weight.dtype == torch.float32
    assert torch.equal(target.conv.weight, source.conv.weight.half().float())


def paper_state(features: tuple[int, ...], seed: int) -> State:
    """Return a state dict with the names that the paper's released encoders have, and no affine norms."""
    generator = torch.Generator().manual_seed(seed)
    state = {}
    for level, (channels_in, channels) in enumerate(zip((1, *features), features, strict=False)):
        start = "conv_0" if level == 0 else f"down_{level}.convs"
        for number, wide in (("conv_0", channels_in), ("conv_1", channels)):
            state[f"{start}.{number}.conv.weight"] = torch.randn(channels, wide, 3, 3, 3, generator=generator)
            state[f"{start}.{number}.conv.bias"] = torch.randn(channels, generator=generator)
    return state


def test_the_papers_encoders_map_one_to_one(tmp_path: Path) -> None:
    features = (4, 8, 12)
    encoder = CnnEncoder(CnnOptions(features=features, dropout=0, profile="paper")).eval()
    state = paper_state(features, 3)
    weights = saved(
        tmp_path,
        {"config": {"spatial_dims": 3}, "state_dict": state},
        rename={r"^conv_0\.(conv_\d)": r"blocks.0.convs.\1", r"^down_(\d+)\.convs": r"blocks.\1.convs"},
        missing=["*.adn.N.*"],
    )
    account = load_given_weights(encoder, weights)
    assert len(account.taken) == len(state) == 12
    assert set(account.missing) == {name for name in encoder.state_dict() if ".adn.N." in name}
    image = torch.randn(1, 1, 16, 16, 16)
    assert torch.allclose(encoder.feature_maps(image)[-1], _forward(state, image, 3), atol=1e-4)


def _forward(state: State, image: Tensor, levels: int) -> Tensor:
    """Run the paper's network: convolutions, instance norm without affine, GELU, pooling."""
    for level in range(levels):
        start = "conv_0" if level == 0 else f"down_{level}.convs"
        image = nn.functional.max_pool3d(image, 2) if level else image
        for number in ("conv_0", "conv_1"):
            weight, bias = (state[f"{start}.{number}.conv.{part}"] for part in ("weight", "bias"))
            image = nn.functional.conv3d(image, weight, bias, padding=1)
            image = nn.functional.gelu(nn.functional.instance_norm(image))
    return image


def test_numpy_numbers_beside_tensors_are_no_tensors(tmp_path: Path, source: Small, target: Small) -> None:
    weights = saved(tmp_path, {"weights": source.state_dict(), "loss": float(np.float64(0.5)), "epoch": 7})
    load_given_weights(target, weights)
    assert state_digest(target) == state_digest(source)
