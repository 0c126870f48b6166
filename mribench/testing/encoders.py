"""Checks of encoders and decoders."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from typing import get_args

import torch
from torch import Tensor, nn

from mribench.errors import MRIBenchError, PluginError
from mribench.interfaces import Encoder, Mask, MaskKind
from mribench.testing.problems import (
    ConformanceError,
    close,
    has_gradient,
    isolate_randomness,
    require,
    require_restored,
    require_tensor,
    step,
    use_channels_last,
)
from mribench.testing.samples import ClassTokenEncoder, PyramidEncoder
from mribench.training.weights import state_digest

_SUMMED = 0.01
"""Largest difference of maps of a widened encoder, as a share of the largest value."""


def check_encoder(encoder: Encoder) -> None:
    """Check an encoder: attributes, shapes, independence of the samples, gradients, and what jobs do with it.

    That is a step of training in channels-last memory, its weights in a file, and an evaluation of a copy
    that is read from there.

    Raises:
        ConformanceError: at the first rule that it breaks.
    """
    require(isinstance(encoder, Encoder), f"expected an Encoder, got {type(encoder).__name__}")
    _check_attributes(encoder)
    coarsest = max(encoder.strides)
    edges = (_find_edge(coarsest), _find_edge(coarsest) + coarsest, _find_edge(coarsest))
    encoder = copy.deepcopy(encoder).eval()
    with isolate_randomness():
        images = torch.randn(2, 1, *edges)
        _check_evaluation(encoder, images)
        _check_gradients(encoder, images)
        _check_mask(encoder, images)
        _check_widening(encoder, images)
        _check_a_job(encoder, images)


def _check_widening(encoder: Encoder, images: Tensor) -> None:
    """Channels that are all the same give what one channel gives; an encoder may refuse to be widened."""
    require(encoder.in_channels == 1, f"encoder: takes {encoder.in_channels} channels before it is widened")
    encoder, wide = encoder.eval(), copy.deepcopy(encoder).eval()
    try:
        account = wide.widen_input(3)
    except PluginError:
        return
    require(bool(account), "encoder: widen_input() does not say what it did")
    require(wide.in_channels == 3, f"encoder: widen_input(3) leaves in_channels at {wide.in_channels}")
    try:
        with torch.no_grad():
            before, after = encoder.feature_maps(images), wide.feature_maps(images.repeat(1, 3, 1, 1, 1))
            other = wide.feature_maps(torch.cat([images, images, images.flip(2)], dim=1))
    except (MRIBenchError, RuntimeError) as error:
        raise ConformanceError(
            f"encoder: widened, it refuses images of 3 channels ({error}); check them against 'in_channels',"
            " or let widen_input() raise a PluginError"
        ) from error
    for one, many in zip(before, after, strict=True):
        require(_agree(one, many), "encoder: widened, it gives other maps of channels that are all the same")
    changed = any(not _agree(one, many) for one, many in zip(before, other, strict=True))
    require(changed, "encoder: widened, it does not look at the last channel")


def _agree(one: Tensor, other: Tensor) -> bool:
    """Whether two maps are the same but for sums in another order, which norms over few voxels enlarge."""
    return float((one - other).abs().amax()) <= _SUMMED * float(one.abs().amax())


def check_decoder(make: Callable[[Encoder, int], nn.Module]) -> None:
    """Check that a decoder fits encoders of all kinds: pyramids, one stride only, no full resolution.

    Args:
        make: builds the decoder from an encoder and the number of output channels.

    Raises:
        ConformanceError: at the first encoder that it does not fit.
    """
    with isolate_randomness():
        for encoder in (
            PyramidEncoder((4, 6, 8), (1, 2, 4)),
            PyramidEncoder((4, 8), (2, 8)),
            PyramidEncoder((4, 4, 6), (1, 3, 6)),
            PyramidEncoder((8,), (4,)),
            ClassTokenEncoder(),
        ):
            _check_decoder_of(make, encoder)


def _check_decoder_of(make: Callable[[Encoder, int], nn.Module], encoder: Encoder) -> None:
    what = f"decoder of an encoder with strides {tuple(encoder.strides)}"
    edge = 4 * max(encoder.strides)
    decoder = make(encoder, 3)
    require(isinstance(decoder, nn.Module), f"{what}: expected a module, got {type(decoder).__name__}")
    image = torch.randn(2, 1, edge, edge, 2 * edge)
    output = require_tensor(decoder(encoder.feature_maps(image)), (2, 3, edge, edge, 2 * edge), what)
    output.square().mean().backward()
    require(has_gradient(decoder), f"{what}: no gradient reaches its parameters")
    require(has_gradient(encoder), f"{what}: no gradient reaches the encoder")
    with torch.no_grad():
        alone = decoder.eval()(encoder.feature_maps(image[:1]))
    require_tensor(alone, (1, 3, edge, edge, 2 * edge), f"{what}, in evaluation mode for a batch of 1")
    trained, fresh = use_channels_last(decoder), use_channels_last(make(encoder, 3))
    maps = [level.detach() for level in encoder.feature_maps(image)]
    step(trained, lambda: [trained(maps)])
    require_restored(trained, fresh, lambda network: [network.eval()(maps)], what, "output")


def _check_attributes(encoder: Encoder) -> None:
    for name in ("channels", "strides", "embedding_dim"):
        require(hasattr(encoder, name), f"encoder: the attribute '{name}' is missing")
    strides = list(encoder.strides)
    require(len(strides) > 0, "encoder: there is no stride, so there is no feature map")
    require(
        len(encoder.channels) == len(strides),
        f"encoder: {len(encoder.channels)} channels and {len(strides)} strides; give one of each per map",
    )
    require(strides == sorted(strides), f"encoder: strides go from fine to coarse, got {strides}")
    _check_layers(encoder)


def _check_layers(encoder: Encoder) -> None:
    own = {id(parameter) for parameter in encoder.parameters()}
    seen: set[int] = set()
    for layer in encoder.layers():
        parameters = {id(parameter) for parameter in layer.parameters()}
        require(parameters <= own, "encoder: layers() has parameters that are not the encoder's")
        require(not parameters & seen, "encoder: layers() has a parameter in two layers")
        seen |= parameters


def _find_edge(coarsest: int) -> int:
    """Return an edge of a test image: two voxels of the coarsest map or more, 16 or more."""
    return coarsest * max(2, -(-16 // coarsest))


def _check_evaluation(encoder: Encoder, images: Tensor) -> None:
    with torch.no_grad():
        maps, embedding = encoder.feature_maps(images), encoder.embed(images)
        again, alone = encoder.feature_maps(images), encoder.feature_maps(images[:1])
        from_one_pass, embedded_alone = encoder.maps_and_embedding(images)[1], encoder.embed(images[:1])
    require(
        len(maps) == len(encoder.strides), f"encoder: {len(maps)} maps for {len(encoder.strides)} strides"
    )
    for level, (features, stride) in enumerate(zip(maps, encoder.strides, strict=True)):
        expected = (2, encoder.channels[level], *(edge // stride for edge in images.shape[2:]))
        require_tensor(features, expected, f"encoder: feature map {level} (stride {stride})")
        require(
            torch.equal(features, again[level]),
            f"encoder: map {level} is random in evaluation mode, or changes from pass to pass",
        )
        require_tensor(alone[level], (1, *expected[1:]), f"encoder: feature map {level} for a batch of 1")
        require(
            close(features[:1], alone[level]),
            f"encoder: map {level} of a sample depends on the other samples of the batch in evaluation mode",
        )
    require_tensor(embedding, (2, encoder.embedding_dim), "encoder: embedding")
    require_tensor(embedded_alone, (1, encoder.embedding_dim), "encoder: embedding for a batch of 1")
    require(
        close(embedding[:1], embedded_alone),
        "encoder: the embedding of a sample depends on the other samples of the batch in evaluation mode",
    )
    require(
        close(embedding, from_one_pass),
        "encoder: embed() and maps_and_embedding() differ; override the latter, or pool(), and not embed()",
    )
    require(not torch.equal(embedding[0], embedding[1]), "encoder: all images have the same embedding")


def _check_gradients(encoder: Encoder, images: Tensor) -> None:
    encoder.train()
    for batch in (images[:1], images):
        encoder.zero_grad()
        sum(features.square().mean() for features in encoder.feature_maps(batch)).backward()  # type: ignore[union-attr]
        require(
            has_gradient(encoder),
            "encoder: no finite gradient reaches its parameters from the feature maps of a batch of"
            f" {len(batch)}",
        )
    encoder.zero_grad()
    encoder.embed(images).square().mean().backward()
    require(has_gradient(encoder), "encoder: no finite gradient reaches its parameters from the embedding")


def _check_mask(encoder: Encoder, images: Tensor) -> None:
    """What a mask hides changes nothing, and the rest is seen."""
    kinds = get_args(MaskKind)
    require(
        encoder.mask_kind in kinds,
        f"encoder: mask_kind is one of {', '.join(kinds)}, got {encoder.mask_kind!r}",
    )
    coarsest = max(encoder.strides)
    require(
        encoder.mask_stride >= 1 and coarsest % encoder.mask_stride == 0,
        f"encoder: mask_stride divides the largest stride ({coarsest}), got {encoder.mask_stride!r}",
    )
    if encoder.mask_kind == "none":
        return
    mask = Mask.draw(images, 0.5, coarsest, encoder.mask_stride)
    hidden = mask.voxels()
    with torch.no_grad():
        shown = _compute_outputs(encoder.eval(), images, mask)
        other = _compute_outputs(encoder, torch.where(hidden, images + 3.0, images), mask)
        seen = _compute_outputs(encoder, torch.where(hidden, images, images.flip(2)), mask)
        whole = _compute_outputs(encoder, images)
        maps = encoder.feature_maps(images, mask)
    pairs = list(zip(shown, other, strict=True))
    require(
        all(close(one, another) for one, another in pairs),
        "encoder: what a mask hides changes its feature maps or its embedding",
    )
    require(not close(shown[-1], whole[-1]), "encoder: a mask changes nothing in its embedding")
    require(not close(shown[-1], seen[-1]), "encoder: what a mask shows changes nothing in its embedding")
    same = all(close(one, another) for one, another in zip(maps, shown, strict=False))
    require(same, "encoder: feature_maps() and maps_and_embedding() differ when they are given a mask")
    _check_dropped(encoder, maps, mask)
    encoder.train().zero_grad()
    torch.stack(
        [output.square().mean() for output in _compute_outputs(encoder, images, mask)]
    ).sum().backward()
    require(has_gradient(encoder), "encoder: no finite gradient reaches its parameters from a masked image")


def _check_dropped(encoder: Encoder, maps: Sequence[Tensor], mask: Mask) -> None:
    if encoder.mask_kind != "drop":
        return
    for level, (features, stride) in enumerate(zip(maps, encoder.strides, strict=True)):
        left_out = features.masked_select(mask.at_stride(stride))
        require(
            not left_out.any(),
            f"encoder: map {level} is not 0 where cells are hidden, and mask_kind is 'drop'",
        )


def _check_a_job(encoder: Encoder, images: Tensor) -> None:
    """Do what jobs do: digest, train, save, load and evaluate, in channels-last memory."""
    encoder.zero_grad()
    trained, restored = use_channels_last(copy.deepcopy(encoder)), use_channels_last(copy.deepcopy(encoder))
    require(state_digest(trained) == state_digest(encoder), "encoder: it has other weights after a copy")
    plain, there = _evaluate(encoder, images), _evaluate(trained, images)
    same = all(close(one, other) for one, other in zip(plain, there, strict=True))
    require(same, "encoder: it gives other maps in channels-last memory")
    step(trained, lambda: _compute_outputs(trained, images))
    require_restored(trained, restored, lambda network: _evaluate(network, images), "encoder", "maps")


def _compute_outputs(encoder: Encoder, images: Tensor, mask: Mask | None = None) -> list[Tensor]:
    maps, embedding = encoder.maps_and_embedding(images, mask) if mask else encoder.maps_and_embedding(images)
    return [*maps, embedding]


def _evaluate(encoder: Encoder, images: Tensor) -> list[Tensor]:
    with torch.no_grad():
        return _compute_outputs(encoder.eval(), images)
