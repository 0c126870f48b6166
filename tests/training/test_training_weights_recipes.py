"""The recipes of docs/weights.md, on files that the architectures' own code makes, in small sizes."""

from __future__ import annotations

import copy
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from dinov2_reference import compute_tokens, draw_state
from monai.networks.nets import SwinUNETR
from monai.networks.nets.resnet import ResNet
from torch import Tensor, nn

from mribench.errors import DataError
from mribench.interfaces import Encoder, EncoderRef, GivenWeights
from mribench.interfaces.weights import WeightsManifest
from mribench.plugins import load_registry
from mribench.training.given_weights import WeightsAccount, check_weights, load_given_weights

TEXT = (Path(__file__).parents[2] / "docs" / "weights.md").read_text(encoding="utf-8")
SMALL = {
    "resenc": {"features": [4, 6, 8], "blocks": [1, 1, 2], "strides": [1, 2, 2]},
    "resnet": {"features": [2, 2, 3, 4]},
    "swin-unetr": {"feature_size": 12},
    "cnn": {"features": [2, 3]},
    "dinov2": {"token_vox": 4, "width": 24, "depth": 4, "heads": 2, "maps": 2, "grid": 3},
}
State = dict[str, Tensor]


def recipe(name: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the encoder and the weights of a recipe, in which the encoder is small."""
    found = re.search(rf"<!-- recipe {name} -->\n```yaml\n(.*?)```\n<!-- /recipe -->", TEXT, re.DOTALL)
    assert found is not None
    ((method, said),) = yaml.safe_load(found[1])["methods"].items()
    assert method == name
    return {**said["encoder"], **SMALL[said["encoder"]["name"]]}, said["weights"]


def load(name: str, make: Callable[[Encoder], object], folder: Path) -> tuple[Encoder, WeightsAccount]:
    """Load the file that ``make`` gives for a source encoder into another one, as the recipe says."""
    encoder, weights = recipe(name)
    reference = load_registry().resolve(EncoderRef.model_validate(encoder), "docs", "corrected")
    torch.manual_seed(0)
    source, target = reference.make(), reference.make()
    path = folder / weights["file"]
    torch.save(make(source), path)
    given = GivenWeights.model_validate({**weights, "file": path})
    assert check_weights(target, given).taken
    account = load_given_weights(target, given)
    for key, tensor in source.state_dict().items():
        if key not in account.other_shape:
            torch.testing.assert_close(target.state_dict()[key], tensor, rtol=0, atol=0)
    return target, account


def add(prefix: str, state: State) -> State:
    return {f"{prefix}{name}": tensor for name, tensor in state.items()}


def test_openmind(tmp_path: Path) -> None:
    unet = pytest.importorskip(
        "dynamic_network_architectures.building_blocks.residual_encoders", reason="the extra nnunet is absent"
    )
    assert unet

    def make(source: Encoder) -> object:
        encoder = add("encoder.", source.state_dict())
        decoder = add("decoder.", encoder) | {"decoder.seg_layers.0.weight": torch.zeros(1)}
        plan = {"key_to_encoder": "encoder.stages", "key_to_stem": "encoder.stem", "keys_to_in_proj": ("x",)}
        return {"network_weights": encoder | decoder, "nnssl_adaptation_plan": plan, "trainer_name": "MAE"}

    _, account = load("openmind", make, tmp_path)
    assert len(account.tied) == len(account.taken), "each tensor has two names"
    assert any(name.startswith("encoder.stages → stages") for name in account.renamed)


def test_openmind_reads_where_the_encoder_is(tmp_path: Path) -> None:
    pytest.importorskip("dynamic_network_architectures", reason="the extra nnunet is absent")

    def make(source: Encoder) -> object:
        plan = {"key_to_encoder": "net.body.stages", "key_to_stem": "net.body.stem"}
        return {"network_weights": add("net.body.", source.state_dict()), "nnssl_adaptation_plan": plan}

    load("openmind", make, tmp_path)


def test_the_names_of_resenc_are_those_of_the_whole_network(tmp_path: Path) -> None:
    architectures = pytest.importorskip(
        "dynamic_network_architectures.architectures.unet", reason="the extra nnunet is absent"
    )
    options = SMALL["resenc"]
    network = architectures.ResidualEncoderUNet(
        1, 3, options["features"], nn.Conv3d, 3, options["strides"], options["blocks"], 2, [1, 1], True,
        nn.InstanceNorm3d, {"eps": 1e-5, "affine": True}, None, None, nn.LeakyReLU, {"inplace": True},
    )  # fmt: skip

    def make(source: Encoder) -> object:
        del source
        plan = {"key_to_encoder": network.key_to_encoder, "key_to_stem": network.key_to_stem}
        return {"network_weights": network.state_dict(), "nnssl_adaptation_plan": plan}

    encoder, weights = recipe("openmind")
    reference = load_registry().resolve(EncoderRef.model_validate(encoder), "docs", "corrected")
    target = reference.make()
    torch.save(make(target), tmp_path / "openmind.pth")
    load_given_weights(target, GivenWeights.model_validate({**weights, "file": tmp_path / "openmind.pth"}))
    image = torch.randn(1, 1, 8, 8, 8)
    with torch.no_grad():
        expected = network.encoder.eval()(image)
        found = target.eval().feature_maps(image)
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=0)


def small_swin_unetr(*, convolutions: bool) -> SwinUNETR:
    return SwinUNETR(in_channels=1, out_channels=2, feature_size=12, use_v2=convolutions)


def test_brainiac(tmp_path: Path) -> None:
    """MONAI's own network gives the file, and the same embedding as the encoder that loads it."""
    network = ResNet("bottleneck", [3, 4, 6, 3], [2, 2, 3, 4], n_input_channels=1, num_classes=2)

    def make(source: Encoder) -> object:
        del source
        state = add("backbone.", network.state_dict()) | {"projector.0.weight": torch.zeros(2, 2)}
        return {"state_dict": state, "epoch": 9}

    encoder, weights = recipe("brainiac")
    target = load_registry().resolve(EncoderRef.model_validate(encoder), "docs", "corrected").make()
    torch.save(make(target), tmp_path / "brainiac.ckpt")
    account = load_given_weights(
        target, GivenWeights.model_validate({**weights, "file": tmp_path / "brainiac.ckpt"})
    )
    assert not account.missing
    assert set(account.unexpected) == {"fc.weight", "fc.bias", "projector.0.weight"}
    network.fc = None  # type: ignore[assignment]
    network.eval()
    image = torch.randn(1, 1, 32, 32, 32)
    pooled = []
    network.avgpool.register_forward_pre_hook(lambda _, given: pooled.append(given[0]))
    with torch.no_grad():
        network(image)
        found = target.eval().feature_maps(image)
        torch.testing.assert_close(found[-1], pooled[0], rtol=0, atol=0)
        torch.testing.assert_close(target.embed(image), pooled[0].mean(dim=(2, 3, 4)))
    assert [values.shape[2] for values in found] == [32 // stride for stride in target.strides]


def test_swinvit(tmp_path: Path) -> None:
    def make(source: Encoder) -> object:
        state = {
            name.removeprefix("swinViT.").replace(".mlp.linear", ".mlp.fc"): tensor
            for name, tensor in source.state_dict().items()
        }
        heads = {f"{name}.weight": torch.zeros(2) for name in ("rotation_head", "contrastive_head", "norm")}
        return {"state_dict": add("module.", state | heads), "epoch": 3, "optimizer": {"lr": 0.1}}

    _, account = load("swinvit", make, tmp_path)
    assert not account.missing
    assert account.renamed["module.*"] > 0
    names = {name.removeprefix("swinViT.") for name in account.taken}
    assert names == set(small_swin_unetr(convolutions=False).swinViT.state_dict())


@pytest.mark.parametrize(("prefix", "name"), [("", "swinViT"), ("module.backbone.", "swin_vit")])
def test_voco_and_whole_networks_of_monai(tmp_path: Path, prefix: str, name: str) -> None:
    network = small_swin_unetr(convolutions=True)

    def make(source: Encoder) -> object:
        state = copy.deepcopy(network.state_dict()) | source.state_dict()
        renamed = {key.replace("swinViT.", f"{name}."): tensor for key, tensor in state.items()}
        return add(prefix, renamed)

    encoder, account = load("voco", make, tmp_path)
    assert not account.missing
    network.load_state_dict(network.state_dict() | encoder.state_dict())
    image = torch.randn(1, 1, 32, 32, 32)
    with torch.no_grad():
        expected = network.eval().swinViT(image)
        found = encoder.eval().feature_maps(image)
    torch.testing.assert_close(found[-1], expected[-1], rtol=0, atol=0)


def test_brainsegfounder(tmp_path: Path) -> None:
    def make(source: Encoder) -> object:
        state = {
            **source.state_dict(),
            "rotation_head.weight": torch.zeros(4),
            "conv.0.weight": torch.zeros(1),
        }
        state["contrastive_pre.bias"] = torch.zeros(3)
        weight = state["swinViT.patch_embed.proj.weight"]
        state["swinViT.patch_embed.proj.weight"] = weight.repeat(1, 2, 1, 1, 1)  # T1w and T2w
        return {"state_dict": add("module.", state), "optimizer": {"lr": 0.1}}

    _, account = load("brainsegfounder", make, tmp_path)
    assert account.other_shape == ("swinViT.patch_embed.proj.weight",)
    assert "1 of another shape left at their start" in account.sentence()


@pytest.mark.parametrize("prefix", ["model.", "model._orig_mod."])
def test_lightning(tmp_path: Path, prefix: str) -> None:
    def make(source: Encoder) -> object:
        state = add(prefix, source.state_dict()) | {"criterion.weight": torch.zeros(1)}
        return {"state_dict": state, "epoch": 2, "pytorch-lightning_version": "2.4.0", "callbacks": {}}

    load("lightning", make, tmp_path)


def test_3dino(tmp_path: Path) -> None:
    """A file with the names of 3DINO's code gives the maps that its tensors give without the encoder."""
    state = draw_state(24, 4, token_vox=4, grid=3, chunks=2)
    heads = {"mlp.0.weight": torch.zeros(2, 2), "last_layer.weight_g": torch.ones(2, 1)}
    file = {"teacher": add("backbone.", state) | add("dino_head.", heads) | add("ibot_head.", heads)}
    encoder, weights = recipe("3dino")
    target = load_registry().resolve(EncoderRef.model_validate(encoder), "docs", "corrected").make()
    torch.save(file, tmp_path / "teacher.pth")
    given = GivenWeights.model_validate({**weights, "file": tmp_path / "teacher.pth"})
    account = load_given_weights(target, given)
    assert not account.missing
    assert len(account.taken) == len(state)
    assert {name.partition(".")[0] for name in account.unexpected} == {"dino_head", "ibot_head"}
    image = torch.randn(1, 1, 16, 8, 12)
    expected = compute_tokens(state, image, heads=2, token_vox=4)
    with torch.no_grad():
        maps, embedding = target.eval().maps_and_embedding(image)
    for found, tokens in zip(maps, expected[1::2], strict=True):
        torch.testing.assert_close(found.flatten(2).mT, tokens[:, 1:], rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(embedding, expected[-1][:, 0], rtol=1e-4, atol=1e-5)
    with pytest.raises(DataError, match=r"of another shape: pos_embed \(1, 28, 24\), in the encoder"):
        check_weights(
            load_registry()
            .resolve(EncoderRef.model_validate({**encoder, "grid": 2}), "docs", "corrected")
            .make(),
            given,
        )


def test_the_manifest_of_the_docs_is_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "embedding.safetensors").touch()
    found = re.search(r"<!-- manifest -->\n```yaml\n(.*?)```\n<!-- /manifest -->", TEXT, re.DOTALL)
    assert found is not None
    manifest = WeightsManifest.model_validate(yaml.safe_load(found[1]))
    assert manifest.encoder == EncoderRef(name="resenc")
    table = TEXT.partition("| key | what |")[2].partition("\n\n")[0]
    names = " ".join(line.split("|")[1] for line in table.splitlines() if line)
    assert set(re.findall(r"`(\w+)`", names)) == set(WeightsManifest.model_fields)
