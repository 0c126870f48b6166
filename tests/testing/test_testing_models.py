"""Deliberately broken encoders, decoders and objectives: the checks find them and say what is wrong."""

from __future__ import annotations

import math

import pytest
import torch
from mribench_encoders.unet import UNetDecoder, UNetOptions
from torch import nn

from mribench.errors import PluginError
from mribench.interfaces import Encoder, Mask, Objective, ParameterGroup
from mribench.testing import (
    ClassTokenEncoder,
    ConformanceError,
    NotCheckable,
    PyramidEncoder,
    check_decoder,
    check_encoder,
    check_objective,
)


@pytest.fixture(autouse=True)
def _one_thread():
    torch.set_num_threads(1)


def test_sample_encoders_conform():
    check_encoder(PyramidEncoder())
    check_encoder(PyramidEncoder(mask_kind="zero"))
    check_encoder(ClassTokenEncoder())
    check_encoder(ClassTokenEncoder(mask_kind="replace"))


class Transformer(Encoder):
    """Its layers take another path in evaluation without gradients, which rounds differently."""

    channels, strides, embedding_dim = (32,), (8,), 32

    def __init__(self):
        super().__init__()
        self.patches = nn.Conv3d(1, 32, 8, 8)
        self.block = nn.TransformerEncoderLayer(32, 4, 64, 0.0, "gelu", batch_first=True, norm_first=True)

    def feature_maps(self, image, mask=None):
        tokens = self.patches(image)
        return [self.block(tokens.flatten(2).transpose(1, 2)).transpose(1, 2).reshape(tokens.shape)]


class Residual(Encoder):
    """Convolutions of 1 x 1 x 1 and batch norms, as in every ResNet."""

    channels, strides, embedding_dim = (8,), (2,), 8

    def __init__(self):
        super().__init__()
        self.first = nn.Sequential(nn.Conv3d(1, 4, 3, 2, 1), nn.BatchNorm3d(4), nn.ReLU())
        self.widen = nn.Sequential(nn.Conv3d(4, 8, 1, bias=False), nn.BatchNorm3d(8))

    def feature_maps(self, image, mask=None):
        return [self.widen(self.first(image)).relu()]


@pytest.mark.parametrize("kind", [Transformer, Residual])
def test_encoders_of_torch_modules_conform(kind):
    torch.manual_seed(0)
    check_encoder(kind())


def test_the_encoder_that_is_checked_stays_as_it_is():
    encoder = Residual()
    before = {name: value.clone() for name, value in encoder.state_dict().items()}
    check_encoder(encoder)
    assert all(torch.equal(value, before[name]) for name, value in encoder.state_dict().items())


class WrongStride(PyramidEncoder):
    def __init__(self):
        super().__init__()
        self.strides = (1, 2, 8)


class TooFewChannels(PyramidEncoder):
    def __init__(self):
        super().__init__()
        self.channels = (4, 6)


class Random(PyramidEncoder):
    def feature_maps(self, image, mask=None):
        return [found + torch.rand(()) for found in super().feature_maps(image)]


class BatchMean(PyramidEncoder):
    def feature_maps(self, image, mask=None):
        return [found - found.mean(0) for found in super().feature_maps(image)]


class Detached(PyramidEncoder):
    def feature_maps(self, image, mask=None):
        return [found.detach().requires_grad_() for found in super().feature_maps(image)]


class Infinite(PyramidEncoder):
    def feature_maps(self, image, mask=None):
        return [found / 0 for found in super().feature_maps(image)]


class ConstantEmbedding(PyramidEncoder):
    def pool(self, feature_maps):
        return torch.zeros(len(feature_maps[0]), self.embedding_dim)


class EmbedOnly(PyramidEncoder):
    def embed(self, image):
        return 2 * super().embed(image)


class CoarseFirst(PyramidEncoder):
    def __init__(self):
        super().__init__((4, 4), (4, 1))


class Drifting(PyramidEncoder):
    """Keeps a count where no state dict has it."""

    passes = 0

    def feature_maps(self, image, mask=None):
        self.passes += 1
        return [found + 0.01 * self.passes for found in super().feature_maps(image)]


class Unsaved(PyramidEncoder):
    """Learns a scale in training that is not saved with its weights."""

    def __init__(self):
        super().__init__()
        self.register_buffer("scale", torch.ones(()), persistent=False)

    def feature_maps(self, image, mask=None):
        if self.training:
            self.scale = self.scale * 1.1
        return [found * self.scale for found in super().feature_maps(image)]


class SpreadOfBatch(PyramidEncoder):
    """Not a number for one image alone."""

    def pool(self, feature_maps):
        embedding = super().pool(feature_maps)
        return embedding / embedding.std(0) if len(embedding) == 1 else embedding


class SeesHidden(PyramidEncoder):
    """Says that it hides, and does not."""

    def __init__(self):
        super().__init__(mask_kind="zero")

    def feature_maps(self, image, mask=None):
        return super().feature_maps(image)


class EmbedsAll(ClassTokenEncoder):
    """Its embedding is of the whole image, whatever is hidden."""

    def maps_and_embedding(self, image, mask=None):
        return self.feature_maps(image, mask), super().maps_and_embedding(image)[1]


class HidesAll(PyramidEncoder):
    """Sees nothing of an image of which a part is hidden."""

    def __init__(self):
        super().__init__(mask_kind="zero")

    def feature_maps(self, image, mask=None):
        return super().feature_maps(image if mask is None else 0 * image + 1)


class LeavesDropped(ClassTokenEncoder):
    """Says that it drops what is hidden, and shows something there."""

    def feature_maps(self, image, mask=None):
        return [level + 0.1 for level in super().feature_maps(image, mask)]


class UnknownKind(PyramidEncoder):
    mask_kind = "cut"

    def __init__(self):
        super().__init__(mask_kind="cut")


class UnevenCells(ClassTokenEncoder):
    def __init__(self):
        super().__init__()
        self.mask_stride = 3


class LayersTwice(PyramidEncoder):
    def layers(self):
        return [self.levels, self.levels[0]]


class ForeignLayers(PyramidEncoder):
    def layers(self):
        return [nn.Linear(2, 2)]


@pytest.mark.parametrize(
    ("encoder", "message"),
    [
        (LayersTwice, "a parameter in two layers"),
        (ForeignLayers, "parameters that are not the encoder's"),
        (SeesHidden, "what a mask hides changes its feature maps"),
        (EmbedsAll, "what a mask hides changes its feature maps or its embedding"),
        (HidesAll, "what a mask shows changes nothing"),
        (LeavesDropped, "map 0 is not 0 where cells are hidden"),
        (UnknownKind, "mask_kind is one of none, zero, replace, drop, got 'cut'"),
        (UnevenCells, r"mask_stride divides the largest stride \(4\), got 3"),
        (WrongStride, "feature map 2"),
        (TooFewChannels, "2 channels and 3 strides"),
        (Random, "random in evaluation"),
        (Drifting, "or changes from pass to pass"),
        (Unsaved, "restored from its state_dict"),
        pytest.param(
            SpreadOfBatch,
            "embedding for a batch of 1: has values that are NaN",
            marks=pytest.mark.filterwarnings("ignore:std"),
        ),
        (BatchMean, "depends on the other samples"),
        (Detached, "no finite gradient"),
        (Infinite, "NaN or infinite"),
        (ConstantEmbedding, "same embedding"),
        (EmbedOnly, "override the latter"),
        (CoarseFirst, "from fine to coarse"),
    ],
)
def test_broken_encoders(encoder, message):
    with pytest.raises(ConformanceError, match=message):
        check_encoder(encoder())


def test_decoders_that_fit_one_encoder_only():
    class Upsample(nn.Module):
        def __init__(self, encoder, out_channels):
            super().__init__()
            self.layer = nn.Conv3d(encoder.channels[0], out_channels, 1)

        def forward(self, features):
            return self.layer(features[0])

    with pytest.raises(ConformanceError, match=r"strides \(2, 8\): expected shape"):
        check_decoder(Upsample)


class Distance(Objective):
    """Conforms: squared distance of two embeddings."""

    def __init__(self, encoder):
        super().__init__()
        self.encoder = encoder

    def loss(self, views, step, total_steps):
        first, second = (self.encoder.embed(view.image) for view in views)
        return {"distance": (first - second).square().mean()}


class NoTerms(Distance):
    def loss(self, views, step, total_steps):
        return {}


class NotScalar(Distance):
    def loss(self, views, step, total_steps):
        return {"distance": self.encoder.embed(views[0].image)}


class NotFinite(Distance):
    def loss(self, views, step, total_steps):
        return {"distance": super().loss(views, step, total_steps)["distance"] * math.inf}


class NoGradient(Distance):
    def __init__(self, encoder):
        super().__init__(encoder)
        self.head = nn.Linear(encoder.embedding_dim, 1)

    def loss(self, views, step, total_steps):
        return {"distance": self.head(self.encoder.embed(views[0].image).detach()).mean()}


class MisspeltWeight(Distance):
    def __init__(self, encoder):
        super().__init__(encoder)
        self.weights = {"distanse": 2.0}


class HiddenState(Distance):
    seen = 0

    def loss(self, views, step, total_steps):
        return {"distance": super().loss(views, step, total_steps)["distance"] * (1 + self.seen)}

    def after_step(self, step, total_steps):
        self.seen += 1


class InPlace(Distance):
    def loss(self, views, step, total_steps):
        views[0].image.add_(1)
        return super().loss(views, step, total_steps)


class OwnEncoder(Distance):
    def __init__(self, encoder):
        super().__init__(PyramidEncoder())


class Masked(Distance):
    """Compares an image with what is left of it, as the encoder shows both."""

    needs_mask = True

    def loss(self, views, step, total_steps):
        image = views[0].image
        mask = Mask.draw(image, 0.5, max(self.encoder.strides), self.encoder.mask_stride)
        whole, part = (self.encoder.maps_and_embedding(image, hidden)[1] for hidden in (None, mask))
        return {"distance": (whole - part).square().mean()}


class MaskedTokens(Masked):
    """Hides tokens, of which pyramids have none."""

    def __init__(self, encoder):
        if encoder.mask_kind != "drop":
            raise PluginError("masked-tokens: needs an encoder that drops tokens")
        super().__init__(encoder)


class MasksAnything(Masked):
    """Gives a mask to encoders that would ignore it."""

    needs_mask = False


class WideBlocks(Masked):
    """Hides blocks that no patch of the usual size is a multiple of."""

    patch_multiple = 12

    def loss(self, views, step, total_steps):
        assert views[0].image.shape[-1] % 12 == 0
        return super().loss(views, step, total_steps)


class WithHead(Distance):
    """Trains a head with its groups, given as keywords of each."""

    groups = ({"prefix": "head."},)

    def __init__(self, encoder):
        super().__init__(encoder)
        self.head = nn.Linear(encoder.embedding_dim, 2)
        self.parameter_groups = tuple(ParameterGroup(**group) for group in self.groups)

    def loss(self, views, step, total_steps):
        first, second = (self.head(self.encoder.embed(view.image)) for view in views)
        return {"distance": (first - second).square().mean()}


class NoSuchGroup(WithHead):
    groups = ({"prefix": "predictor."},)


class StillGroup(WithHead):
    groups = ({"prefix": "head.", "rate": 0.0},)


class NeverBegins(WithHead):
    groups = ({"prefix": "head.", "frozen_share": 1.0},)


class GroupsInGroups(WithHead):
    groups = ({"prefix": "head."}, {"prefix": "head.weight"})


class Contrast(Distance):
    """Compares the subjects of a batch; of one subject nothing is learnt."""

    def loss(self, views, step, total_steps):
        first, second = (self.encoder.embed(view.image) for view in views)
        own = torch.arange(len(first))
        return {
            **super().loss(views, step, total_steps),
            "contrast": nn.functional.cross_entropy(first @ second.T, own),
        }


class Spread(Distance):
    def loss(self, views, step, total_steps):
        return {"spread": self.encoder.embed(views[0].image).var(0).mean()}


class OfTwo(Contrast):
    min_batch = 2


class Blocks(Distance):
    """Reads what only some encoders have."""

    def loss(self, views, step, total_steps):
        return {"depth": len(self.encoder.blocks) * super().loss(views, step, total_steps)["distance"]}


class Patches(Blocks):
    def __init__(self, encoder):
        super().__init__(encoder)
        self.width = encoder.patches.out_channels


class OwnMistake(Distance):
    def loss(self, views, step, total_steps):
        return {"distance": self.no_such_head(views)}


class OtherExport(Distance):
    def exported_encoder(self):
        return PyramidEncoder((4, 6, self.encoder.embedding_dim), self.encoder.strides)


@pytest.mark.parametrize("objective", [Distance, Masked, MaskedTokens, WideBlocks, WithHead, OfTwo])
def test_a_sound_objective_conforms(objective):
    check_objective(objective)


def test_an_objective_that_takes_no_sample_encoder_needs_another():
    def picky(encoder):
        raise PluginError("picky: needs an encoder of 12 blocks")

    with pytest.raises(NotCheckable, match="needs another encoder: picky: needs an encoder of 12 blocks; "):
        check_objective(picky)


def test_an_objective_with_needs_is_checked_with_the_encoder_that_it_needs():
    for objective, name in ((Blocks, "blocks"), (Patches, "patches")):
        with pytest.raises(ConformanceError, match=f"needs another encoder: it reads '{name}', which"):
            check_objective(objective)
        check_objective(objective, [ClassTokenEncoder])


def test_another_missing_attribute_is_the_objectives_own_mistake():
    with pytest.raises(AttributeError, match="no_such_head"):
        check_objective(OwnMistake)


@pytest.mark.parametrize(
    ("objective", "message"),
    [
        (NoSuchGroup, "the parameter group 'predictor.' has no parameter that is trained"),
        (StillGroup, "'head.': expected a rate above 0, got 0"),
        (NeverBegins, "'head.': frozen_share is from 0 to less than 1, got 1"),
        (GroupsInGroups, "'head.' has another group's parameters too"),
        (NoTerms, "no named terms"),
        (NotScalar, "not a scalar"),
        (NotFinite, "not finite at batch size 4"),
        (NoGradient, "no finite gradient reaches the encoder"),
        (MisspeltWeight, r"weights names \['distanse'\]"),
        (HiddenState, "restored from its state_dict"),
        (InPlace, "changes the views in place"),
        (OwnEncoder, "not the given encoder"),
        (MasksAnything, "a mask is given to an encoder whose 'mask_kind' is 'none'"),
        (Contrast, r"no gradient at a batch size of 1 of: contrast; set 'min_batch'"),
        (Spread, "'spread' is not finite at batch size 1; set 'min_batch'"),
        (OtherExport, "do not fit an encoder like the one that was given"),
    ],
)
def test_broken_objectives(objective, message):
    with pytest.raises(ConformanceError, match=message):
        check_objective(objective)


def test_the_users_random_state_is_left_alone():
    encoder, before = PyramidEncoder(), torch.get_rng_state()
    check_objective(Distance)
    check_encoder(encoder)
    check_decoder(lambda encoder, out_channels: UNetDecoder(UNetOptions(), encoder, out_channels))
    assert torch.equal(before, torch.get_rng_state())
